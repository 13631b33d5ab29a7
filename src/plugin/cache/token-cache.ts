/**
 * The cache of one run: where it is, whether it can be used, and who may log in. Whatever goes wrong with it costs at
 * most one warning; the token is given all the same.
 */
import { CacheError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { writeTokenMetadata } from './token-metadata.ts';
import type { TokenOwner } from './token-metadata.ts';
import { readAliasFile, writeAliasFile } from './file-store.ts';
import type { CacheFolder } from './file-store.ts';
import { resolveCacheFolder, ensureCacheFolder } from './cache-folder.ts';
import { markConfirmed, markHandedOut } from './handed-out-tokens.ts';
import type { HandOutState } from './handed-out-tokens.ts';
import { acquireLock } from './login-lock.ts';
import type { ReleaseLock, LockWaitOptions } from './login-lock.ts';
import { prune } from './prune.ts';
import { computeRetentionEnd } from './token-record.ts';
import type { Alias, TokenRecord } from './token-record.ts';
import { forgetRefusal, readRefusalTime, rememberRefusal, tagCredential } from './refusals.ts';
import type { DigestField } from './sha256.ts';
import { openTokenStore } from './token-store.ts';

/** The name under which an alias is kept, and what it says. */
export type NamedAlias = readonly [name: string, alias: Alias];

/** A token record and the cache key that it is stored under. */
export interface CachedToken {
  readonly key: string;
  readonly record: TokenRecord;
}

export interface TokenCache {
  /** Whether what is kept here can be found by the hit path. */
  readonly onFastPath: boolean;
  /** The record under `key`, or under the key that an alias of that name leads to. */
  read(key: string): Promise<CachedToken | undefined>;
  /**
   * Keeps a record and the aliases that lead to it, and forgets what is over.
   *
   * @param whose undefined leaves what is said of the key as it is
   */
  store(key: string, record: TokenRecord, aliases: readonly NamedAlias[], whose?: TokenOwner): Promise<void>;
  storeAliases(record: TokenRecord, aliases: readonly NamedAlias[]): void;
  /** Waits until nobody else logs in for `key`; undefined when the wait was over without that, or cannot be had. */
  lock(key: string, waiting: LockWaitOptions): Promise<ReleaseLock | undefined>;
  /** Notes that kubectl gets `token`, and says what the same kubectl had got before. */
  handOut(token: string): HandOutState;
  /** Notes that this token is as good as can be, whatever the cluster says. */
  confirm(token: string): void;
  /** When this credential was refused, in ms since 1970, UTC; undefined where it was not, or not lately. */
  findRefusalTime(key: string, credential: readonly DigestField[]): number | undefined;
  rememberRefusal(key: string, credential: readonly DigestField[]): void;
}

/** What a cache needs to know of its run. */
export interface CacheSettings {
  readonly host: Host;
  /** A name of `STORES`. */
  readonly storage: string;
  /** Whether kubectl asks: only it asks again because a cluster refused the token. */
  readonly isForKubectl: boolean;
  readonly warn: (message: string) => void;
}

/** A part of the cache of which nothing is tried again in this run once it has failed. */
interface Part {
  isUsable(): boolean;
  attempt<T>(act: () => T): T | undefined;
  attemptLater<T>(act: () => Promise<T>): Promise<T | undefined>;
}

function makePart(usable: boolean, onFailure: (error: CacheError) => void): Part {
  const state = { usable };
  const giveUp = (error: unknown): void => {
    if (!(error instanceof CacheError)) throw error;
    state.usable = false;
    onFailure(error);
  };
  return {
    isUsable: () => state.usable,
    attempt(act) {
      try {
        return state.usable ? act() : undefined;
      } catch (error) {
        giveUp(error);
        return undefined;
      }
    },
    async attemptLater(act) {
      try {
        return state.usable ? await act() : undefined;
      } catch (error) {
        giveUp(error);
        return undefined;
      }
    },
  };
}

/** Opens the cache of a run. */
export async function openTokenCache({ host, storage, isForKubectl, warn }: CacheSettings): Promise<TokenCache> {
  const { uid } = host;
  const path = resolveCacheFolder(host);
  const kept = storage !== 'none';
  const usable = kept && path !== undefined;
  if (kept && path === undefined) warn('there is no home folder to keep the token in; the next run will log in again');
  let warned = false;
  const warnOnce = ({ message }: CacheError): void => {
    if (!warned) warn(`${message}; the next run will log in again`);
    warned = true;
  };
  // A keyring that fails leaves the lock and the memory of refusals at work: those are files.
  const files = makePart(usable, warnOnce);
  const records = makePart(usable, warnOnce);
  // Without it nothing but a list is poorer, so its failure is no news.
  const abouts = makePart(usable, () => undefined);
  const folder: CacheFolder = { path: path ?? '', uid };
  files.attempt(() => {
    ensureCacheFolder(folder.path, uid);
  });
  const store = files.isUsable() ? await records.attemptLater(() => openTokenStore(storage, folder, host)) : undefined;

  const parent = host.identifyParent();
  const sessionLeader = parent === undefined ? undefined : host.identifyProcess(parent.sessionLeaderPid);
  const recipient = () => ({ folder: folder.path, uid, parent: parent?.id ?? '', now: host.now() });
  const tracked = isForKubectl && parent !== undefined;
  const memory = (key: string, credential: readonly DigestField[]) => {
    const tag = tagCredential({ sessionLeader, parent, isForKubectl }, credential);
    return tag === undefined ? undefined : { folder, key, tag };
  };
  const keepAliases = (record: TokenRecord, aliases: readonly NamedAlias[]): void => {
    files.attempt(() => {
      for (const [name, alias] of aliases) writeAliasFile(folder, name, alias, computeRetentionEnd(record));
      prune(folder.path, host.now());
    });
  };

  return {
    onFastPath: store?.onFastPath ?? false,
    async read(key) {
      const target = files.isUsable() ? readAliasFile(folder, key)?.key : undefined;
      const found = target ?? key;
      const record = await records.attemptLater(async () => store?.read(found));
      return record === undefined ? undefined : { key: found, record };
    },
    async store(key, record, aliases, whose) {
      await records.attemptLater(async () => store?.write(key, record));
      if (whose !== undefined && records.isUsable() && files.isUsable()) {
        const { expiresAt, refresh } = record;
        abouts.attempt(() => {
          writeTokenMetadata(
            folder,
            key,
            { ...whose, expiresAt, isRenewable: refresh !== undefined, storage },
            computeRetentionEnd(record),
          );
        });
      }
      files.attempt(() => {
        forgetRefusal(folder, key);
      });
      keepAliases(record, aliases);
    },
    storeAliases(record, aliases) {
      // A run that leaves none has written nothing, so there is nothing to clear either.
      if (aliases.length > 0) keepAliases(record, aliases);
    },
    lock: (key, waiting) => files.attemptLater(() => acquireLock(folder, key, waiting)),
    handOut: (token) => (tracked ? files.attempt(() => markHandedOut(recipient(), token)) : undefined) ?? 'nothing',
    confirm(token) {
      if (tracked)
        files.attempt(() => {
          markConfirmed(recipient(), token);
        });
    },
    findRefusalTime(key, credential) {
      const refusal = memory(key, credential);
      return refusal === undefined || !files.isUsable() ? undefined : readRefusalTime(refusal, host.now());
    },
    rememberRefusal(key, credential) {
      const refusal = memory(key, credential);
      if (refusal !== undefined)
        files.attempt(() => {
          rememberRefusal(refusal, host.now());
        });
    },
  };
}
