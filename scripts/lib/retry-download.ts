import { setTimeout as sleep } from 'node:timers/promises';

/** Go does not ask a server again that does not answer for a moment, unlike npm, apt-get, pip, Cargo and Maven. In ms. */
const PAUSES_MS = [1_000, 10_000];

/**
 * Downloads something, and again after each pause if that fails.
 *
 * @param download keeps what it has, so that the next attempt continues
 * @throws the error of the last attempt
 */
export async function retryDownload<T>(
  download: () => Promise<T>,
  pausesMs: readonly number[] = PAUSES_MS,
): Promise<T> {
  for (const pauseMs of pausesMs) {
    try {
      return await download();
    } catch {
      await sleep(pauseMs);
    }
  }
  return download();
}
