/**
 * The cache of one run: where it is, whether it can be used, and who may log in. Whatever goes wrong with it costs at
 * most one warning; the token is given all the same.
 */
import { CacheError } from '../errors.ts';
import type { Host } from '../host.ts';
import { readAliasFile, writeAliasFile } from './file-store.ts';
import type { Folder } from './file-store.ts';
import { cacheFolder, ensureFolder } from './folder.ts';
import { noteConfirmed, noteToken } from './handed-out.ts';
import type { HandedOut } from './handed-out.ts';
import { takeLock } from './lock.ts';
import type { Release, Waiting } from './lock.ts';
import { prune } from './prune.ts';
import type { Alias, TokenRecord } from './record.ts';
import { forgetRefusal, recallRefusal, rememberRefusal, tagCredential } from './refusals.ts';
import type { Field } from './key.ts';
import { openStore } from './store.ts';

/** The name under which an alias is kept, and what it says. */
export type NamedAlias = readonly [name: string, alias: Alias];

export interface TokenCache {
  /** Whether what is kept here can be found by the hit path. */
  readonly onHitPath: boolean;
  /** The record under `key`, or under the key that an alias of that name leads to. */
  recall(key: string): Promise<{ key: string; record: TokenRecord } | undefined>;
  /** Keeps a record and the aliases that lead to it, and forgets what is over. */
  keep(key: string, record: TokenRecord, aliases: readonly NamedAlias[]): Promise<void>;
  keepAliases(record: TokenRecord, aliases: readonly NamedAlias[]): void;
  /** Waits until nobody else logs in for `key`; undefined when the wait was over without that, or cannot be had. */
  lock(key: string, waiting: Waiting): Promise<Release | undefined>;
  /** Notes that kubectl gets `token`, and says what the same kubectl had got before. */
  handOut(token: string): HandedOut;
  /** Notes that this token is as good as can be, whatever the cluster says. */
  confirm(token: string): void;
  /** When this credential was refused, in ms since 1970, UTC; undefined where it was not, or not lately. */
  refusedAt(key: string, credential: readonly Field[]): number | undefined;
  refused(key: string, credential: readonly Field[]): void;
}

/** What a cache needs to know of its run. */
export interface CacheSettings {
  readonly host: Host;
  /** A name of `STORES`. */
  readonly storage: string;
  /** Whether kubectl asks: only it asks again because a cluster refused the token. */
  readonly forKubectl: boolean;
  readonly warn: (message: string) => void;
}

/** Opens the cache of a run. */
export async function openCache({ host, storage, forKubectl, warn }: CacheSettings): Promise<TokenCache> {
  const { uid } = host;
  const state = { broken: false };
  const giveUp = (error: unknown): void => {
    if (!(error instanceof CacheError)) throw error;
    if (!state.broken) warn(`${error.message}; the next run will log in again`);
    state.broken = true;
  };
  /** Nothing of a cache that has failed is tried again in this run. */
  const attempt = <T>(act: () => T): T | undefined => {
    if (state.broken) return undefined;
    try {
      return act();
    } catch (error) {
      giveUp(error);
      return undefined;
    }
  };
  const attemptLater = async <T>(act: () => Promise<T>): Promise<T | undefined> => {
    if (state.broken) return undefined;
    try {
      return await act();
    } catch (error) {
      giveUp(error);
      return undefined;
    }
  };

  const path = cacheFolder(host);
  const kept = storage !== 'none';
  if (kept && path === undefined) warn('there is no home folder to keep the token in; the next run will log in again');
  state.broken = !kept || path === undefined;
  const folder: Folder = { path: path ?? '', uid };
  attempt(() => {
    ensureFolder(folder.path, uid);
  });
  const store = await attemptLater(() => openStore(storage, folder, host));

  const parent = host.parent();
  const session = parent === undefined ? undefined : host.kin(parent.sessionLeader);
  const recipient = () => ({ folder: folder.path, uid, parent: parent?.id ?? '', now: host.now() });
  const tracked = forKubectl && parent !== undefined;
  const memory = (key: string, credential: readonly Field[]) => {
    // By hand one may be asked as often as one likes; it is kubectl that runs a failing plugin again and again.
    const tag = tagCredential({ session, parent: forKubectl ? parent : undefined }, credential);
    return tag === undefined ? undefined : { folder, key, tag };
  };
  const keepAliases = (record: TokenRecord, aliases: readonly NamedAlias[]): void => {
    attempt(() => {
      for (const [name, alias] of aliases) writeAliasFile(folder, name, alias, record.expiresAt);
      prune(folder.path, host.now());
    });
  };

  return {
    onHitPath: store?.onHitPath ?? false,
    async recall(key) {
      const target = state.broken ? undefined : readAliasFile(folder, key)?.key;
      const found = target ?? key;
      const record = await attemptLater(async () => store?.read(found));
      return record === undefined ? undefined : { key: found, record };
    },
    async keep(key, record, aliases) {
      await attemptLater(async () => store?.write(key, record));
      attempt(() => {
        forgetRefusal(folder, key);
      });
      keepAliases(record, aliases);
    },
    keepAliases,
    lock: (key, waiting) => attemptLater(() => takeLock(host, folder.path, key, waiting)),
    handOut: (token) => (tracked ? attempt(() => noteToken(recipient(), token)) : undefined) ?? 'nothing',
    confirm(token) {
      if (tracked)
        attempt(() => {
          noteConfirmed(recipient(), token);
        });
    },
    refusedAt(key, credential) {
      const refusal = memory(key, credential);
      return refusal === undefined || state.broken ? undefined : recallRefusal(refusal, host.now());
    },
    refused(key, credential) {
      const refusal = memory(key, credential);
      if (refusal !== undefined)
        attempt(() => {
          rememberRefusal(refusal, host.now());
        });
    },
  };
}
