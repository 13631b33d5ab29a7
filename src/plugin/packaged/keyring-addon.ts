/**
 * The keyring's native part. The system loads libraries from files only, so it is written to the user's own folder, under
 * the name of its contents; and nothing is loaded that has not been compared, byte for byte, with what we carry.
 */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { resolveCacheFolder, ensureCacheFolder } from '../cache/cache-folder.ts';
import { readPrivateFileBytes, removeQuietly, writePrivateFile } from '../cache/private-file.ts';
import { CacheError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';

const NAME = /^keyring-[0-9a-f]{64}\.node$/;

function isIntact(path: string, uid: number | undefined, addon: Buffer): boolean {
  return readPrivateFileBytes(path, uid, addon.length)?.equals(addon) === true;
}

/**
 * Loads the addon and gives what it exports.
 *
 * @throws CacheError where there is no folder that is safe to load it from
 */
export function loadKeyringAddon(host: Host, addon: Buffer): unknown {
  const { uid } = host;
  const folder = resolveCacheFolder(host);
  if (folder === undefined) throw new CacheError('there is no folder for the native part of the keyring');
  ensureCacheFolder(folder, uid);
  const name = `keyring-${createHash('sha256').update(addon).digest('hex')}.node`;
  const path = join(folder, name);
  if (!isIntact(path, uid, addon)) {
    writePrivateFile(folder, name, addon, host.now());
    if (!isIntact(path, uid, addon)) throw new CacheError(`${path} is not what was written`);
    // Those of earlier versions.
    for (const old of readdirSync(folder)) if (NAME.test(old) && old !== name) removeQuietly(join(folder, old));
  }
  return host.loadAddon(path);
}
