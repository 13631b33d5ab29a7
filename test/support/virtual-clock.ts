/**
 * A clock that stands still until the test advances it. A deadline therefore passes when the test says so, however busy
 * the machine is, and hours pass in milliseconds.
 */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../src/shared/base/clock.ts';

export interface VirtualClock extends Clock {
  /** ms since 1970, UTC. Real when the clock is made. */
  readonly now: () => number;
  /** Lets `ms` pass. Each timer runs at its own time, and what it causes in memory happens before the next one. */
  advance(ms: number): Promise<void>;
}

interface Timer {
  readonly dueMs: number;
  readonly task: () => void;
}

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
    },
  };
}
