import type { CacheFolder, SafeWays } from './cache-folder.ts';
import { makeCachePlaces } from './cache-places.ts';
import type { CachePlaces } from './cache-places.ts';

/** The places of notes. */
export type NotePlaces = Pick<CachePlaces, 'search' | 'write'>;

/**
 * Makes the places for notes that hold no token. If another user has taken the names of all other places, or could move
 * them, there are further ones, see decision 0038.
 */
export function makeNotePlaces(
  folders: readonly CacheFolder[],
  hidden: readonly CacheFolder[],
  safeWays: SafeWays,
): NotePlaces {
  const ignore = (): void => undefined;
  const movable = folders.map((folder): CacheFolder => ({ ...folder, isMovable: true }));
  const kinds = [folders, hidden, movable].map((each) => makeCachePlaces(each, ignore, safeWays));
  return {
    search<T>(act: (folder: CacheFolder) => T | undefined): T | undefined {
      for (const places of kinds) {
        const found = places.search(act);
        if (found !== undefined) return found;
      }
      return undefined;
    },
    write<T>(act: (folder: CacheFolder) => T): T | undefined {
      for (const places of kinds) {
        const result = places.write(act);
        if (places.findFirst() !== undefined) return result;
      }
      return undefined;
    },
  };
}
