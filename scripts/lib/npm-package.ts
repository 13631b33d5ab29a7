// Fetches npm packages that are not installed here, such as programs for other platforms, into the user's cache.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { findDevelopmentCache } from './development-cache.ts';
import { readTarMember } from './read-archive.ts';

const npmPackTimeoutMs = 180_000;

const run = promisify(execFile);
const unzip = promisify(gunzip);

/** Fetches the tarball of a package into a folder with npm, and with the registry that npm is configured for. */
export async function fetchPackage(spec: string, directory: string): Promise<{ path: string } | { missing: string }> {
  try {
    const quietOptions = ['--ignore-scripts', '--loglevel=error'];
    // By default, npm retries for more than a minute before it reports a missing network, which is right for CI only.
    const retryOptions = process.env['CI'] === undefined ? ['--fetch-retries=1', '--fetch-retry-mintimeout=1000'] : [];
    await run('npm', ['pack', spec, ...quietOptions, ...retryOptions, '--pack-destination', directory], {
      timeout: npmPackTimeoutMs,
    });
  } catch (error) {
    // Only the code, because npm's text names the registry, which may be private.
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

/** Returns the packages of package-lock.json, by the folders that they are installed in. */
export async function readLock(): Promise<Readonly<Record<string, LockedPackage | undefined>>> {
  const lock = JSON.parse(await readFile(LOCK, 'utf8')) as { packages: Record<string, LockedPackage | undefined> };
  return lock.packages;
}

/**
 * Returns the entry of one package, also if it is for another platform.
 *
 * @throws Error when package-lock.json does not name it
 */
export async function readLockedPackage(name: string): Promise<LockedPackage> {
  const locked = (await readLock())[`node_modules/${name}`];
  if (locked === undefined) throw new Error(`package-lock.json does not name ${name}`);
  return locked;
}

/**
 * Returns the tarball of a package in the version and with the integrity of package-lock.json.
 *
 * @throws Error when it cannot be fetched, or has another integrity
 */
export async function fetchLockedPackage(name: string): Promise<Buffer> {
  const { version, integrity } = await readLockedPackage(name);
  const spec = `${name}@${version}`;
  const path = join(findDevelopmentCache(), 'npm', `${spec.replaceAll('/', '+')}.tgz`);
  const cached = await readFile(path).catch(() => undefined);
  if (cached !== undefined && computeIntegrity(cached) === integrity) return cached;

  await mkdir(dirname(path), { recursive: true });
  // Next to the target, so that the rename stays on one file system, and unique for each process.
  const staging = await mkdtemp(join(dirname(path), '.fetch-'));
  try {
    const tarball = await fetchPackage(spec, staging);
    if ('missing' in tarball) throw new Error(tarball.missing);
    const bytes = await readFile(tarball.path);
    if (computeIntegrity(bytes) !== integrity) {
      throw new Error(
        `${spec} has the integrity ${computeIntegrity(bytes)}, but package-lock.json expects ${integrity}`,
      );
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

function computeIntegrity(bytes: Buffer): string {
  return `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
}
