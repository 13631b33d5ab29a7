/**
 * Fetches what an image needs besides the program from Debian: the C and C++ libraries and the trusted certificate
 * authorities. Nothing is installed, and the packages of each processor can be unpacked on any other.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { describeSystem } from '../../lib/debian-packages.ts';
import { pathExists } from '../../lib/path-exists.ts';
import { fillCacheFolder, findDevelopmentCache } from '../../lib/development-cache.ts';
import type { CacheStaging } from '../../lib/development-cache.ts';
import { downloadPackages } from '../../lib/download-packages.ts';

const PACKAGES = ['ca-certificates', 'libc6', 'libgcc-s1', 'libstdc++6'];

const run = promisify(execFile);

/** An unpacked package. */
export interface DebianPackage {
  readonly name: string;
  /** The entry of the package in dpkg's database, by which scanners find out the version. */
  readonly control: string;
  /** Where its files are. */
  readonly root: string;
}

async function unpackAll(architecture: string, { work, done }: CacheStaging): Promise<void> {
  const downloads = join(work, 'apt');
  await mkdir(downloads);
  const packages = PACKAGES.map((name) => (name === 'ca-certificates' ? name : `${name}:${architecture}`));
  for (const file of await downloadPackages(downloads, { packages, architecture })) {
    const [name = ''] = basename(file).split('_');
    await run('dpkg-deb', ['--extract', file, join(done, name)]);
    const { stdout } = await run('dpkg-deb', ['--field', file]);
    await writeFile(join(done, `${name}.control`), stdout);
  }
}

/**
 * Returns the packages for a processor, which are fetched once and kept in the user's cache.
 *
 * @param architecture as Debian names it
 * @throws Error when apt cannot fetch them
 */
export async function fetchDebianPackages(architecture: string): Promise<readonly DebianPackage[]> {
  const folder = join(findDevelopmentCache(), `image-files-${architecture}-${await describeSystem()}`);
  if (!(await pathExists(folder))) await fillCacheFolder(folder, (staging) => unpackAll(architecture, staging));
  return Promise.all(
    PACKAGES.map(async (name) => ({
      name,
      control: await readFile(join(folder, `${name}.control`), 'utf8'),
      root: join(folder, name),
    })),
  );
}
