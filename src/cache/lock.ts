/**
 * One login at a time for one identity, across processes. The lock is the kernel's, on a file that stays empty: it ends
 * with its holder however that ends, kill -9 included. node:sqlite is the one way in Node to take such a lock.
 */
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CacheError } from '../errors.ts';
import type { Host } from '../host.ts';
import { openPrivate } from './private-file.ts';

/** Gives the lock back. */
export type Release = () => void;

/** How to wait for a lock that another process holds. Times are in ms. */
export interface Waiting {
  /** Then the caller goes on without the lock: a hung holder must not block anybody for ever. */
  readonly longestMs: number;
  /** Asked before each try: true ends the wait, because what the lock is for has been done. */
  readonly isOver: () => Promise<boolean>;
  /** Called once, when a person would begin to wonder. */
  readonly onLong: () => void;
}

const LONG_MS = 1_000;
const SQLITE_BUSY = 5;

/** Short enough for nobody to notice, and not the same for all who wait. */
const pauseMs = (): number => 15 + Math.random() * 20;

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}

/**
 * A fixed set of files, never removed: removing one that somebody waits on would let two in. Two keys that share a file
 * wait for each other, which costs a moment in one of 256 cases.
 */
const lockFile = (key: string): string => `${key.slice(0, 2)}.lock`;

/**
 * Takes the lock of `key`.
 *
 * @returns undefined when the wait was over before the lock was free
 * @throws CacheError when no lock can be had here at all
 */
export async function takeLock(
  host: Host,
  folder: string,
  key: string,
  waiting: Waiting,
): Promise<Release | undefined> {
  const path = join(folder, lockFile(key));
  try {
    // Made by us first, so that it is private; the database itself would follow links and obey the umask.
    closeSync(openPrivate(path, host.uid));
  } catch (error) {
    throw error instanceof CacheError ? error : new CacheError(`no lock can be had in ${folder}`, { cause: error });
  }
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(path, { timeout: 0 });
  const start = host.now();
  let long = false;
  for (;;) {
    if (await waiting.isOver()) break;
    try {
      database.exec('BEGIN EXCLUSIVE');
      return () => {
        database.close();
      };
    } catch (error) {
      if (!isBusy(error)) {
        database.close();
        throw new CacheError(`no lock can be had in ${folder}`, { cause: error });
      }
    }
    const waited = host.now() - start;
    if (waited > waiting.longestMs) break;
    if (waited > LONG_MS && !long) {
      long = true;
      waiting.onLong();
    }
    await sleep(pauseMs());
  }
  database.close();
  return undefined;
}
