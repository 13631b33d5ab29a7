/**
 * Builds kube-apiserver from the modules that Kubernetes publishes. go.sum in this repository pins their contents, so no
 * server has to be trusted.
 */
import { execFile } from 'node:child_process';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BuildToolMissing } from '../../lib/cached-build.ts';
import type { Builder } from './build.ts';
import { runLogged } from '../../lib/build-steps.ts';
import { downloadDependencies } from '../../lib/go-module.ts';
import { findGo } from '../../lib/go.ts';

const PACKAGE = 'k8s.io/kubernetes/cmd/kube-apiserver';
const TAGS = '-tags=selinux,notest,grpcnotrace';
const STAMP = 'k8s.io/component-base/version';

const MODULES = new URL('../kube-apiserver-modules/', import.meta.url);

/** Returns the version of Go that `go.mod` needs, such as 1.26.0. */
async function readNeededGo(): Promise<string> {
  const text = await readFile(new URL('go.mod', MODULES), 'utf8');
  return /^go (\S+)$/m.exec(text)?.[1] ?? '';
}

/** Returns the version of a Go toolchain. */
async function readVersion(go: string): Promise<string> {
  const { stdout } = await promisify(execFile)(go, ['env', 'GOVERSION'], {
    env: { ...process.env, GOTOOLCHAIN: 'local' },
  });
  return stdout.trim().replace(/^go/, '');
}

/** Finds a go command that is new enough. */
async function requireGo(): Promise<string> {
  const go = findGo();
  const [needed, installed] = [await readNeededGo(), go === undefined ? undefined : await readVersion(go)];
  const [, neededMinor] = needed.split('.');
  const [, installedMinor] = installed?.split('.') ?? [];
  if (go !== undefined && Number(installedMinor) >= Number(neededMinor)) return go;
  throw new BuildToolMissing(`Go ${needed} or newer is needed, and ${installed ?? 'none'} is installed`);
}

/** Builds the version that go.mod names. */
export const buildFromModules: Builder = async ({ version, folder, log }) => {
  const go = await requireGo();
  for (const name of ['go.mod', 'go.sum', 'tools.go']) await copyFile(new URL(name, MODULES), join(folder, name));
  const [, minor = ''] = version.split('.');
  const stamps = { gitVersion: `v${version}`, gitMajor: '1', gitMinor: minor, gitTreeState: 'archive' };
  const program = join(folder, 'kube-apiserver');
  const args = [
    'build',
    '-trimpath',
    TAGS,
    // The linker drops debug information, so the compiler does not need to make it.
    '-gcflags=all=-dwarf=false',
    `-ldflags=-s -w ${Object.entries(stamps)
      .map(([name, value]) => `-X ${STAMP}.${name}=${value}`)
      .join(' ')}`,
    `-o=${program}`,
    PACKAGE,
  ];
  const env = {
    ...process.env,
    CGO_ENABLED: '0',
    // Makes the compiler collect garbage less often, which saves time and costs a few hundred MB.
    GOGC: '400',
    GOCACHE: join(folder, 'cache'),
    GOFLAGS: '-mod=readonly',
    GOMODCACHE: join(folder, 'modules'),
    GOTOOLCHAIN: 'local',
    GOWORK: 'off',
  };
  await downloadDependencies(go, [TAGS, PACKAGE], { cwd: folder, env });
  await runLogged(log, go, args, { cwd: folder, env });
  return program;
};
