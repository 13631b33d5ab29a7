import type { CachedToken } from '../cache/token-record.ts';
import type { LoginContext } from './login-context.ts';

/** Added to the deadline of the process that holds the lock, for its work before and after the login. */
const LOCK_SLACK_MS = 1_000;

/** What is in the way of two processes that get the same token. */
export interface SharedToken {
  /** Of the token, or of the settings that lead to it. */
  readonly key: string;
  /** How long another process may take to get it, in ms. */
  readonly maxMs: number;
  /** What another process does, for the user: "another login". */
  readonly waitsFor: string;
  /** Whether a token in the cache is one that another process has just got. */
  readonly isNew: (token: CachedToken) => boolean;
}

/**
 * Gets a token, unless another process has just done so: the first to get the lock does it for all.
 *
 * @param take uses what another process got
 * @param get gets one; it is called with what the cache holds
 */
export async function getOneAtATime<T>(
  { cache, reporter }: LoginContext,
  { key, maxMs, waitsFor, isNew }: SharedToken,
  take: (token: CachedToken) => T,
  get: (last: CachedToken | undefined) => Promise<T>,
): Promise<T> {
  const release = await cache.lock(key, {
    maxWaitMs: maxMs + LOCK_SLACK_MS,
    isNoLongerNeeded: async () => {
      const match = await cache.read(key);
      return match !== undefined && isNew(match);
    },
    onLongWait: () => {
      reporter.progress(`waiting for ${waitsFor}`);
    },
  });
  try {
    const last = await cache.read(key);
    return last !== undefined && isNew(last) ? take(last) : await get(last);
  } finally {
    release?.();
  }
}
