import { lstatSync, mkdirSync, readlinkSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { CacheError, getErrorCode } from '../../shared/base/errors.ts';
import { findFlagValue, requireCurrentFolder } from '../../shared/base/host.ts';
import type { Host } from '../../shared/base/host.ts';
import { isOpenToOthers } from './private-file.ts';

/** The folder of the cache, and the user that its files must belong to. */
export interface CacheFolder {
  /** Absolute path. */
  readonly path: string;
  /** Undefined on Windows. */
  readonly uid: number | undefined;
  /** Whether other users may be able to move the folder: enough for notes, but not for tokens and locks. */
  readonly isMovable?: true;
}

/** The name of the folder, below the folder for caches. */
export const FOLDER_NAME = 'client-keystone-auth';

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
  // A file with Windows line ends leaves a carriage return.
  const flag = findFlagValue(host, FLAG);
  if (flag !== undefined && flag !== '') return flag;
  const variable = host.env[VARIABLE]?.trim();
  return variable === '' ? undefined : variable;
}

/**
 * Finds the path of the cache folder, which need not exist; undefined if the user has no home folder.
 *
 * @throws ConfigError if it is in the current folder, which has been deleted
 */
export function resolveCacheFolder(host: Host): CacheFolder | undefined {
  const { uid } = host;
  const setting = readFolderSetting(host);
  if (setting !== undefined) {
    const start = isAbsolute(setting) ? '/' : requireCurrentFolder(host, setting);
    return { path: resolve(start, setting), uid };
  }
  const base = (BASES[host.platform] ?? xdg)(host);
  return base !== undefined && isAbsolute(base) ? { path: join(base, FOLDER_NAME), uid } : undefined;
}

/** What to do if there is no safe folder, after "unless you". */
export const FOLDER_HINT = `set ${VARIABLE} (${FLAG}) to a folder that only you can access`;

/** As many links as Linux follows. */
const MAX_LINKS = 40;

/** A folder on the way to the cache, without links. */
interface Step {
  readonly path: string;
  /** Whether it, or a folder above it, keeps other users out. */
  readonly isClosed: boolean;
}

const isTrustedOwner = (stats: Stats, uid: number): boolean => stats.uid === 0 || stats.uid === uid;

/** What {@link isReachableSafely} needs to know. */
type Demands = Pick<CacheFolder, 'isMovable'> & { readonly uid: number };

function enter(above: Step | undefined, path: string, stats: Stats, { uid, isMovable }: Demands): Step {
  if (!stats.isDirectory()) throw new CacheError(`${path} is not a folder`);
  if (!isTrustedOwner(stats, uid)) throw new CacheError(`${path} belongs to another user`);
  const isWritable = (stats.mode & OTHERS_WRITE) !== 0 && (stats.mode & STICKY) === 0;
  const isClosedAbove = above?.isClosed === true;
  if (isWritable && !isClosedAbove && isMovable !== true) throw new CacheError(`${path} can be written by other users`);
  return { path, isClosed: isClosedAbove || (stats.uid === uid && (stats.mode & OTHERS_ENTER) === 0) };
}

/**
 * Goes to a folder step by step, as the system does, to see whether another user could put something else in its place.
 * Each folder and each link on the way must belong to root or to the user. Other users must not write to a folder,
 * unless a sticky bit protects the entries or a folder of the user further up keeps other users out.
 *
 * @returns whether the folder exists
 * @throws CacheError that names the first problem
 */
