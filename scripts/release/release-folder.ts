/** Checks the folder that a release publishes. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { CHECKSUMS } from '../package/release-files.ts';
import { ReleaseError } from './release-error.ts';

/** A file that will be published. */
export interface PublishedFile {
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  readonly sha256: string;
}

async function computeSha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

function readSums(text: string): ReadonlyMap<string, string> {
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [, sum, name] = /^([0-9a-f]{64}) {2}([\w.+~-]+)$/.exec(line) ?? [];
        if (sum === undefined || name === undefined)
          throw new ReleaseError(`${CHECKSUMS} has an invalid line: ${line}`);
        return [name, sum];
      }),
  );
}

/**
 * Checks that a folder contains exactly the files that its list of checksums names, with these checksums, and all files
 * that a release must have.
 *
 * @param required names of files
 * @throws ReleaseError with the first difference
 */
export async function checkReleaseFolder(
  folder: string,
  required: readonly string[],
): Promise<readonly PublishedFile[]> {
  if (!existsSync(join(folder, CHECKSUMS)))
    throw new ReleaseError(`${folder} has no ${CHECKSUMS}: run "npm run package", or leave out --skip-build`);
  const sums = readSums(await readFile(join(folder, CHECKSUMS), 'utf8'));
  const missing = required.find((name) => !sums.has(name));
  if (missing !== undefined)
    throw new ReleaseError(
      `${folder} has no ${missing}: install strip, dpkg-deb and rpmbuild, and build all platforms`,
    );
  const unlisted = (await readdir(folder)).find((name) => name !== CHECKSUMS && !sums.has(name));
  if (unlisted !== undefined) throw new ReleaseError(`${folder}/${CHECKSUMS} does not name ${unlisted}`);
  const files: PublishedFile[] = [];
  for (const [name, sha256] of sums) {
    const path = join(folder, name);
    if (!existsSync(path)) throw new ReleaseError(`${folder} has no ${name}, which ${CHECKSUMS} names`);
    if ((await computeSha256(path)) !== sha256)
      throw new ReleaseError(`${path} does not have the checksum that ${CHECKSUMS} names`);
    files.push({ name, size: (await stat(path)).size, sha256 });
  }
  return files;
}
