/** The time that all requests of a run share. The time that a user needs between them does not count. */
export interface TimeBudget {
  /** Not positive once the time is spent. */
  remainingMs(): number;
  spend(ms: number): void;
}

/** Starts a budget of `totalMs`. */
export function makeTimeBudget(totalMs: number): TimeBudget {
  let remaining = totalMs;
  return {
    remainingMs: () => remaining,
    spend(ms) {
      remaining -= ms;
    },
  };
}
