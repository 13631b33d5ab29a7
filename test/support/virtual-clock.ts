/**
 * A clock that stands still until the test advances it. A deadline therefore passes when the test says so, however busy
 * the machine is, and hours pass in milliseconds.
 */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../src/shared/base/clock.ts';
import { waitUntil } from './wait-until.ts';

export interface VirtualClock extends Clock {
  /** ms since 1970, UTC. Real when the clock is made. */
  readonly now: () => number;
  /**
   * Lets `ms` pass. Each timer runs at its own time, and what it causes in memory happens before the next one. Then what was
   * sent over loopback arrives, so that a test can tell that nothing was sent.
   */
  advance(ms: number): Promise<void>;
  /** Lets `ms` pass at once, as on a suspended machine: a timer that is due runs when all of the time has passed. */
  jump(ms: number): void;
  /**
   * Waits until `count` timers are due in exactly `ms`. Time does not pass meanwhile. Call it before `advance` if the code
   * under test starts its timer only after something real, such as the arrival of a request: a timer that starts after
   * `advance` does not count the time that has passed.
   */
  waitForTimer(ms: number, count?: number): Promise<void>;
}

interface Timer {
  readonly dueMs: number;
  readonly task: () => void;
}

/** Sums of times can differ by less than this. */
const ROUNDING_MS = 0.001;

/** Turns of the event loop in which a request over loopback arrives, also over a new connection with TLS. */
const ARRIVAL_TURNS = 20;

/** Makes a clock whose monotonic time starts at 0. */
export function makeVirtualClock(): VirtualClock {
  const startedAt = Date.now();
  const timers = new Set<Timer>();
  let elapsedMs = 0;

  const run = (timer: Timer): void => {
    if (timers.delete(timer)) timer.task();
  };
  const findNext = (untilMs: number): Timer | undefined => {
    const due = [...timers].filter(({ dueMs }) => dueMs <= untilMs);
    // The sort is stable: timers of one moment run in the order in which they were started.
    return due.sort((one, other) => one.dueMs - other.dueMs)[0];
  };

  return {
    now: () => startedAt + elapsedMs,
    monotonicMs: () => elapsedMs,
    startTimer(ms, task) {
      const timer = { dueMs: elapsedMs + ms, task };
      timers.add(timer);
      // Due already: a test that waits for its effect does not advance the clock for it.
      if (ms <= 0) void setImmediate().then(() => run(timer));
      return () => timers.delete(timer);
    },
    async advance(ms) {
      const untilMs = elapsedMs + ms;
      await setImmediate();
      for (let next = findNext(untilMs); next !== undefined; next = findNext(untilMs)) {
        elapsedMs = Math.max(elapsedMs, next.dueMs);
        run(next);
        await setImmediate();
      }
      elapsedMs = untilMs;
      for (let turn = 0; turn < ARRIVAL_TURNS; turn += 1) await setImmediate();
    },
    jump(ms) {
      elapsedMs += ms;
      const due = [...timers].filter(({ dueMs }) => dueMs <= elapsedMs);
      for (const timer of due.sort((one, other) => one.dueMs - other.dueMs)) run(timer);
    },
    async waitForTimer(ms, count = 1) {
      const isDue = ({ dueMs }: Timer): boolean => Math.abs(dueMs - elapsedMs - ms) < ROUNDING_MS;
      await waitUntil(`${count} timers of ${ms} ms`, () => [...timers].filter(isDue).length >= count);
    },
  };
}