function isReachableSafely(path: string, demands: Demands): boolean {
  const { uid } = demands;
  const root = enter(undefined, '/', lstatSync('/'), demands);
  let way: readonly Step[] = [root];
  let names = path.split('/');
  let linkCount = 0;
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name === '' || name === '.') continue;
    const current = way[way.length - 1] ?? root;
    if (name === '..') {
      way = way.length === 1 ? way : way.slice(0, -1);
      continue;
    }
    const next = join(current.path, name);
    const stats = lstatSync(next, { throwIfNoEntry: false });
    if (stats === undefined) return false;
    if (!stats.isSymbolicLink()) {
      way = [...way, enter(current, next, stats, demands)];
      continue;
    }
    if (!isTrustedOwner(stats, uid)) throw new CacheError(`${next} belongs to another user`);
    linkCount += 1;
    if (linkCount > MAX_LINKS) throw new CacheError(`${next} is a link to itself`);
    const target = readlinkSync(next);
    if (isAbsolute(target)) way = [root];
    names = [...target.split('/'), ...names];
  }
  return true;
}

/**
 * The folders that lead safely to folders of the cache, as far as a run has checked them. Only root and the user can
 * change such a way, so no other user can have changed it since: it is checked once. The folder at its end is checked
 * again each time, because it can be gone by then.
 */
export type SafeWays = Set<string>;

/** Checks where the folder is; returns whether its parent exists. */
function checkWay(path: string, demands: Demands, safeWays: SafeWays | undefined): boolean {
  const parent = dirname(path);
  if (safeWays?.has(parent) === true) return true;
  try {
    const exists = isReachableSafely(parent, demands);
    // Another user can change a way that only notes may take.
    if (exists && demands.isMovable !== true) safeWays?.add(parent);
    return exists;
  } catch (error) {
    const reason = error instanceof CacheError ? error.message : getErrorCode(error);
    throw new CacheError(`${path} is not safe for tokens: ${reason}`, { hint: FOLDER_HINT });
  }
}

function failToUse(path: string, error: unknown): CacheError {
  if (error instanceof CacheError) return error;
  return new CacheError(`${path} cannot be used (${getErrorCode(error)})`, { cause: error, hint: FOLDER_HINT });
}

/**
 * Checks that the folder and all folders above it are safe to read tokens from, or that it can be created safely.
 *
 * @param safeWays the ways that this run has checked; none by default
 * @returns whether it exists
 * @throws CacheError that names the first problem
 */
export function checkCacheFolder({ path, uid, isMovable }: CacheFolder, safeWays?: SafeWays): boolean {
  try {
    const demands = isMovable === undefined ? {} : { isMovable };
    if (uid !== undefined && !checkWay(path, { uid, ...demands }, safeWays)) return false;
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return false;
    if (!stats.isDirectory()) throw new CacheError(`${path} is not a folder`, { hint: FOLDER_HINT });
    if (uid === undefined) return true;
    if (stats.uid !== uid) throw new CacheError(`${path} belongs to another user`, { hint: FOLDER_HINT });
    // It may be any folder of the user, so only the user can say whether other users need it.
    if (isOpenToOthers(stats)) {
      throw new CacheError(`${path} is open to other users`, { hint: `run "chmod 700 ${path}", or ${FOLDER_HINT}` });
    }
    return true;
  } catch (error) {
    throw failToUse(path, error);
  }
}

/** Node's own recursion reports a read-only disk as a missing folder. */
function makeFolders(path: string): void {
  if (lstatSync(dirname(path), { throwIfNoEntry: false }) === undefined) makeFolders(dirname(path));
  try {
    mkdirSync(path, { mode: FOLDER_MODE });
  } catch (error) {
    // Another run has just created it; what it is is checked afterward.
    if (getErrorCode(error) !== 'EEXIST') throw error;
  }
}

/**
 * Creates the folder if it does not exist. An existing folder stays as it is.
 *
 * @param safeWays as for {@link checkCacheFolder}
 * @throws CacheError if it cannot be created or is not safe
 */
export function ensureCacheFolder(folder: CacheFolder, safeWays?: SafeWays): void {
  const { path } = folder;
  if (checkCacheFolder(folder, safeWays)) return;
  try {
    makeFolders(path);
  } catch (error) {
    const reason = getErrorCode(error);
    throw new CacheError(`the cache folder ${path} cannot be created (${reason})`, { cause: error, hint: FOLDER_HINT });
  }
  // All of the way, of which a part may be new.
  checkCacheFolder(folder);
}
