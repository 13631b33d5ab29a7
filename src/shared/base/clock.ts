/** A monotonic clock with timers, injected into a program that runs for a long time so that tests can replace it. */
export interface Clock {
  /** ms since any fixed moment. */
  readonly monotonicMs: () => number;
  /** Calls `task` once after `ms`; the returned function cancels that. A task that waits keeps the process alive. */
  readonly startTimer: (ms: number, task: () => void) => () => void;
}

/** The clock of this machine. */
export const SYSTEM_CLOCK: Clock = {
  monotonicMs: () => performance.now(),
  startTimer(ms, task) {
    const timer = setTimeout(task, ms);
    return () => {
      clearTimeout(timer);
    };
  },
};

/** Resolves after `ms`. */
export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.startTimer(ms, resolve);
  });
}
