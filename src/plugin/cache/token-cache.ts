/**
 * The cache of one run: where it is, whether it can be used, and who may log in. Whatever goes wrong with it costs at
 * most one warning; the token is given all the same.
 */
import { CacheError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { writeAbout } from './token-metadata.ts';
import type { Whose } from './token-metadata.ts';
import { readAliasFile, writeAliasFile } from './file-store.ts';
import type { Folder } from './file-store.ts';
import { cacheFolder, ensureFolder } from './cache-folder.ts';
import { noteConfirmed, noteToken } from './handed-out.ts';
import type { HandedOut } from './handed-out.ts';
import { takeLock } from './login-lock.ts';
import type { Release, Waiting } from './login-lock.ts';
import { prune } from './prune.ts';
import { endOf } from './cached-token.ts';
import type { Alias, TokenRecord } from './cached-token.ts';
import { forgetRefusal, recallRefusal, rememberRefusal, tagCredential } from './refusals.ts';
import type { Field } from './digest.ts';
import { openStore } from './token-store.ts';

/** The name under which an alias is kept, and what it says. */
export type NamedAlias = readonly [name: string, alias: Alias];

export interface TokenCache {
  /** Whether what is kept here can be found by the hit path. */
  readonly onHitPath: boolean;
  /** The record under `key`, or under the key that an alias of that name leads to. */
  recall(key: string): Promise<{ key: string; record: TokenRecord } | undefined>;
  /**
   * Keeps a record and the aliases that lead to it, and forgets what is over.
   *
   * @param whose undefined leaves what is said of the key as it is
   */
  keep(key: string, record: TokenRecord, aliases: readonly NamedAlias[], whose?: Whose): Promise<void>;
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
export async function openCache({ host, storage, forKubectl, warn }: CacheSettings): Promise<TokenCache> {
  const { uid } = host;
  const path = cacheFolder(host);
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
  const folder: Folder = { path: path ?? '', uid };
  files.attempt(() => {
    ensureFolder(folder.path, uid);
  });
  const store = files.isUsable() ? await records.attemptLater(() => openStore(storage, folder, host)) : undefined;

  const parent = host.identifyParent();
  const session = parent === undefined ? undefined : host.identifyProcess(parent.sessionLeaderPid);
  const recipient = () => ({ folder: folder.path, uid, parent: parent?.id ?? '', now: host.now() });
  const tracked = forKubectl && parent !== undefined;
  const memory = (key: string, credential: readonly Field[]) => {
    const tag = tagCredential({ session, parent, forKubectl }, credential);
    return tag === undefined ? undefined : { folder, key, tag };
  };
  const keepAliases = (record: TokenRecord, aliases: readonly NamedAlias[]): void => {
    files.attempt(() => {
      for (const [name, alias] of aliases) writeAliasFile(folder, name, alias, endOf(record));
      prune(folder.path, host.now());
    });
  };

  return {
    onHitPath: store?.onHitPath ?? false,
    async recall(key) {
      const target = files.isUsable() ? readAliasFile(folder, key)?.key : undefined;
      const found = target ?? key;
      const record = await records.attemptLater(async () => store?.read(found));
      return record === undefined ? undefined : { key: found, record };
    },
    async keep(key, record, aliases, whose) {
      await records.attemptLater(async () => store?.write(key, record));
      if (whose !== undefined && records.isUsable() && files.isUsable()) {
        const { expiresAt, refresh } = record;
        abouts.attempt(() => {
          writeAbout(folder, key, { ...whose, expiresAt, renewable: refresh !== undefined, storage }, endOf(record));
        });
      }
      files.attempt(() => {
        forgetRefusal(folder, key);
      });
      keepAliases(record, aliases);
    },
    keepAliases(record, aliases) {
      // A run that leaves none has written nothing, so there is nothing to clear either.
      if (aliases.length > 0) keepAliases(record, aliases);
    },
    lock: (key, waiting) => files.attemptLater(() => takeLock(folder, key, waiting)),
    handOut: (token) => (tracked ? files.attempt(() => noteToken(recipient(), token)) : undefined) ?? 'nothing',
    confirm(token) {
      if (tracked)
        files.attempt(() => {
          noteConfirmed(recipient(), token);
        });
    },
    refusedAt(key, credential) {
      const refusal = memory(key, credential);
      return refusal === undefined || !files.isUsable() ? undefined : recallRefusal(refusal, host.now());
    },
    refused(key, credential) {
      const refusal = memory(key, credential);
      if (refusal !== undefined)
        files.attempt(() => {
          rememberRefusal(refusal, host.now());
        });
    },
  };
}
