import type { Clock } from '../../shared/base/clock.ts';

/** How long the API server may take to answer a request, in ms. */
export const REQUEST_MS = 10_000;

/** The API server did not answer in time: it is slow, or the connection has died. */
export class RequestTimeout extends Error {
  constructor() {
    super(`the API server did not answer within ${REQUEST_MS / 1_000} s`);
  }
}

/**
 * Waits for the response to a request, and aborts the request at its deadline.
 *
 * @throws RequestTimeout at the deadline, or what the request throws
 */
export async function sendInTime<T>(clock: Clock, send: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let cancelTimer = (): void => undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    cancelTimer = clock.startTimer(REQUEST_MS, () => {
      reject(new RequestTimeout());
      controller.abort();
    });
  });
  try {
    return await Promise.race([send(controller.signal), timeout]);
  } finally {
    cancelTimer();
  }
}
