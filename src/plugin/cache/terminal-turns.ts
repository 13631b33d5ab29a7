/**
 * Lets processes take turns at prompting on one terminal, such as the two of `kubectl get … | kubectl apply -f -`. Two
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

/** The turns of this process at its terminal. */
export interface TerminalTurns {
  /**
   * Waits until no other process prompts. Without a terminal that can be identified, in the background, where nobody can
   * answer, and after ten minutes, it does not wait.
   *
   * @param signal ends the wait
   * @returns what ends the turn
   */
  readonly take: (signal?: AbortSignal) => Promise<ReleaseLock>;
  /** Whether another process prompts. */
  readonly isTaken: () => Promise<boolean>;
}

const endNothing: ReleaseLock = () => undefined;

/**
 * Makes the turns of this process.
 *
 * @param folders of locks, the best first; by default the cache folder and those that take its place
 */
export function makeTerminalTurns(host: Host, folders?: readonly CacheFolder[]): TerminalTurns {
  const configured = resolveCacheFolder(host);
  const usual = [...(configured === undefined ? [] : [configured]), ...listFallbackFolders(host)];
  const places = makeCachePlaces(folders ?? usual, () => undefined);
  return {
    async take(signal) {
      const terminal = host.identifyTerminal();
      if (terminal?.isForeground !== true) return endNothing;
      const options = {
        maxWaitMs: MAX_PROMPT_MS,
        isNoLongerNeeded: () => Promise.resolve(signal?.aborted === true),
        onLongWait: () => undefined,
      };
      const name = terminalLockFileName(terminal.id);
      return (await places.writeAsync((folder) => acquireLockFile(folder, name, options))) ?? endNothing;
    },
    async isTaken() {
      const terminal = host.identifyTerminal();
      if (terminal === undefined) return false;
      const name = terminalLockFileName(terminal.id);
      return (await places.searchAsync(async (folder) => (await isLockFileTaken(folder, name)) || undefined)) === true;
    },
  };
}
