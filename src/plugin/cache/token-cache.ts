/**
 * The cache of one run: tokens, aliases, the login lock and the memory of refusals. A failure of the cache costs at
 * most one warning; the run still returns a token.
 */
import { CacheError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import type { WaitFor } from '../../shared/base/long-wait.ts';
import { resolveCacheFolder } from './cache-folder.ts';
import type { CacheFolder, SafeWays } from './cache-folder.ts';
import { makeCachePlaces } from './cache-places.ts';
import type { CachePlaces } from './cache-places.ts';
import { describeProblem, makeWarner } from './cache-problem.ts';
import type { CacheProblem } from './cache-problem.ts';
import type { CallerProcesses } from './credential-tag.ts';
import { readAliasFile, writeAliasFile } from './file-store.ts';
import { makeHandOutLog } from './hand-out-log.ts';
import type { HandOutLog } from './hand-out-log.ts';
import { listFallbackFolders, listHiddenFolders } from './fallback-folders.ts';
import { acquireLock } from './login-lock.ts';
import type { ReleaseLock, LockWaitOptions } from './login-lock.ts';
import { makeNotePlaces } from './note-places.ts';
import type { NotePlaces } from './note-places.ts';
import { openTokenStore } from './open-token-store.ts';
import { prune } from './prune.ts';
import { makeRefusalMemory } from './refusal-memory.ts';
import type { RefusalMemory } from './refusal-memory.ts';
import { makeTerminalTurns } from './terminal-turns.ts';
import type { TerminalTurns } from './terminal-turns.ts';
import { writeTokenMetadata } from './token-metadata.ts';
import type { TokenOwner } from './token-metadata.ts';
import { computeRetentionEnd } from './token-record.ts';
import type { Alias, CachedToken, TokenRecord } from './token-record.ts';
import type { TokenStore } from './token-store.ts';

/** An alias and its name: a fingerprint, or the cache key of incomplete settings. */
export type NamedAlias = readonly [name: string, alias: Alias];

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
   * Stores a record and the aliases that lead to it, forgets the refusals of its key, and removes expired files.
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

/** The folders of a run, the best first. */
function listFolders(
  host: Host,
  storage: string,
): { configured: CacheFolder | undefined; all: readonly CacheFolder[] } {
  if (storage === 'none') return { configured: undefined, all: [] };
  const configured = resolveCacheFolder(host);
  return { configured, all: [...(configured === undefined ? [] : [configured]), ...listFallbackFolders(host)] };
}

/** Where the parts of a cache are. */
interface OpenPlaces {
  /** The first folder that is safe. */
  readonly firstFolder: CacheFolder | undefined;
  /** Whether that is the configured one, where the fast path looks. */
  readonly isConfigured: boolean;
  readonly files: CachePlaces;
  readonly records: CachePlaces;
  readonly metadata: CachePlaces;
  readonly notes: NotePlaces;
  readonly terminalTurns: TerminalTurns;
  /** What is wrong with the configured folder; undefined if nothing is. */
  readonly problemOfFolder: CacheProblem | undefined;
  /** The first problem so far, also one that another folder or the keyring had later. */
  readonly findProblem: () => CacheProblem | undefined;
}

function openPlaces({ host, storage }: CacheSettings, callers: CallerProcesses): OpenPlaces {
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
  const safeWays: SafeWays = new Set();
  const files = makeCachePlaces(all, noteProblem(false), safeWays);
  const firstFolder = files.findFirst();
  const recordFolders = isKeyring && firstFolder !== undefined ? [firstFolder] : all;
  const noteFolders = storage === 'none' ? listFallbackFolders(host) : all;
  return {
    firstFolder,
    isConfigured: firstFolder === configured,
    files,
    records: makeCachePlaces(firstFolder === undefined ? [] : recordFolders, noteProblem(isKeyring), safeWays),
    // Without metadata only lists of tokens show less, so a failure needs no warning.
    metadata: makeCachePlaces(all, () => undefined, safeWays),
    notes: makeNotePlaces(noteFolders, listHiddenFolders(host, callers), safeWays),
    terminalTurns: makeTerminalTurns(host, noteFolders),
    problemOfFolder: problem,
    findProblem: () => problem,
  };
}

interface ProblemReports {
  /** Warns about the first problem, if there is one. */
  readonly report: () => void;
  /** The same for a run that has a token: it warns only if nothing takes the place of what failed. */
  readonly reportLoss: () => void;
}

function makeReports(
  { files, records, problemOfFolder, findProblem }: OpenPlaces,
  warnOnce: (message: string) => void,
): ProblemReports {
  const report = (): void => {
    const problem = findProblem();
    if (problem === undefined) return;
    const fileFolder = files.findFirst();
    const substitutes = fileFolder === undefined ? [] : [records.findFirst(), fileFolder];
    const substitute = substitutes.find((folder) => folder !== undefined && folder !== problem.folder);
    warnOnce(describeProblem(problem, substitute));
  };
  const reportLoss = (): void => {
    if (findProblem() !== problemOfFolder && files.findFirst() === undefined) report();
  };
  return { report, reportLoss };
}

/** Opens the cache of a run. */
export async function openTokenCache(settings: CacheSettings): Promise<TokenCache> {
  const { host, storage, isForKubectl, warn, waitFor } = settings;
  const callers = { host, parent: host.identifyParent(), isForKubectl };
  const places = openPlaces(settings, callers);
  const { firstFolder, files, records, metadata, notes, terminalTurns } = places;
  const { report, reportLoss } = makeReports(places, makeWarner({ notes, callers, host, warn }));
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

  return {
    terminalTurns,
    onFastPath: store?.onFastPath === true && places.isConfigured,
    location: firstFolder?.path,
    problem: places.problemOfFolder?.error,
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
