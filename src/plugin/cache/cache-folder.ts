import { chmodSync, lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { CacheError, getErrorCode } from '../../shared/base/errors.ts';
import { findFlagValue } from '../../shared/base/host.ts';
import type { Host } from '../../shared/base/host.ts';
import { isOpenToOthers } from './private-file.ts';

/** The folder of the cache, and the user that its files must belong to. */
export interface CacheFolder {
  /** Absolute path. */
  readonly path: string;
  /** Undefined on Windows. */
  readonly uid: number | undefined;
}

const FOLDER_NAME = 'client-keystone-auth';

/** The variable and the flag that set the folder. The fast path looks for this flag itself, because it parses none. */
const VARIABLE = 'CLIENT_KEYSTONE_AUTH_CACHE_DIR';
const FLAG = '--cache-dir';

const FOLDER_MODE = 0o700;
const OTHERS_WRITE = 0o022;
const OTHERS_ENTER = 0o011;
const STICKY = 0o1000;

type Base = (host: Host) => string | undefined;

const BASES: Partial<Record<NodeJS.Platform, Base>> = {
  win32: (host) => host.env['LOCALAPPDATA'],
  darwin: (host) => under(host.home(), 'Library', 'Caches'),
};

/** The XDG Base Directory Specification says to ignore a relative path. */
const xdg: Base = (host) => {
  const path = host.env['XDG_CACHE_HOME'];
  return path !== undefined && isAbsolute(path) ? path : under(host.home(), '.cache');
};

function under(base: string | undefined, ...names: string[]): string | undefined {
  return base === undefined ? undefined : join(base, ...names);
}

function readFolderSetting(host: Host): string | undefined {
  return [findFlagValue(host, FLAG), host.env[VARIABLE]].find((path) => path !== undefined && path !== '');
}

/**
 * Finds the path of the cache folder, which need not exist; undefined if the user has no home folder. There is no
 * fallback to a shared folder such as /tmp.
 */
export function resolveCacheFolder(host: Host): CacheFolder | undefined {
  const { uid } = host;
  const setting = readFolderSetting(host);
  if (setting !== undefined) return { path: resolve(host.cwd, setting), uid };
  const base = (BASES[host.platform] ?? xdg)(host);
  return base !== undefined && isAbsolute(base) ? { path: join(base, FOLDER_NAME), uid } : undefined;
}

function listAncestors(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [] : [...listAncestors(parent), parent];
}

/**
 * Explains why another user could replace the files below `path`; undefined if none can. Each folder above must belong
 * to root or to the user, and other users may not write to it, unless a sticky bit protects the entries or a folder of
 * the user further up keeps other users out.
 */
function findWeakness(path: string, uid: number): string | undefined {
  let isClosedAbove = false;
  for (const ancestor of listAncestors(path)) {
    const stats = lstatSync(ancestor);
    if (stats.uid !== 0 && stats.uid !== uid) return `${ancestor} belongs to another user`;
    if (stats.isSymbolicLink()) continue;
    const isWritable = (stats.mode & OTHERS_WRITE) !== 0 && (stats.mode & STICKY) === 0;
    if (isWritable && !isClosedAbove) return `${ancestor} can be written by other users`;
    isClosedAbove ||= stats.uid === uid && (stats.mode & OTHERS_ENTER) === 0;
  }
  return undefined;
}

/**
 * Checks that the folder and all folders above it are safe to read tokens from.
 *
 * @throws CacheError that names the first problem
 */
export function checkCacheFolder({ path, uid }: CacheFolder): void {
  try {
    const stats = lstatSync(path);
    if (!stats.isDirectory()) throw new CacheError(`${path} is not a folder`);
    if (uid === undefined) return;
    if (stats.uid !== uid) throw new CacheError(`${path} belongs to another user`);
    if (isOpenToOthers(stats)) throw new CacheError(`${path} is open to other users`);
    const realPath = realpathSync(path);
    const weakness = findWeakness(path, uid) ?? (realPath === path ? undefined : findWeakness(realPath, uid));
    if (weakness !== undefined) throw new CacheError(`${path} is not safe for tokens: ${weakness}`);
  } catch (error) {
    throw error instanceof CacheError
      ? error
      : new CacheError(`${path} cannot be used (${getErrorCode(error)})`, { cause: error });
  }
}

/**
 * Creates the folder, or closes an existing folder of the user to other users, and checks it.
 *
 * @throws CacheError if it cannot be created or is not safe
 */
export function ensureCacheFolder(folder: CacheFolder): void {
  const { path, uid } = folder;
  try {
    mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
    const stats = lstatSync(path);
    if (stats.uid === uid && stats.isDirectory() && isOpenToOthers(stats)) chmodSync(path, FOLDER_MODE);
  } catch (error) {
    throw new CacheError(`the cache folder ${path} cannot be created (${getErrorCode(error)})`, { cause: error });
  }
  checkCacheFolder(folder);
}

/**
 * Finds the cache folder if it exists; undefined if it does not, and then the cache is empty.
 *
 * @throws CacheError if the folder is not safe to use
 */
export function findCacheFolder(host: Host): CacheFolder | undefined {
  const folder = resolveCacheFolder(host);
  if (folder === undefined || lstatSync(folder.path, { throwIfNoEntry: false }) === undefined) return undefined;
  checkCacheFolder(folder);
  return folder;
}
