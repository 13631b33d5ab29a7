/** Provides tools that are written in Go. They are built once, from the Go module proxy, into the user's cache. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { pathExists } from './debian-packages.ts';
import { findDevelopmentCache, moveIntoCache } from './development-cache.ts';
import { findGo } from './go.ts';

const run = promisify(execFile);

/** Programs of one module, which are built together. */
export interface GoTools {
  readonly module: string;
  readonly version: string;
  /** The import paths of the programs. */
  readonly packages: readonly [string, ...string[]];
}

/** krew, which installs plugins of kubectl, and its own check of manifests. */
export const KREW: GoTools = {
  module: 'sigs.k8s.io/krew',
  version: 'v0.4.3',
  packages: ['sigs.k8s.io/krew/cmd/krew', 'sigs.k8s.io/krew/cmd/validate-krew-manifest'],
};

/** Another credential plugin for kubectl, to compare with: it signs a token without any request. */
export const AWS_AUTHENTICATOR: GoTools = {
  module: 'sigs.k8s.io/aws-iam-authenticator',
  version: 'v0.6.13',
  packages: ['sigs.k8s.io/aws-iam-authenticator/cmd/aws-iam-authenticator'],
};

const findFolder = ({ version, packages }: GoTools): string =>
  join(findDevelopmentCache(), `${basename(packages[0])}-${version}`);

/** Returns where a program is if it is built. */
export function findGoToolPath(tools: GoTools, program: string): string {
  return join(findFolder(tools), program);
}

/**
 * Builds the programs, which takes minutes, unless they are built already.
 *
 * @throws Error when Go is missing or cannot build them
 */
export async function buildGoTools(tools: GoTools): Promise<void> {
  const { module, version, packages } = tools;
  const folder = findFolder(tools);
  if (await pathExists(folder)) return;
  const go = findGo();
  if (go === undefined) throw new Error('Go is not installed');
  await mkdir(dirname(folder), { recursive: true });
  const staging = await mkdtemp(join(dirname(folder), '.go-tools-'));
  try {
    const env = {
      ...process.env,
      CGO_ENABLED: '0',
      GOCACHE: join(staging, 'cache'),
      GOFLAGS: '-mod=mod',
      GOMODCACHE: join(staging, 'modules'),
      GOTOOLCHAIN: 'local',
    };
    await writeFile(join(staging, 'go.mod'), 'module tools\n');
    // Not "go install", which asks for modules with the names of the programs too.
    await run(go, ['get', `${module}@${version}`], { env, cwd: staging });
    // The linker drops debug information, so the compiler does not need to make it.
    const options = ['-trimpath', '-gcflags=all=-dwarf=false', '-ldflags=-s -w', `-o=${join(staging, 'bin')}/`];
    await run('nice', [go, 'build', ...options, ...packages], { env, cwd: staging });
    await moveIntoCache(join(staging, 'bin'), folder);
  } finally {
    // Go makes its cache read-only.
    await run('chmod', ['-R', 'u+w', staging]).catch(() => undefined);
    await rm(staging, { recursive: true, force: true });
  }
}
