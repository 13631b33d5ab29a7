/** The files in the cache folder: what each file is, and whether it is valid. */
import { lstatSync, readdirSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { join } from 'node:path';
import type { CacheFolder } from './cache-folder.ts';
import { MAX_WRITE_MS, parseFileName } from './file-names.ts';
import type { CacheFileKind } from './file-names.ts';
import { readAliasFile, readRecordFile } from './file-store.ts';
import { isOwnFile, isPrivate } from './private-file.ts';
import { isValidRefusalFile } from './refusals.ts';
import { readSavedSecretNote } from './saved-secret.ts';
import { readTokenMetadata } from './token-metadata.ts';

/**
 * - `fine`: it is valid
 * - `ended`: it has expired
 * - `broken`: it is the user's, and it is damaged or open to other users, so no run uses it
 * - `refused`: a link, a folder or another user's file with the name of a cache file
 * - `foreign`: it does not belong to this program
 */
export type FileState = 'fine' | 'ended' | 'broken' | 'refused' | 'foreign';

/** A file of the folder. */
export interface CachedFile {
  readonly name: string;
  /** What the file is, as a noun. */
  readonly what: string;
  readonly bytes: number;
  /** ms since 1970, UTC. */
  readonly writtenAt: number;
  /** When the file expires, ms since 1970, UTC; undefined if it does not expire. */
  readonly endsAt: number | undefined;
  readonly state: FileState;
  /** The cache key that must be locked before the file is removed; undefined if no lock is needed. */
  readonly lockKey: string | undefined;
  /** Whether `cache clean` may remove it, because a later run can create it again. */
  readonly isRemovable: boolean;
}

interface KindTraits {
  readonly what: string;
  /** Whether the modification time is the time of expiry. */
  readonly expires?: true;
  readonly isRemovable: boolean;
  /** Whether to hold the lock of its key while it is removed. */
  readonly needsLock?: true;
  /** Whether a run would accept its content. */
  readonly isValid?: (folder: CacheFolder, key: string) => boolean;
}

const KINDS: Readonly<Record<CacheFileKind, KindTraits>> = {
  token: {
    what: 'token',
    expires: true,
    isRemovable: true,
    needsLock: true,
    isValid: (folder, key) => readRecordFile(folder, key) !== undefined,
  },
  metadata: {
    what: 'token metadata',
    expires: true,
    isRemovable: true,
    needsLock: true,
    isValid: (folder, key) => readTokenMetadata(folder, key) !== undefined,
  },
  alias: {
    what: 'alias',
    expires: true,
    isRemovable: true,
    isValid: (folder, key) => readAliasFile(folder, key) !== undefined,
  },
  refusal: { what: 'rejected login', expires: true, isRemovable: true, isValid: isValidRefusalFile },
  'saved-secret': {
    what: 'note about a saved secret',
    isRemovable: false,
    isValid: (folder, key) => readSavedSecretNote(folder, key) !== undefined,
  },
  'handed-out': { what: 'tokens handed out to kubectl', isRemovable: true },
  warned: { what: 'kubectl commands that were warned', expires: true, isRemovable: true },
  'keyring-addon': { what: 'keyring library', isRemovable: true },
  lock: { what: 'lock', isRemovable: false },
  'terminal-lock': { what: 'lock of a terminal', expires: true, isRemovable: true },
  temporary: { what: 'leftover of an interrupted run', isRemovable: true },
};

function determineExpiry(kind: CacheFileKind, stats: Stats): number | undefined {
  if (kind === 'temporary') return stats.ctimeMs + MAX_WRITE_MS;
  return KINDS[kind].expires ? stats.mtimeMs : undefined;
}

function describeFile(folder: CacheFolder, name: string, stats: Stats, now: number): CachedFile {
  const file = parseFileName(name);
  const common = { name, bytes: stats.size, writtenAt: stats.ctimeMs };
  if (file === undefined) {
    const state = 'foreign';
    const what = 'not a file of this program';
    return { ...common, what, endsAt: undefined, state, lockKey: undefined, isRemovable: false };
  }
  const { kind, key } = file;
  const { what, isRemovable, needsLock, isValid } = KINDS[kind];
  const endsAt = determineExpiry(kind, stats);
  const determineState = (): FileState => {
    if (!isOwnFile(stats, folder.uid)) return 'refused';
    if (!isPrivate(stats, folder.uid) || isValid?.(folder, key ?? '') === false) return 'broken';
    return endsAt !== undefined && endsAt < now ? 'ended' : 'fine';
  };
  return { ...common, what, endsAt, state: determineState(), lockKey: needsLock ? key : undefined, isRemovable };
}

/**
 * Inspects one file; undefined if it no longer exists.
 *
 * @param now ms since 1970, UTC
 */
export function inspectFile(folder: CacheFolder, name: string, now: number): CachedFile | undefined {
  const stats = lstatSync(join(folder.path, name), { throwIfNoEntry: false });
  return stats === undefined ? undefined : describeFile(folder, name, stats, now);
}

/**
 * Inspects every file of the folder, sorted by name.
 *
 * @param now ms since 1970, UTC
 */
export function listCachedFiles(folder: CacheFolder, now: number): readonly CachedFile[] {
  return readdirSync(folder.path)
    .toSorted()
    .flatMap((name) => inspectFile(folder, name, now) ?? []);
}
