/**
 * One login at a time for one identity, across processes. The lock is the kernel's, on a file that stays empty: it ends
 * with its holder however that ends, kill -9 included. node:sqlite is the one way in Node to take such a lock.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CacheError } from '../../shared/base/errors.ts';
import type { CacheFolder } from './file-store.ts';
import { withPrivateFile } from './private-file.ts';

/** Gives the lock back. */
export type ReleaseLock = () => void;

/** How to wait for a lock that another process holds. Times are in ms. */
export interface LockWaitOptions {
  /** Then the caller goes on without the lock: a hung holder must not block anybody for ever. */
  readonly maxWaitMs: number;
  /** Asked before each try: true ends the wait, because what the lock is for has been done. */
  readonly isNoLongerNeeded: () => Promise<boolean>;
  /** Called once, when a person would begin to wonder. */
  readonly onLongWait: () => void;
}

const LONG_MS = 1_000;
const SQLITE_BUSY = 5;

/** A login takes a moment; two hundred who wait for one must not keep it from the processor. */
const SHORTEST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 300;

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}

/**
 * A fixed set of files, never removed: removing one that somebody waits on would let two in. Two keys that share a file
 * wait for each other, which costs a moment in one of 256 cases.
 */
const lockFile = (key: string): string => `${key.slice(0, 2)}.lock`;

interface KernelLock {
  /** Takes the lock if nobody has it. */
  readonly take: () => boolean;
  readonly close: () => void;
}

async function openLock(path: string, uid: number | undefined): Promise<KernelLock> {
  // Made by us first, so that it is private; the database itself would follow links and obey the umask.
  withPrivateFile(path, uid, () => undefined);
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(path, { timeout: 0 });
  return {
    take() {
      try {
        database.exec('BEGIN EXCLUSIVE');
        return true;
      } catch (error) {
        if (isBusy(error)) return false;
        throw error;
      }
    },
    close() {
      database.close();
    },
  };
}

async function waitFor(lock: KernelLock, waiting: LockWaitOptions): Promise<boolean> {
  // Not the clock of the wall: somebody may set that while we wait.
  const start = performance.now();
  let long = false;
  for (let pauseMs = SHORTEST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS)) {
    if (await waiting.isNoLongerNeeded()) return false;
    if (lock.take()) return true;
    const waited = performance.now() - start;
    if (waited > waiting.maxWaitMs) return false;
    if (waited > LONG_MS && !long) {
      long = true;
      waiting.onLongWait();
    }
    // Not the same for all who wait, so that they do not all come at once.
    await sleep(pauseMs * (0.5 + Math.random()));
  }
}

/**
 * Takes the lock of `key`.
 *
 * @returns undefined when the wait was over before the lock was free
 * @throws CacheError when no lock can be had here at all
 */
export async function acquireLock(
  { path, uid }: CacheFolder,
  key: string,
  waiting: LockWaitOptions,
): Promise<ReleaseLock | undefined> {
  try {
    const lock = await openLock(join(path, lockFile(key)), uid);
    if (await waitFor(lock, waiting)) return lock.close;
    lock.close();
    return undefined;
  } catch (error) {
    throw error instanceof CacheError ? error : new CacheError(`no lock can be had in ${path}`, { cause: error });
  }
}
