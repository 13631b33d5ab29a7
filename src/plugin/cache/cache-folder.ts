import { chmodSync, lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { CacheError, getErrorCode } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';

const NAME = 'client-keystone-auth';

/** The variable and the flag that move the folder. The hit path looks for the flag itself: it parses no others. */
const VARIABLE = 'CLIENT_KEYSTONE_AUTH_CACHE_DIR';
const FLAG = '--cache-dir';

const FOLDER_MODE = 0o700;
const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;
const OTHERS_ENTER = 0o011;
const STICKY = 0o1000;

type Base = (host: Host) => string | undefined;

const BASES: Partial<Record<NodeJS.Platform, Base>> = {
  win32: (host) => host.env['LOCALAPPDATA'],
  darwin: (host) => under(host.home(), 'Library', 'Caches'),
};

/** The XDG Base Directory Specification: a relative path is to be ignored. */
const xdg: Base = (host) => {
  const set = host.env['XDG_CACHE_HOME'];
  return set !== undefined && isAbsolute(set) ? set : under(host.home(), '.cache');
};

function under(base: string | undefined, ...names: string[]): string | undefined {
  return base === undefined ? undefined : join(base, ...names);
}

function chosenFolder({ argv, env }: Host): string | undefined {
  const index = argv.findLastIndex((argument) => argument === FLAG || argument.startsWith(`${FLAG}=`));
  const flag = argv[index] === FLAG ? argv[index + 1] : argv[index]?.slice(FLAG.length + 1);
  return [flag, env[VARIABLE]].find((path) => path !== undefined && path !== '');
}

/** The folder of the token cache, or undefined where the user has none: there is no fallback to a shared /tmp. */
export function resolveCacheFolder(host: Host): string | undefined {
  const chosen = chosenFolder(host);
  if (chosen !== undefined) return resolve(host.cwd, chosen);
  const base = (BASES[host.platform] ?? xdg)(host);
  return base !== undefined && isAbsolute(base) ? join(base, NAME) : undefined;
}

function listAncestors(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [] : [...listAncestors(parent), parent];
}

/**
 * Why somebody else could swap what lies below `path`, or undefined. Owners must be root or we; nobody else may write,
 * except where a sticky bit keeps entries to their owners, or where no one else gets past a folder of ours above.
 */
function findWeakness(path: string, uid: number): string | undefined {
  let closed = false;
  for (const ancestor of listAncestors(path)) {
    const stats = lstatSync(ancestor);
    if (stats.uid !== 0 && stats.uid !== uid) return `${ancestor} belongs to another user`;
    if (stats.isSymbolicLink()) continue;
    const loose = (stats.mode & OTHERS_WRITE) !== 0 && (stats.mode & STICKY) === 0;
    if (loose && !closed) return `${ancestor} can be written by others`;
    closed ||= stats.uid === uid && (stats.mode & OTHERS_ENTER) === 0;
  }
  return undefined;
}

/**
 * Whether the folder and all above it are safe to read tokens from.
 *
 * @throws CacheError saying what is not
 */
export function checkCacheFolder(folder: string, uid: number | undefined): void {
  try {
    const stats = lstatSync(folder);
    if (!stats.isDirectory()) throw new CacheError(`${folder} is not a folder`);
    if (uid === undefined) return;
    if (stats.uid !== uid) throw new CacheError(`${folder} belongs to another user`);
    if ((stats.mode & OTHERS) !== 0) throw new CacheError(`${folder} is open to others`);
    const real = realpathSync(folder);
    const weakness = findWeakness(folder, uid) ?? (real === folder ? undefined : findWeakness(real, uid));
    if (weakness !== undefined) throw new CacheError(`tokens are not kept in ${folder}: ${weakness}`);
  } catch (error) {
    throw error instanceof CacheError
      ? error
      : new CacheError(`${folder} cannot be used (${getErrorCode(error)})`, { cause: error });
  }
}

/**
 * Makes the folder, or takes the rights of others away from one that is ours, and checks it.
 *
 * @throws CacheError when it cannot be made or is not safe
 */
export function ensureCacheFolder(folder: string, uid: number | undefined): void {
  try {
    mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
    const stats = lstatSync(folder);
    if (stats.uid === uid && stats.isDirectory() && (stats.mode & OTHERS) !== 0) chmodSync(folder, FOLDER_MODE);
  } catch (error) {
    throw new CacheError(`the token cache in ${folder} cannot be made (${getErrorCode(error)})`, { cause: error });
  }
  checkCacheFolder(folder, uid);
}
