/**
 * The folders of the cache, and those that take its place if it is not safe or cannot be written to, as in a container
 * with an arbitrary user. No setting names the latter, and they are checked like any other. See decision 0038.
 */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { CacheError, getErrorCode } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { checkCacheFolder, FOLDER_HINT, FOLDER_NAME, resolveCacheFolder } from './cache-folder.ts';
import type { CacheFolder } from './cache-folder.ts';
import { makeSecretName } from './credential-tag.ts';
import type { CallerProcesses } from './credential-tag.ts';
import { digestFields } from './sha256.ts';

function isFolder(path: string): boolean {
  try {
    return lstatSync(path).isDirectory();
  } catch {
    return false;
  }
}

const PLACE_DIGITS = 12;

function listTemporaryFolders(host: Host, ...secret: readonly string[]): readonly CacheFolder[] {
  const { uid, temporaryFolders } = host;
  if (uid === undefined) return [];
  const place = digestFields('the place of a cache folder, v1', [resolveCacheFolder(host)?.path, ...secret]);
  const name = `${FOLDER_NAME}-${uid}-${place.slice(0, PLACE_DIGITS)}`;
  return temporaryFolders.filter(isFolder).map((path) => ({ path: join(path, name), uid }));
}

/** Lists the folders that take the place of the cache folder, and of no other one, best first; they need not exist. */
export function listFallbackFolders(host: Host): readonly CacheFolder[] {
  return listTemporaryFolders(host);
}

/** Lists the same for notes, with names that another user cannot take before. */
export function listHiddenFolders(host: Host, callers: CallerProcesses): readonly CacheFolder[] {
  const name = makeSecretName(callers);
  return name === undefined ? [] : listTemporaryFolders(host, name);
}

function exists(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    throw new CacheError(`${path} cannot be used (${getErrorCode(error)})`, { cause: error, hint: FOLDER_HINT });
  }
}

function findIfSafe(folder: CacheFolder): CacheFolder[] {
  try {
    return checkCacheFolder(folder) ? [folder] : [];
  } catch (error) {
    if (error instanceof CacheError) return [];
    throw error;
  }
}

/**
 * Finds the folders that hold a part of the cache: the cache folder, and those that took its place.
 *
 * @throws CacheError if the cache folder exists and is not safe, and no other folder took its place
 */
export function findCacheFolders(host: Host): readonly CacheFolder[] {
  const callers = { host, parent: host.identifyParent(), isForKubectl: false };
  const fallbacks = [...listFallbackFolders(host), ...listHiddenFolders(host, callers)].flatMap(findIfSafe);
  const folder = resolveCacheFolder(host);
  if (folder === undefined) return fallbacks;
  if (fallbacks.length > 0) return [...findIfSafe(folder), ...fallbacks];
  return exists(folder.path) && checkCacheFolder(folder) ? [folder] : [];
}
