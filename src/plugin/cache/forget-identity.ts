/** Taking an identity out of the cache, so that the next run that needs it logs in anew. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CacheError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { aboutFile, readAbout } from './token-metadata.ts';
import type { About } from './token-metadata.ts';
import { readAliasFile } from './file-store.ts';
import type { Folder } from './file-store.ts';
import { takeLock } from './login-lock.ts';
import type { Release, Waiting } from './login-lock.ts';
import { removePrivate } from './private-file.ts';
import type { TokenRecord } from './cached-token.ts';
import { refusalFile } from './refusals.ts';
import { openStore } from './token-store.ts';

/** What to forget. */
export interface Forgetting {
  readonly folder: Folder;
  readonly host: Host;
  /** The canonical key. */
  readonly key: string;
  /** The key of incomplete settings that lead to it. */
  readonly partialKey?: string | undefined;
  /** Names of `STORES`. */
  readonly storages: readonly string[];
  /** How long a login that is under way is waited for, in ms. */
  readonly longestMs: number;
  /** Called once, when a person would begin to wonder. */
  readonly onLong: () => void;
}

/** What was forgotten. */
export interface Forgotten {
  /** What was kept, one for each storage that held any. */
  readonly records: readonly TokenRecord[];
  readonly about: About | undefined;
  /** What could not be forgotten, and why. */
  readonly failures: readonly CacheError[];
  /** Whether a login was still under way at the end of the wait: what it gets is kept. */
  readonly overtaken: boolean;
}

interface NamedAliasFile {
  readonly name: string;
  /** The key of incomplete settings; else the fingerprint of a run's inputs. */
  readonly partial: boolean;
}

const ALIAS = /^([0-9a-f]{64})\.alias$/;

/** Aliases that lead to `key`. */
function listAliases(folder: Folder, key: string): NamedAliasFile[] {
  return readdirSync(folder.path).flatMap((file) => {
    const name = ALIAS.exec(file)?.[1];
    const alias = name === undefined ? undefined : readAliasFile(folder, name);
    if (name === undefined || alias?.key !== key) return [];
    return [{ name, partial: alias.files.length === 0 && alias.apiVersion === undefined }];
  });
}

/** Locks of several keys. */
interface Locks {
  readonly release: Release;
  /** Whether each of them is held. */
  readonly complete: boolean;
}

/** Takes the locks of several keys, always in the same order, so that two that do so do not wait for each other. */
export async function takeLocks(folder: Folder, keys: readonly string[], waiting: Waiting): Promise<Locks> {
  // Keys that begin alike share a lock.
  const distinct = new Map(keys.toSorted().map((key) => [key.slice(0, 2), key]));
  const releases: (Release | undefined)[] = [];
  const release = (): void => {
    for (const give of releases) give?.();
  };
  try {
    for (const key of distinct.values()) releases.push(await takeLock(folder, key, waiting));
  } catch (error) {
    release();
    throw error;
  }
  return { release, complete: !releases.includes(undefined) };
}

async function attempt(failures: CacheError[], act: () => void | Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof CacheError)) throw error;
    failures.push(error);
  }
}

/**
 * Forgets an identity, while nobody logs in for it. A run that has read the token just before may still give it.
 *
 * @throws CacheError when no lock can be had
 */
export async function forgetIdentity(forgetting: Forgetting): Promise<Forgotten> {
  const { folder, host, key, partialKey, storages, longestMs, onLong } = forgetting;
  const own = partialKey === undefined ? [key] : [key, partialKey];
  const partial = listAliases(folder, key).filter((alias) => alias.partial);
  const waiting = { longestMs, isOver: () => Promise.resolve(false), onLong };
  const locks = await takeLocks(folder, [...own, ...partial.map(({ name }) => name)], waiting);
  try {
    const about = readAbout(folder, key);
    const records: TokenRecord[] = [];
    const failures: CacheError[] = [];
    for (const storage of storages) {
      await attempt(failures, async () => {
        const store = await openStore(storage, folder, host);
        const record = await store?.read(key);
        await store?.remove(key);
        if (record !== undefined) records.push(record);
      });
    }
    const names = listAliases(folder, key).map(({ name }) => `${name}.alias`);
    // What cannot be forgotten must be found again.
    const whose = failures.length === 0 ? [aboutFile(key)] : [];
    for (const name of [...names, ...own.map(refusalFile), ...whose]) {
      await attempt(failures, () => {
        removePrivate(join(folder.path, name), folder.uid);
      });
    }
    return { records, about, failures, overtaken: !locks.complete };
  } finally {
    locks.release();
  }
}
