/** Waits for a condition. */
import { setTimeout as sleep } from 'node:timers/promises';

/** A hang guard: far longer than anything takes on a busy machine. */
const LIMIT_MS = 120_000;
const PAUSE_MS = 20;

/**
 * Waits until a condition is met, and returns its value.
 *
 * @param what for the message, as "a request to Keystone"
 * @throws Error after two minutes
 */
export async function waitUntil<T>(what: string, find: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (let waitedMs = 0; waitedMs < LIMIT_MS; waitedMs += PAUSE_MS) {
    const found = await find();
    if (found !== undefined) return found;
    await sleep(PAUSE_MS);
  }
  throw new Error(`waited in vain for ${what}`);
}
