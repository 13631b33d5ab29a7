/** One login at a time for one identity, across processes. */
import { existsSync, futimesSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CacheError } from '../../shared/base/errors.ts';
import { describeLockFailure, openKernelLock } from '../../shared/base/kernel-lock.ts';
import type { KernelLock } from '../../shared/base/kernel-lock.ts';
import { LONG_WAIT_MS } from '../../shared/base/long-wait.ts';
import type { CacheFolder } from './cache-folder.ts';
import { lockFileName } from './file-names.ts';
import { withPrivateFile } from './private-file.ts';

export type ReleaseLock = () => void;

/** How to wait for a lock that another process holds. Times are in ms. */
export interface LockWaitOptions {
  /** After this time the caller continues without the lock, so that a hung process does not block others forever. */
  readonly maxWaitMs: number;
  /** Called before each attempt; true ends the wait, because the work that needs the lock is done. */
  readonly isNoLongerNeeded: () => Promise<boolean>;
  /** Called once, when the wait is long enough for a user to notice. */
  readonly onLongWait: () => void;
  /**
   * Whether another process prompts on the terminal of this one, or has prompted. The user then knows what to do, and
   * may take up to ten minutes, which do not count as waiting.
   */
  readonly isPrompting?: () => Promise<boolean>;
  /** When the file of the lock is no longer needed; ms since 1970, UTC. By default, it is always needed. */
  readonly expiresAt?: number;
}

/** How long a prompt keeps other processes waiting. */
export const MAX_PROMPT_MS = 600_000;

/** A login is short, and hundreds of waiting processes must not slow it down. */
const MIN_PAUSE_MS = 20;
const MAX_PAUSE_MS = 300;

const makeLockError = (path: string, error: unknown): CacheError =>
  new CacheError(`no lock can be acquired in ${path} (${describeLockFailure(error)})`, { cause: error });

async function openLock(path: string, uid: number | undefined, expiresAt: number | undefined): Promise<KernelLock> {
  withPrivateFile(path, uid, (fd) => {
    if (expiresAt !== undefined) futimesSync(fd, expiresAt / 1000, expiresAt / 1000);
  });
  return openKernelLock(path);
}

async function waitForLock(lock: KernelLock, options: LockWaitOptions): Promise<boolean> {
  // A monotonic clock: the system clock may be set during the wait.
  const start = performance.now();
  let isLongWait = false;
  let countsFrom = start;
  for (let pauseMs = MIN_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.5, MAX_PAUSE_MS)) {
    if (await options.isNoLongerNeeded()) return false;
    if (lock.tryAcquire()) return true;
    const now = performance.now();
    const isPromptPossible = now - start > LONG_WAIT_MS && now - start < MAX_PROMPT_MS;
    if (isPromptPossible && (await options.isPrompting?.()) === true) countsFrom = now;
    const waitedMs = now - countsFrom;
    if (waitedMs > options.maxWaitMs) return false;
    if (waitedMs > LONG_WAIT_MS && !isLongWait) {
      isLongWait = true;
      options.onLongWait();
    }
    // A random pause, so that the waiting processes do not all try in the same moment.
    await sleep(pauseMs * (0.5 + Math.random()));
  }
}

/**
 * Acquires the lock of `key`.
 *
 * @returns undefined if the wait ended before the lock was free
 * @throws CacheError if the folder cannot hold a lock
 */
export function acquireLock(
  folder: CacheFolder,
  key: string,
  options: LockWaitOptions,
): Promise<ReleaseLock | undefined> {
  return acquireLockFile(folder, lockFileName(key), options);
}

/**
 * Acquires the lock of a file.
 *
 * @returns undefined if the wait ended before the lock was free
 * @throws CacheError if the folder cannot hold a lock
 */
export async function acquireLockFile(
  { path, uid }: CacheFolder,
  fileName: string,
  options: LockWaitOptions,
): Promise<ReleaseLock | undefined> {
  try {
    const lock = await openLock(join(path, fileName), uid, options.expiresAt);
    if (await waitForLock(lock, options)) return lock.close;
    lock.close();
    return undefined;
  } catch (error) {
    if (error instanceof CacheError) throw error;
    throw makeLockError(path, error);
  }
}

/**
 * Whether another process has the lock of a file, which need not exist.
 *
 * @throws CacheError if the folder cannot hold a lock
 */
export async function isLockFileTaken({ path }: CacheFolder, fileName: string): Promise<boolean> {
  const file = join(path, fileName);
  if (!existsSync(file)) return false;
  try {
    const lock = await openKernelLock(file);
    const isFree = lock.tryAcquire();
    lock.close();
    return !isFree;
  } catch (error) {
    throw makeLockError(path, error);
  }
}

/** The locks of several keys. */
export interface Locks {
  readonly release: ReleaseLock;
  /** Whether each of the locks is held. */
  readonly hasAll: boolean;
}

/**
 * Acquires the locks of several keys, always in the same order, so that two processes do not wait for each other.
 *
 * @throws CacheError if the folder cannot hold a lock
 */
export async function acquireLocks(
  folder: CacheFolder,
  keys: readonly string[],
  options: LockWaitOptions,
): Promise<Locks> {
  const keyByFile = new Map(keys.toSorted().map((key) => [lockFileName(key), key]));
  const releases: (ReleaseLock | undefined)[] = [];
  const release = (): void => {
    for (const releaseOne of releases) releaseOne?.();
  };
  try {
    for (const key of keyByFile.values()) releases.push(await acquireLock(folder, key, options));
  } catch (error) {
    release();
    throw error;
  }
  return { release, hasAll: !releases.includes(undefined) };
}
