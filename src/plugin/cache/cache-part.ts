import { CacheError } from '../../shared/base/errors.ts';
import type { CacheFolder } from './cache-folder.ts';

/** A part of the cache that is not used again in this run after its first failure. */
export interface CachePart {
  readonly isUsable: () => boolean;
  /** Runs `act` if the part is usable; undefined if it is not, or if `act` throws a CacheError. */
  readonly attempt: <T>(act: (folder: CacheFolder) => T) => T | undefined;
  /** The same for an asynchronous `act`. */
  readonly attemptAsync: <T>(act: (folder: CacheFolder) => Promise<T>) => Promise<T | undefined>;
}

/**
 * Makes a part of the cache.
 *
 * @param folder undefined makes a part that is never usable
 * @param onFailure called once, with the first failure
 */
export function makeCachePart(folder: CacheFolder | undefined, onFailure: (error: CacheError) => void): CachePart {
  let usableFolder = folder;
  const disable = (error: unknown): void => {
    if (!(error instanceof CacheError)) throw error;
    usableFolder = undefined;
    onFailure(error);
  };
  return {
    isUsable: () => usableFolder !== undefined,
    attempt(act) {
      try {
        return usableFolder === undefined ? undefined : act(usableFolder);
      } catch (error) {
        disable(error);
        return undefined;
      }
    },
    async attemptAsync(act) {
      try {
        return usableFolder === undefined ? undefined : await act(usableFolder);
      } catch (error) {
        disable(error);
        return undefined;
      }
    },
  };
}
