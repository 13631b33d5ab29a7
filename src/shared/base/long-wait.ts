/** Says what a person waits for, if that takes longer than a person expects. */
import type { Clock } from './clock.ts';

/** Waits for `work`, and says what for if it takes long. */
export type WaitFor = <T>(what: string, work: () => Promise<T>) => Promise<T>;

/** A pause that a person notices, in ms. */
export const LONG_WAIT_MS = 1_000;

/** Waits without a word. */
export const waitSilently: WaitFor = (_what, work) => work();

/**
 * Makes a function that waits and calls `announce` with what it waits for, after {@link LONG_WAIT_MS}. It names each
 * thing once, however often it waits for it.
 */
export function makeWaitFor(clock: Clock, announce: (what: string) => void): WaitFor {
  const announced = new Set<string>();
  return async (what, work) => {
    const cancelTimer = clock.startTimer(LONG_WAIT_MS, () => {
      if (announced.has(what)) return;
      announced.add(what);
      announce(what);
    });
    try {
      return await work();
    } finally {
      cancelTimer();
    }
  };
}
