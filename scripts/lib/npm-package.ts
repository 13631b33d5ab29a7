// Fetches what npm serves beyond what is installed here: programs for other platforms, and kubectl. Kept in the user's cache.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { readTarMember } from './read-archive.ts';

const npmPackTimeoutMs = 180_000;

const run = promisify(execFile);
const unzip = promisify(gunzip);

/** The folder that development tools keep downloads in. */
export function findDevelopmentCache(): string {
  const set = process.env['XDG_CACHE_HOME'];
  const home = set === undefined || set === '' ? join(homedir(), '.cache') : set;
  return join(home, 'client-keystone-auth-dev');
}

/** Lets npm fetch a package's tarball into a folder, from wherever this user's npm gets its packages. */
export async function fetchPackage(spec: string, directory: string): Promise<{ path: string } | { missing: string }> {
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

interface LockedPackage {
  readonly version: string;
  readonly integrity: string;
  readonly license?: string;
}

const LOCK = new URL('../../package-lock.json', import.meta.url);

/** What package-lock.json says of packages, by the folders that they are, or would be, installed in. */
export async function readLock(): Promise<Readonly<Record<string, LockedPackage | undefined>>> {
  const lock = JSON.parse(await readFile(LOCK, 'utf8')) as { packages: Record<string, LockedPackage | undefined> };
  return lock.packages;
}

/** The same of one package, whether it is installed here or is for another platform. */
export async function readLockedPackage(name: string): Promise<LockedPackage> {
  const locked = (await readLock())[`node_modules/${name}`];
  if (locked === undefined) throw new Error(`package-lock.json does not name ${name}`);
  return locked;
}

/**
 * Returns the tarball of a package in the version and with the integrity of package-lock.json.
 * @throws where it cannot be fetched, or is not the one that is locked
 */
export async function fetchLockedPackage(name: string): Promise<Buffer> {
  const { version, integrity } = await readLockedPackage(name);
  const spec = `${name}@${version}`;
  const path = join(findDevelopmentCache(), 'npm', `${spec.replaceAll('/', '+')}.tgz`);
  const cached = await readFile(path).catch(() => undefined);
  if (cached !== undefined && integrityOf(cached) === integrity) return cached;

  await mkdir(dirname(path), { recursive: true });
  // A sibling of the target, so that the rename stays on one file system; and one of its own for each process.
  const staging = await mkdtemp(join(dirname(path), '.fetch-'));
  try {
    const tarball = await fetchPackage(spec, staging);
    if ('missing' in tarball) throw new Error(tarball.missing);
    const bytes = await readFile(tarball.path);
    if (integrityOf(bytes) !== integrity) {
      throw new Error(`${spec} has integrity ${integrityOf(bytes)}, but ${integrity} is locked`);
    }
    await rename(tarball.path, path);
    return bytes;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** Returns one file of a locked package. */
export async function fetchPackageFile(name: string, file: string): Promise<Buffer> {
  return readTarMember(await unzip(await fetchLockedPackage(name)), `package/${file}`);
}

function integrityOf(bytes: Buffer): string {
  return `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
}
