/** The files of the cache's folder: what each is, and whether it is as it should be. */
import { lstatSync, readdirSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { readTokenMetadata } from './token-metadata.ts';
import { readAliasFile, readRecordFile } from './file-store.ts';
import type { CacheFolder } from './file-store.ts';
import { readSavedSecretNote } from './saved-secret.ts';
import { isValidRefusalFile } from './refusals.ts';

/**
 * - `fine`: it is what it should be
 * - `ended`: it has lost its meaning
 * - `broken`: it is ours, and no run believes it
 * - `refused`: a link, a folder or another user's file under a name of ours
 * - `foreign`: not of this program
 */
export type FileState = 'fine' | 'ended' | 'broken' | 'refused' | 'foreign';

/** A file of the folder. */
export interface CachedFile {
  readonly name: string;
  /** What it is, as a noun. */
  readonly what: string;
  readonly bytes: number;
  /** ms since 1970, UTC. */
  readonly writtenAt: number;
  /** When it loses its meaning, ms since 1970, UTC; undefined where it has no end. */
  readonly endsAt: number | undefined;
  readonly state: FileState;
  /** The key whose lock its writer holds, where it matters that nobody writes it meanwhile. */
  readonly lockKey: string | undefined;
  /** Whether it is part of the cache: what can be had again. */
  readonly isRemovable: boolean;
}

interface Kind {
  /** With the key as its first group, where it has one. */
  readonly pattern: RegExp;
  readonly what: string;
  /** Whether its time of modification is that of its end. */
  readonly mortal: boolean;
  readonly isRemovable: boolean;
  /** Whether to hold the lock of its key before it is removed. */
  readonly locked?: true;
  /** Whether a run would believe what is in it. */
  readonly isWhole?: (folder: CacheFolder, key: string) => boolean;
}

const named = (ending: string): RegExp => new RegExp(`^([0-9a-f]{64})\\.${ending}$`);

/** How long a writer takes for a temporary file, at the most. */
const TEMPORARY_MS = 60_000;
const TEMPORARY = /^\.(?:[0-9a-f]{64}\.[a-z]+|keyring-[0-9a-f]{64}\.node)\.[0-9a-z]+$/;

const KINDS: readonly Kind[] = [
  {
    pattern: named('token'),
    what: 'token',
    mortal: true,
    isRemovable: true,
    locked: true,
    isWhole: (folder, key) => readRecordFile(folder, key) !== undefined,
  },
  {
    pattern: named('about'),
    what: 'whose a token is',
    mortal: true,
    isRemovable: true,
    locked: true,
    isWhole: (folder, key) => readTokenMetadata(folder, key) !== undefined,
  },
  {
    pattern: named('alias'),
    what: 'way from settings to a token',
    mortal: true,
    isRemovable: true,
    isWhole: (folder, key) => readAliasFile(folder, key) !== undefined,
  },
  {
    pattern: named('refused'),
    what: 'refused login',
    mortal: true,
    isRemovable: true,
    isWhole: (folder, key) => isValidRefusalFile(folder, key),
  },
  {
    pattern: named('kept'),
    what: 'note of a secret in the keyring',
    mortal: false,
    isRemovable: false,
    isWhole: (folder, key) => readSavedSecretNote(folder, key) !== undefined,
  },
  { pattern: /^handed-out$/, what: 'which kubectl has got which token', mortal: false, isRemovable: true },
  { pattern: /^keyring-[0-9a-f]{64}\.node$/, what: 'native part of the keyring', mortal: false, isRemovable: true },
  // Never to be removed: whoever waits on one that is gone waits for nobody.
  { pattern: /^[0-9a-f]{2}\.lock(?:-journal)?$/, what: 'lock', mortal: false, isRemovable: false },
  { pattern: TEMPORARY, what: 'what an interrupted run has left', mortal: true, isRemovable: true },
];

function isOurs(stats: Stats, uid: number | undefined): boolean {
  return stats.isFile() && (uid === undefined || stats.uid === uid);
}

function isClosed(stats: Stats, uid: number | undefined): boolean {
  return stats.nlink === 1 && (uid === undefined || (stats.mode & 0o077) === 0);
}

function judge(folder: CacheFolder, name: string, stats: Stats, now: number): CachedFile {
  const kind = KINDS.find(({ pattern }) => pattern.test(name));
  const common = { name, bytes: stats.size, writtenAt: stats.ctimeMs };
  if (kind === undefined) {
    return {
      ...common,
      what: 'not of this program',
      endsAt: undefined,
      state: 'foreign',
      lockKey: undefined,
      isRemovable: false,
    };
  }
  const { pattern, what, mortal, isRemovable, locked, isWhole } = kind;
  const key = pattern.exec(name)?.[1];
  const endsAt = !mortal ? undefined : pattern === TEMPORARY ? stats.ctimeMs + TEMPORARY_MS : stats.mtimeMs;
  const state = ((): FileState => {
    if (!isOurs(stats, folder.uid)) return 'refused';
    if (!isClosed(stats, folder.uid) || isWhole?.(folder, key ?? '') === false) return 'broken';
    return endsAt !== undefined && endsAt < now ? 'ended' : 'fine';
  })();
  return { ...common, what, endsAt, state, lockKey: locked === true ? key : undefined, isRemovable };
}

/**
 * Looks at one file; undefined where it is gone.
 *
 * @param now ms since 1970, UTC
 */
export function inspectFile(folder: CacheFolder, name: string, now: number): CachedFile | undefined {
  const stats = lstatSync(join(folder.path, name), { throwIfNoEntry: false });
  return stats === undefined ? undefined : judge(folder, name, stats, now);
}

/**
 * Looks at every file of the folder, by name.
 *
 * @param now ms since 1970, UTC
 */
export function listCachedFiles(folder: CacheFolder, now: number): readonly CachedFile[] {
  return readdirSync(folder.path)
    .toSorted()
    .flatMap((name) => inspectFile(folder, name, now) ?? []);
}
