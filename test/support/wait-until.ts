/** Waits for a condition. */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';

/** Ends a test that hangs: far longer than anything takes on a busy machine. In ms. */
export const HANG_GUARD_MS = 240_000;
const PAUSE_MS = 20;

type Found<T> = T | undefined | false;

/**
 * Waits until a condition is met, and returns its value.
 *
 * @param what for the message, as "a request to Keystone"
 * @param find returns undefined or false while the condition is not met
 * @throws Error after minutes
 */
export async function waitUntil<T>(what: string, find: () => Found<T> | Promise<Found<T>>): Promise<T> {
  for (let waitedMs = 0; waitedMs < HANG_GUARD_MS; waitedMs += PAUSE_MS) {
    const found = await find();
    if (found !== undefined && found !== false) return found;
    await sleep(PAUSE_MS);
  }
  throw new Error(`waited in vain for ${what}`);
}

/**
 * The same without pauses, for what follows from events in this process, and happens thousands of times.
 *
 * @throws Error after minutes
 */
export async function waitForEvents(what: string, find: () => boolean): Promise<void> {
  const startedAt = performance.now();
  while (!find()) {
    if (performance.now() - startedAt > HANG_GUARD_MS) throw new Error(`waited in vain for ${what}`);
    await setImmediate();
  }
}
