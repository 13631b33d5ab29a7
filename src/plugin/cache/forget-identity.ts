/** Removes an identity from the cache, so that the next run that needs it logs in again. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CacheError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import type { WaitFor } from '../../shared/base/long-wait.ts';
import type { CacheFolder } from './cache-folder.ts';
import { aliasFileName, metadataFileName, parseFileName, refusalFileName } from './file-names.ts';
import { readAliasFile } from './file-store.ts';
import { acquireLocks } from './login-lock.ts';
import type { LockWaitOptions, ReleaseLock } from './login-lock.ts';
import { openTokenStore } from './open-token-store.ts';
import { removePrivateFile } from './private-file.ts';
import { readTokenMetadata } from './token-metadata.ts';
import type { TokenMetadata } from './token-metadata.ts';
import type { TokenRecord } from './token-record.ts';

/** The identity to forget, and how. */
export interface ForgetRequest {
  readonly folder: CacheFolder;
  readonly host: Host;
  /** The cache key. */
  readonly key: string;
  /** The cache key of incomplete settings that lead to `key`. */
  readonly partialKey?: string | undefined;
  /** The names of the stores to remove the token from. */
  readonly storages: readonly string[];
  /** How long to wait for a login in progress, in ms. */
  readonly maxWaitMs: number;
  /** Called once, when the wait is long enough for a user to notice. */
  readonly onLongWait: () => void;
  /** Waits for a store that can be slow; without a word by default. */
  readonly waitFor?: WaitFor;
}

/** What was forgotten. */
export interface ForgetResult {
  /** The removed records, at most one for each store. */
  readonly records: readonly TokenRecord[];
  readonly metadata: TokenMetadata | undefined;
  /** What could not be forgotten, and why. */
  readonly failures: readonly CacheError[];
  /** Whether a login was still in progress when the wait ended: its token will be cached. */
  readonly isLoginPending: boolean;
  /** Why a login could be in progress without notice, as on a full disk; undefined if the locks were available. */
  readonly lockFailure: CacheError | undefined;
}

interface NamedAliasFile {
  readonly name: string;
  /** Whether the name is the cache key of incomplete settings, and not the fingerprint of a run's inputs. */
  readonly isPartial: boolean;
}

function listAliasesOf(folder: CacheFolder, key: string): NamedAliasFile[] {
  return readdirSync(folder.path).flatMap((fileName) => {
    const file = parseFileName(fileName);
    if (file?.kind !== 'alias') return [];
    const alias = readAliasFile(folder, file.key);
    if (alias?.key !== key) return [];
    return [{ name: file.key, isPartial: alias.files.length === 0 && alias.apiVersion === undefined }];
  });
}

async function attempt(failures: CacheError[], act: () => void | Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof CacheError)) throw error;
    failures.push(error);
  }
}

type HeldLocks = Pick<ForgetResult, 'isLoginPending' | 'lockFailure'> & { readonly release: ReleaseLock };

/** Without locks, as on a full disk, what is to be forgotten is forgotten anyway. */
async function acquireIfPossible(
  folder: CacheFolder,
  keys: readonly string[],
  options: LockWaitOptions,
): Promise<HeldLocks> {
  try {
    const { release, hasAll } = await acquireLocks(folder, keys, options);
    return { release, isLoginPending: !hasAll, lockFailure: undefined };
  } catch (error) {
    if (!(error instanceof CacheError)) throw error;
    return { release: () => undefined, isLoginPending: false, lockFailure: error };
  }
}

/** Forgets an identity while it holds the login locks. A run that read the token just before may still return it. */
export async function forgetIdentity(request: ForgetRequest): Promise<ForgetResult> {
  const { folder, host, key, partialKey, storages, maxWaitMs, onLongWait, waitFor } = request;
  const ownKeys = partialKey === undefined ? [key] : [key, partialKey];
  const partialAliases = listAliasesOf(folder, key).filter(({ isPartial }) => isPartial);
  const waitOptions = { maxWaitMs, isNoLongerNeeded: () => Promise.resolve(false), onLongWait };
  const keys = [...ownKeys, ...partialAliases.map(({ name }) => name)];
  const { release, isLoginPending, lockFailure } = await acquireIfPossible(folder, keys, waitOptions);
  try {
    const metadata = readTokenMetadata(folder, key);
    const records: TokenRecord[] = [];
    const failures: CacheError[] = [];
    for (const storage of storages) {
      await attempt(failures, async () => {
        const store = await openTokenStore(storage, folder, host, waitFor);
        const record = await store?.read(key);
        await store?.remove(key);
        if (record !== undefined) records.push(record);
      });
    }
    const aliasFiles = listAliasesOf(folder, key).map(({ name }) => aliasFileName(name));
    // After a failure the metadata stays, so that the token is still listed and can be forgotten later.
    const metadataFiles = failures.length === 0 ? [metadataFileName(key)] : [];
    for (const name of [...aliasFiles, ...ownKeys.map(refusalFileName), ...metadataFiles]) {
      await attempt(failures, () => {
        removePrivateFile(join(folder.path, name), folder.uid);
      });
    }
    return { records, metadata, failures, isLoginPending, lockFailure };
  } finally {
    release();
  }
}
