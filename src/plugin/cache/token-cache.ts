/**
 * The cache of one run: tokens, aliases, the login lock and the memory of refusals. A failure of the cache costs at
 * most one warning; the run still returns a token.
 */
import type { CacheError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import type { WaitFor } from '../../shared/base/long-wait.ts';
import { checkCacheFolder, ensureCacheFolder, resolveCacheFolder } from './cache-folder.ts';
import type { CacheFolder } from './cache-folder.ts';
import { makeCachePart } from './cache-part.ts';
import type { CachePart } from './cache-part.ts';
import { readAliasFile, writeAliasFile } from './file-store.ts';
import { markConfirmed, markHandedOut } from './handed-out-tokens.ts';
import type { HandOutState } from './handed-out-tokens.ts';
import { acquireLock } from './login-lock.ts';
import type { ReleaseLock, LockWaitOptions } from './login-lock.ts';
import { openTokenStore } from './open-token-store.ts';
import { prune } from './prune.ts';
import type { CallerProcesses } from './credential-tag.ts';
import { findRefusal, forgetRefusals, rememberRefusal } from './refusals.ts';
import type { LoginFailure, Refusal, RefusalContext, RefusalSubject, SentCredential } from './refusals.ts';
import { writeTokenMetadata } from './token-metadata.ts';
import type { TokenOwner } from './token-metadata.ts';
import { computeRetentionEnd } from './token-record.ts';
import type { Alias, CachedToken, TokenRecord } from './token-record.ts';

/** An alias and its name: a fingerprint, or the cache key of incomplete settings. */
export type NamedAlias = readonly [name: string, alias: Alias];

interface HandOutLog {
  /**
   * Records that kubectl receives `token`.
   *
   * @returns what the same kubectl process had received before
   */
  handOut(token: string): HandOutState;
  /** Records that Keystone confirmed or replaced the token, so that it is not asked again for a while. */
  confirm(token: string): void;
}

interface RefusalMemory {
  /**
   * Finds the refusal because of which a login must not be sent yet.
   *
   * @param sent what the login would send; empty if that is not known before the user answers
   */
  findRefusal(key: string, sent: readonly SentCredential[]): Refusal | undefined;
  rememberRefusal(key: string, subject: RefusalSubject, failure: LoginFailure): void;
  /** Forgets all refusals of a key after a successful login. */
  forgetRefusals(key: string): void;
}

export interface TokenCache extends HandOutLog, RefusalMemory {
  /** Whether the fast path can find the tokens that are stored here. */
  readonly onFastPath: boolean;
  /** Reads the token stored under `key`, or under the key that the alias of this name leads to. */
  read(key: string): Promise<CachedToken | undefined>;
  /**
   * Stores a record and the aliases that lead to it, and removes expired files.
   *
   * @param owner undefined leaves the stored metadata of the key unchanged
   */
  store(key: string, record: TokenRecord, aliases: readonly NamedAlias[], owner?: TokenOwner): Promise<void>;
  storeAliases(record: TokenRecord, aliases: readonly NamedAlias[]): void;
  /** Waits for the login lock of `key`; undefined if the wait ended without it, or locks are not available. */
  lock(key: string, options: LockWaitOptions): Promise<ReleaseLock | undefined>;
}

/** What {@link openTokenCache} needs to know about the run. */
export interface CacheSettings {
  readonly host: Host;
  /** The name of a store: `file`, `keyring` or `none`. */
  readonly storage: string;
  /** Whether kubectl runs the plugin: only kubectl runs it again because the cluster rejected the token. */
  readonly isForKubectl: boolean;
  readonly warn: (message: string) => void;
  /** Waits for a store that can be slow; without a word by default. */
  readonly waitFor?: WaitFor;
}

/** Returns the same part, with its folder created before the first use: a run that only reads creates nothing. */
function creatingFolder({ isUsable, attempt, attemptAsync }: CachePart): CachePart {
  let isCreated = false;
  const create = (folder: CacheFolder): void => {
    if (!isCreated) ensureCacheFolder(folder);
    isCreated = true;
  };
  return {
    isUsable,
    attempt: (act) =>
      attempt((folder) => {
        create(folder);
        return act(folder);
      }),
    attemptAsync: (act) =>
      attemptAsync(async (folder) => {
        create(folder);
        return act(folder);
      }),
  };
}

function makeHandOutLog(files: CachePart, { parent, isForKubectl }: CallerProcesses, host: Host): HandOutLog {
  if (!isForKubectl || parent === undefined) return { handOut: () => 'nothing', confirm: () => undefined };
  return {
    handOut: (token) =>
      files.attempt((folder) => markHandedOut({ folder, parent: parent.id, now: host.now() }, token)) ?? 'nothing',
    confirm(token) {
      files.attempt((folder) => {
        markConfirmed({ folder, parent: parent.id, now: host.now() }, token);
      });
    },
  };
}

/** @param parts for reading, and for writing */
function makeRefusalMemory(
  { read, written }: { readonly read: CachePart; readonly written: CachePart },
  callers: CallerProcesses,
  host: Host,
): RefusalMemory {
  const makeContext = (folder: CacheFolder, key: string): RefusalContext => ({ folder, key, callers, now: host.now() });
  return {
    findRefusal: (key, sent) => read.attempt((folder) => findRefusal(makeContext(folder, key), sent)),
    rememberRefusal(key, subject, failure) {
      written.attempt((folder) => {
        rememberRefusal(makeContext(folder, key), subject, failure);
      });
    },
    forgetRefusals(key) {
      read.attempt((folder) => {
        forgetRefusals(folder, key);
      });
    },
  };
}

/** Opens the cache of a run. */
export async function openTokenCache({
  host,
  storage,
  isForKubectl,
  warn,
  waitFor,
}: CacheSettings): Promise<TokenCache> {
  const cacheFolder = storage === 'none' ? undefined : resolveCacheFolder(host);
  if (storage !== 'none' && cacheFolder === undefined)
    warn('there is no home folder to store the token in; the next run will log in again');
  let hasWarned = false;
  const warnOnce = ({ message, hint }: CacheError): void => {
    const remedy = hint === undefined ? '' : `, unless you ${hint}`;
    if (!hasWarned) warn(`${message}; the next run will log in again${remedy}`);
    hasWarned = true;
  };
  // If the keyring fails, the lock and the memory of refusals still work, because they are files.
  const files = makeCachePart(cacheFolder, warnOnce);
  const records = makeCachePart(cacheFolder, warnOnce);
  // Without metadata only lists of tokens show less, so a failure needs no warning.
  const metadata = makeCachePart(cacheFolder, () => undefined);
  files.attempt(checkCacheFolder);
  const written = { files: creatingFolder(files), records: creatingFolder(records) };
  const store = files.isUsable()
    ? await records.attemptAsync((folder) => openTokenStore(storage, folder, host, waitFor))
    : undefined;

  const storeMetadata = (key: string, record: TokenRecord, owner: TokenOwner): void => {
    if (!records.isUsable() || !files.isUsable()) return;
    const { expiresAt, refresh } = record;
    const isRenewable = refresh !== undefined;
    metadata.attempt((folder) => {
      writeTokenMetadata(folder, key, { ...owner, expiresAt, isRenewable, storage }, computeRetentionEnd(record));
    });
  };
  const storeAliases = (record: TokenRecord, aliases: readonly NamedAlias[]): void => {
    written.files.attempt((folder) => {
      for (const [name, alias] of aliases) writeAliasFile(folder, name, alias, computeRetentionEnd(record));
      prune(folder, host.now());
    });
  };
  const callers = { host, parent: host.identifyParent(), isForKubectl };

  return {
    onFastPath: store?.onFastPath ?? false,
    async read(name) {
      const key = files.attempt((folder) => readAliasFile(folder, name)?.key) ?? name;
      const record = await records.attemptAsync(async () => store?.read(key));
      return record === undefined ? undefined : { key, record };
    },
    async store(key, record, aliases, owner) {
      await written.records.attemptAsync(async () => store?.write(key, record));
      if (owner !== undefined) storeMetadata(key, record, owner);
      files.attempt((folder) => {
        forgetRefusals(folder, key);
      });
      storeAliases(record, aliases);
    },
    storeAliases(record, aliases) {
      // A run without aliases has written nothing, so there is nothing to prune.
      if (aliases.length > 0) storeAliases(record, aliases);
    },
    lock: (key, options) => written.files.attemptAsync((folder) => acquireLock(folder, key, options)),
    ...makeHandOutLog(written.files, callers, host),
    ...makeRefusalMemory({ read: files, written: written.files }, callers, host),
  };
}
