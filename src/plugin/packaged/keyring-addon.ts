/**
 * The native library of the keyring. The system loads libraries from files only, so the library is written to the cache
 * folder, under a name with its digest. Before it is loaded, the file is compared byte by byte with the library in the
 * executable.
 */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { resolveCacheFolder, ensureCacheFolder } from '../cache/cache-folder.ts';
import { keyringAddonFileName, parseFileName } from '../cache/file-names.ts';
import { removeQuietly } from '../../shared/base/write-private-file.ts';
import { readPrivateFileBytes, writePrivateFile } from '../cache/private-file.ts';
import { CacheError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';

function isIntact(path: string, uid: number | undefined, addon: Buffer): boolean {
  return readPrivateFileBytes(path, uid, addon.length)?.equals(addon) === true;
}

function removeOtherVersions(folder: string, name: string): void {
  for (const fileName of readdirSync(folder)) {
    if (fileName !== name && parseFileName(fileName)?.kind === 'keyring-addon') removeQuietly(join(folder, fileName));
  }
}

/**
 * Loads the addon and returns its exports.
 *
 * @throws CacheError if there is no folder that is safe to load it from
 */
export function loadKeyringAddon(host: Host, addon: Buffer): unknown {
  const folder = resolveCacheFolder(host);
  if (folder === undefined) throw new CacheError('there is no home folder for the keyring library');
  ensureCacheFolder(folder);
  const name = keyringAddonFileName(createHash('sha256').update(addon).digest('hex'));
  const path = join(folder.path, name);
  if (!isIntact(path, folder.uid, addon)) {
    writePrivateFile(folder.path, name, addon, host.now());
    if (!isIntact(path, folder.uid, addon)) throw new CacheError(`${path} was changed after it was written`);
    removeOtherVersions(folder.path, name);
  }
  return host.loadAddon(path);
}
