/**
 * Lets the processes of one job take turns at prompting, such as the two of `kubectl get … | kubectl apply -f -`. Two
 * prompts at once would share the keys, and the first to end would switch the echo on for a password of the other.
 */
import type { Host } from '../../shared/base/host.ts';
import { resolveCacheFolder } from './cache-folder.ts';
import type { CacheFolder } from './cache-folder.ts';
import { makeCachePlaces } from './cache-places.ts';
import { listFallbackFolders } from './fallback-folders.ts';
import { terminalLockFileName } from './file-names.ts';
import { acquireLockFile, isLockFileTaken, MAX_PROMPT_MS } from './login-lock.ts';
import type { ReleaseLock } from './login-lock.ts';

/** The turn of this process at its terminal. */
export interface TerminalTurns {
  /**
   * Waits until no other process of the job has the turn, and keeps it until this process ends: a stream of Bun goes on
   * reading after the prompt. It waits for ten minutes at most, and not at all if the terminal cannot be identified.
   *
   * @param signal ends the wait
   */
  readonly take: (signal?: AbortSignal) => Promise<void>;
  /** Gives the turn back before the process stops. */
  readonly end: () => void;
  /** Whether another process of the job has the turn. */
  readonly isTaken: () => Promise<boolean>;
}

/** How long the file of a lock is kept: the number of a job can be used again. In ms. */
const KEPT_MS = 86_400_000;

/** What ends the turn of each process. */
const ownTurns = new WeakMap<Host, ReleaseLock>();

/**
 * Makes the turns of this process.
 *
 * @param folders of locks, the best first; by default the cache folder and those that take its place
 */
export function makeTerminalTurns(host: Host, folders?: readonly CacheFolder[]): TerminalTurns {
  const configured = folders === undefined ? resolveCacheFolder(host) : undefined;
  const usual = [...(configured === undefined ? [] : [configured]), ...listFallbackFolders(host)];
  const places = makeCachePlaces(folders ?? usual, () => undefined);
  return {
    async take(signal) {
      const job = ownTurns.has(host) ? undefined : host.identifyJob();
      if (job === undefined) return;
      const options = {
        maxWaitMs: MAX_PROMPT_MS,
        isNoLongerNeeded: () => Promise.resolve(signal?.aborted === true),
        onLongWait: () => undefined,
        expiresAt: host.now() + KEPT_MS,
      };
      const name = terminalLockFileName(job);
      const release = await places.writeAsync((folder) => acquireLockFile(folder, name, options));
      if (release !== undefined) ownTurns.set(host, release);
    },
    end() {
      ownTurns.get(host)?.();
      ownTurns.delete(host);
    },
    async isTaken() {
      const job = ownTurns.has(host) ? undefined : host.identifyJob();
      if (job === undefined) return false;
      const name = terminalLockFileName(job);
      return (await places.searchAsync(async (folder) => (await isLockFileTaken(folder, name)) || undefined)) === true;
    },
  };
}
