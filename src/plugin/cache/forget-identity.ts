/** Taking an identity out of the cache, so that the next run that needs it logs in anew. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CacheError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { metadataFileName, readTokenMetadata } from './token-metadata.ts';
import type { TokenMetadata } from './token-metadata.ts';
import { readAliasFile } from './file-store.ts';
import type { CacheFolder } from './file-store.ts';
import { acquireLock } from './login-lock.ts';
import type { ReleaseLock, LockWaitOptions } from './login-lock.ts';
import { removePrivateFile } from './private-file.ts';
import type { TokenRecord } from './token-record.ts';
import { refusalFileName } from './refusals.ts';
import { openTokenStore } from './token-store.ts';

/** What to forget. */
export interface ForgetRequest {
  readonly folder: CacheFolder;
  readonly host: Host;
  /** The canonical key. */
  readonly key: string;
  /** The key of incomplete settings that lead to it. */
  readonly partialKey?: string | undefined;
  /** Names of `STORES`. */
  readonly storages: readonly string[];
  /** How long a login that is under way is waited for, in ms. */
  readonly maxWaitMs: number;
  /** Called once, when a person would begin to wonder. */
  readonly onLongWait: () => void;
}

/** What was forgotten. */
export interface ForgetResult {
  /** What was kept, one for each storage that held any. */
  readonly records: readonly TokenRecord[];
  readonly metadata: TokenMetadata | undefined;
  /** What could not be forgotten, and why. */
  readonly failures: readonly CacheError[];
  /** Whether a login was still under way at the end of the wait: what it gets is kept. */
  readonly isLoginPending: boolean;
}

interface NamedAliasFile {
  readonly name: string;
  /** The key of incomplete settings; else the fingerprint of a run's inputs. */
  readonly partial: boolean;
}

const ALIAS = /^([0-9a-f]{64})\.alias$/;

/** Aliases that lead to `key`. */
function listAliases(folder: CacheFolder, key: string): NamedAliasFile[] {
  return readdirSync(folder.path).flatMap((file) => {
    const name = ALIAS.exec(file)?.[1];
    const alias = name === undefined ? undefined : readAliasFile(folder, name);
    if (name === undefined || alias?.key !== key) return [];
    return [{ name, partial: alias.files.length === 0 && alias.apiVersion === undefined }];
  });
}

/** Locks of several keys. */
interface Locks {
  readonly release: ReleaseLock;
  /** Whether each of them is held. */
  readonly hasAll: boolean;
}

/** Takes the locks of several keys, always in the same order, so that two that do so do not wait for each other. */
export async function acquireLocks(
  folder: CacheFolder,
  keys: readonly string[],
  waiting: LockWaitOptions,
): Promise<Locks> {
  // Keys that begin alike share a lock.
  const distinct = new Map(keys.toSorted().map((key) => [key.slice(0, 2), key]));
  const releases: (ReleaseLock | undefined)[] = [];
  const release = (): void => {
    for (const give of releases) give?.();
  };
  try {
    for (const key of distinct.values()) releases.push(await acquireLock(folder, key, waiting));
  } catch (error) {
    release();
    throw error;
  }
  return { release, hasAll: !releases.includes(undefined) };
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
export async function forgetIdentity(forgetting: ForgetRequest): Promise<ForgetResult> {
  const { folder, host, key, partialKey, storages, maxWaitMs, onLongWait } = forgetting;
  const own = partialKey === undefined ? [key] : [key, partialKey];
  const partial = listAliases(folder, key).filter((alias) => alias.partial);
  const waiting = { maxWaitMs, isNoLongerNeeded: () => Promise.resolve(false), onLongWait };
  const locks = await acquireLocks(folder, [...own, ...partial.map(({ name }) => name)], waiting);
  try {
    const metadata = readTokenMetadata(folder, key);
    const records: TokenRecord[] = [];
    const failures: CacheError[] = [];
    for (const storage of storages) {
      await attempt(failures, async () => {
        const store = await openTokenStore(storage, folder, host);
        const record = await store?.read(key);
        await store?.remove(key);
        if (record !== undefined) records.push(record);
      });
    }
    const names = listAliases(folder, key).map(({ name }) => `${name}.alias`);
    // What cannot be forgotten must be found again.
    const whose = failures.length === 0 ? [metadataFileName(key)] : [];
    for (const name of [...names, ...own.map(refusalFileName), ...whose]) {
      await attempt(failures, () => {
        removePrivateFile(join(folder.path, name), folder.uid);
      });
    }
    return { records, metadata, failures, isLoginPending: !locks.hasAll };
  } finally {
    locks.release();
  }
}
