import type { CacheError } from '../../shared/base/errors.ts';
import { checkCacheFolder, ensureCacheFolder } from './cache-folder.ts';
import type { CacheFolder, SafeWays } from './cache-folder.ts';
import { makeCachePart } from './cache-part.ts';
import type { CachePart } from './cache-part.ts';

/** Several folders that take each other's place: one that fails is not used again in this run. */
export interface CachePlaces {
  /** The first folder that is safe, whether it exists or not; undefined if there is none. */
  readonly findFirst: () => CacheFolder | undefined;
  /** Calls `act` with each folder that is safe, until it returns a value. */
  readonly search: <T>(act: (folder: CacheFolder) => T | undefined) => T | undefined;
  /** The same for an asynchronous `act`. */
  readonly searchAsync: <T>(act: (folder: CacheFolder) => Promise<T | undefined>) => Promise<T | undefined>;
  /** Calls `act` with the first folder in which it does not fail. The folder is created before its first use. */
  readonly write: <T>(act: (folder: CacheFolder) => T) => T | undefined;
  /** The same for an asynchronous `act`. */
  readonly writeAsync: <T>(act: (folder: CacheFolder) => Promise<T>) => Promise<T | undefined>;
}

/** A folder of which each step is checked once before the first use: a run that only reads creates nothing. */
interface Place {
  readonly part: CachePart;
  readonly check: (folder: CacheFolder) => void;
  readonly create: (folder: CacheFolder) => void;
}

function once<T>(act: (value: T) => void): (value: T) => void {
  let isDone = false;
  return (value) => {
    if (!isDone) act(value);
    isDone = true;
  };
}

/** Makes a function that prepares a folder before it acts on it. */
const preparing =
  <T>(prepare: (folder: CacheFolder) => void, act: (folder: CacheFolder) => T) =>
  (folder: CacheFolder): T => {
    prepare(folder);
    return act(folder);
  };

/**
 * Makes the places of a part of the cache.
 *
 * @param folders in the order in which they are tried
 * @param onFailure called with the first failure of each folder
 * @param safeWays what all parts of a run share; see {@link SafeWays}
 */
export function makeCachePlaces(
  folders: readonly CacheFolder[],
  onFailure: (error: CacheError, folder: CacheFolder) => void,
  safeWays: SafeWays = new Set(),
): CachePlaces {
  const places = folders.map((folder): Place => {
    const part = makeCachePart(folder, (error) => {
      onFailure(error, folder);
    });
    const check = once<CacheFolder>((each) => void checkCacheFolder(each, safeWays));
    const create = once<CacheFolder>((each) => {
      ensureCacheFolder(each, safeWays);
    });
    return { part, check, create };
  });
  const search = <T>(act: (folder: CacheFolder) => T | undefined): T | undefined => {
    for (const { part, check } of places) {
      const found = part.attempt(preparing(check, act));
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return {
    search,
    findFirst: () => search((folder) => folder),
    async searchAsync(act) {
      for (const { part, check } of places) {
        const found = await part.attemptAsync(preparing(check, act));
        if (found !== undefined) return found;
      }
      return undefined;
    },
    write(act) {
      for (const { part, create } of places) {
        const result = part.attempt(preparing(create, act));
        if (part.isUsable()) return result;
      }
      return undefined;
    },
    async writeAsync(act) {
      for (const { part, create } of places) {
        const result = await part.attemptAsync(preparing(create, act));
        if (part.isUsable()) return result;
      }
      return undefined;
    },
  };
}
