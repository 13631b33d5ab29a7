/**
 * The cache of one run: tokens, aliases, the login lock and the memory of refusals. A failure of the cache costs at
 * most one warning; the run still returns a token.
 */
import { CacheError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import type { WaitFor } from '../../shared/base/long-wait.ts';
import { FOLDER_HINT, resolveCacheFolder } from './cache-folder.ts';
import type { CacheFolder } from './cache-folder.ts';
import { makeCachePlaces } from './cache-places.ts';
import type { CachePlaces } from './cache-places.ts';
import { readAliasFile, writeAliasFile } from './file-store.ts';
import { markConfirmed, markHandedOut } from './handed-out-tokens.ts';
import type { HandOutState } from './handed-out-tokens.ts';
import { listFallbackFolders, listHiddenFolders } from './fallback-folders.ts';
import { acquireLock } from './login-lock.ts';
import type { ReleaseLock, LockWaitOptions } from './login-lock.ts';
import { openTokenStore } from './open-token-store.ts';
import { prune } from './prune.ts';
import type { CallerProcesses } from './credential-tag.ts';
import { findRefusal, forgetRefusals, rememberRefusal } from './refusals.ts';
import type { LoginFailure, Refusal, RefusalContext, RefusalSubject, SentCredential } from './refusals.ts';
import { makeTerminalTurns } from './terminal-turns.ts';
import type { TerminalTurns } from './terminal-turns.ts';
import { writeTokenMetadata } from './token-metadata.ts';
import type { TokenOwner } from './token-metadata.ts';
import { computeRetentionEnd } from './token-record.ts';
import type { Alias, CachedToken, TokenRecord } from './token-record.ts';
import type { TokenStore } from './token-store.ts';
import { isWarned, markWarned } from './warned-commands.ts';

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
  /** The folder of the files; undefined if there is none. */
  readonly location: string | undefined;
  /** Why the cache folder is not used; undefined if it is. */
  readonly problem: CacheError | undefined;
  readonly terminalTurns: TerminalTurns;
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

function makeHandOutLog(files: CachePlaces, { parent, isForKubectl }: CallerProcesses, host: Host): HandOutLog {
  if (!isForKubectl || parent === undefined) return { handOut: () => 'nothing', confirm: () => undefined };
  return {
    handOut: (token) =>
      files.write((folder) => markHandedOut({ folder, parent: parent.id, now: host.now() }, token)) ?? 'nothing',
    confirm(token) {
      files.write((folder) => {
        markConfirmed({ folder, parent: parent.id, now: host.now() }, token);
      });
    },
  };
}

function makeRefusalMemory(notes: NotePlaces, callers: CallerProcesses, host: Host): RefusalMemory {
  const makeContext = (folder: CacheFolder, key: string): RefusalContext => ({ folder, key, callers, now: host.now() });
  return {
    findRefusal: (key, sent) => notes.search((folder) => findRefusal(makeContext(folder, key), sent)),
    rememberRefusal(key, subject, failure) {
      const others: CacheFolder[] = [];
      notes.search((folder) => void others.push(folder));
      notes.write((folder) => {
        rememberRefusal(makeContext(folder, key), subject, failure, others);
      });
    },
    forgetRefusals(key) {
      notes.search((folder) => {
        forgetRefusals(folder, key);
      });
    },
  };
}

type NotePlaces = Pick<CachePlaces, 'search' | 'write'>;

/**
 * Makes the places for notes that hold no token. If another user has taken the names of all other places, or could move
 * them, there are further ones, see decision 0038.
 */
function makeNotePlaces(folders: readonly CacheFolder[], hidden: readonly CacheFolder[]): NotePlaces {
  const ignore = (): void => undefined;
  const movable = folders.map((folder): CacheFolder => ({ ...folder, isMovable: true }));
  const kinds = [folders, hidden, movable].map((each) => makeCachePlaces(each, ignore));
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

interface WarningContext {
  readonly notes: NotePlaces;
  readonly callers: CallerProcesses;
  readonly host: Host;
  readonly warn: (message: string) => void;
}

/** Makes a function that warns once, and once for all runs of a kubectl command. */
function makeWarner({ notes, callers, host, warn }: WarningContext): (message: string) => void {
  const command = callers.isForKubectl ? callers.parent?.id : undefined;
  let hasWarned = false;
  return (message) => {
    if (hasWarned) return;
    hasWarned = true;
    if (command !== undefined) {
      if (notes.search((folder) => isWarned(folder, command) || undefined) === true) return;
      notes.write((folder) => {
        markWarned(folder, command, host.now());
      });
    }
    warn(message);
  };
}

/** The first failure of a part of the cache. */
interface CacheProblem {
  readonly error: CacheError;
  /** Undefined if there is none. */
  readonly folder: CacheFolder | undefined;
  /** Whether another folder cannot help. */
  readonly isOfKeyring: boolean;
}

function describeProblem({ error, isOfKeyring }: CacheProblem, substitute: CacheFolder | undefined): string {
  const hint = error.hint ?? (isOfKeyring ? undefined : FOLDER_HINT);
  const remedy = hint === undefined ? '' : `, unless you ${hint}`;
  const consequence =
    substitute === undefined || isOfKeyring ? 'the next run will log in again' : `${substitute.path} is used instead`;
  return `${error.message}; ${consequence}${remedy}`;
}

/** The folders of a run, the best first. */
function listFolders(
  host: Host,
  storage: string,
): { configured: CacheFolder | undefined; all: readonly CacheFolder[] } {
  if (storage === 'none') return { configured: undefined, all: [] };
  const configured = resolveCacheFolder(host);
  return { configured, all: [...(configured === undefined ? [] : [configured]), ...listFallbackFolders(host)] };
}

/** Opens the cache of a run. */
export async function openTokenCache({
  host,
  storage,
  isForKubectl,
  warn,
  waitFor,
}: CacheSettings): Promise<TokenCache> {
  const { configured, all } = listFolders(host, storage);
  const isKeyring = storage === 'keyring';
  let problem: CacheProblem | undefined;
  if (storage !== 'none' && configured === undefined) {
    const error = new CacheError('there is no home folder to store the token in');
    problem = { error, folder: configured, isOfKeyring: false };
  }
  const noteProblem =
    (isOfKeyring: boolean) =>
    (error: CacheError, folder: CacheFolder): void => {
      if (folder === configured || isOfKeyring) problem ??= { error, folder, isOfKeyring };
    };
  // If the keyring fails, the lock and the memory of refusals still work, because they are files.
  const files = makeCachePlaces(all, noteProblem(false));
  const firstFolder = files.findFirst();
  const recordFolders = isKeyring && firstFolder !== undefined ? [firstFolder] : all;
  const records = makeCachePlaces(firstFolder === undefined ? [] : recordFolders, noteProblem(isKeyring));
  // Without metadata only lists of tokens show less, so a failure needs no warning.
  const metadata = makeCachePlaces(all, () => undefined);
  const callers = { host, parent: host.identifyParent(), isForKubectl };
  const notes = makeNotePlaces(storage === 'none' ? listFallbackFolders(host) : all, listHiddenFolders(host, callers));
  const warnOnce = makeWarner({ notes, callers, host, warn });
  const problemOfFolder = problem;
  const report = (): void => {
    const current = problem;
    if (current === undefined) return;
    const fileFolder = files.findFirst();
    const substitutes = fileFolder === undefined ? [] : [records.findFirst(), fileFolder];
    warnOnce(
      describeProblem(
        current,
        substitutes.find((folder) => folder !== undefined && folder !== current.folder),
      ),
    );
  };
  /** A run that has a token warns only if nothing takes the place of what failed. */
  const reportLoss = (): void => {
    if (problem !== problemOfFolder && files.findFirst() === undefined) report();
  };
  const stores = new Map<string, TokenStore | undefined>();
  const openStore = async (folder: CacheFolder): Promise<TokenStore | undefined> => {
    if (!stores.has(folder.path)) stores.set(folder.path, await openTokenStore(storage, folder, host, waitFor));
    return stores.get(folder.path);
  };
  const store = await records.searchAsync(openStore);

  const storeMetadata = (key: string, record: TokenRecord, owner: TokenOwner): void => {
    const { expiresAt, refresh } = record;
    const isRenewable = refresh !== undefined;
    metadata.write((folder) => {
      writeTokenMetadata(folder, key, { ...owner, expiresAt, isRenewable, storage }, computeRetentionEnd(record));
    });
  };
  const storeAliases = (record: TokenRecord, aliases: readonly NamedAlias[]): void => {
    files.write((folder) => {
      for (const [name, alias] of aliases) writeAliasFile(folder, name, alias, computeRetentionEnd(record));
      prune(folder, host.now());
    });
  };
  const log = makeHandOutLog(files, callers, host);
  const refusals = makeRefusalMemory(notes, callers, host);
  const terminalTurns = makeTerminalTurns(host, storage === 'none' ? listFallbackFolders(host) : all);

  return {
    terminalTurns,
    onFastPath: store?.onFastPath === true && firstFolder === configured,
    location: firstFolder?.path,
    problem: problemOfFolder?.error,
    async read(name) {
      const key = files.search((folder) => readAliasFile(folder, name)?.key) ?? name;
      const record = await records.searchAsync(async (folder) => (await openStore(folder))?.read(key));
      return record === undefined ? undefined : { key, record };
    },
    async store(key, record, aliases, owner) {
      const isStored = await records.writeAsync(async (folder) => {
        await (await openStore(folder))?.write(key, record);
        return true;
      });
      if (isStored === true && owner !== undefined) storeMetadata(key, record, owner);
      refusals.forgetRefusals(key);
      storeAliases(record, aliases);
      report();
    },
    storeAliases(record, aliases) {
      // A run without aliases has written nothing, so there is nothing to prune.
      if (aliases.length > 0) storeAliases(record, aliases);
      reportLoss();
    },
    async lock(key, options) {
      const wait = { isPrompting: terminalTurns.isTaken, ...options };
      const release = await files.writeAsync((folder) => acquireLock(folder, key, wait));
      report();
      return release;
    },
    handOut(token) {
      const state = log.handOut(token);
      reportLoss();
      return state;
    },
    confirm: (token) => {
      log.confirm(token);
    },
    ...refusals,
  };
}
