/**
 * Limits the requests to Keystone: how many run at a time, and how many unknown tokens are validated per second. Known
 * tokens go first, so that a flood of unknown tokens does not lock out the users. Where clients can be told apart, they
 * take turns.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { FairQueue } from './fair-queue.ts';
import { TokenBucket } from './token-bucket.ts';

/** `known`: a token that was valid the last time; `suspicious`: one that looks made up. */
export type Priority = 'known' | 'new' | 'suspicious';

export interface RateLimiterSettings {
  /** Requests at a time. */
  readonly concurrency: number;
  /** Tokens per second that are not `known`. */
  readonly tokensPerSecond: number;
  /** A token that is not `known` is turned away at once if the rate gives it no turn within this time, in ms. */
  readonly maxQueueMs: number;
  /** How long a token may wait for its turn, in ms. */
  readonly maxWaitMs: number;
  readonly clock: Clock;
}

export interface RateLimiter {
  /**
   * Waits for a turn; call the returned function to end it. Resolves to undefined if the wait is too long.
   *
   * @param client who asks; clients take turns, and of a full queue the one that fills it loses a place to another one
   */
  acquire(priority: Priority, client?: string): Promise<(() => void) | undefined>;
  readonly queueLength: number;
}

/** How many tokens may pass at once after a quiet time, such as when an office logs in on Monday. */
const BURST = 250;

/** The part of the burst that suspicious tokens cannot use. */
const RESERVE = 150;

/** Of known tokens; each takes one place, because reviews of the same token share a request. */
const MAX_KNOWN_QUEUE = 2_000;

/**
 * A slower request no longer blocks others: Keystone may be back while requests from its outage still hang. Their
 * number stays bounded because each ends at its deadline.
 */
const SLOW_MS = 1_000;

/** In the order in which they are served. */
const PRIORITIES: readonly Priority[] = ['known', 'new', 'suspicious'];

/** The credit that a request of this priority needs. */
const MIN_CREDIT: Readonly<Record<Priority, number>> = { known: -Infinity, new: 1, suspicious: RESERVE };

interface Waiter {
  readonly client: string;
  /** Gives the turn, or undefined to turn the token away. */
  readonly admit: (release: (() => void) | undefined) => void;
}

/** Counts the running requests, and stops counting those that are slow. */
class Slots {
  #usedCount = 0;
  readonly #clock: Clock;
  readonly #onRelease: () => void;

  constructor(clock: Clock, onRelease: () => void) {
    this.#clock = clock;
    this.#onRelease = onRelease;
  }

  get usedCount(): number {
    return this.#usedCount;
  }

  take(): () => void {
    this.#usedCount += 1;
    let isReleased = false;
    const release = (): void => {
      if (isReleased) return;
      isReleased = true;
      cancelTimer();
      this.#usedCount -= 1;
      this.#onRelease();
    };
    const cancelTimer = this.#clock.startTimer(SLOW_MS, release);
    return release;
  }
}

/** Makes a rate limiter. */
export function makeRateLimiter(settings: RateLimiterSettings): RateLimiter {
  const { concurrency, tokensPerSecond, maxQueueMs, maxWaitMs, clock } = settings;
  const queues: Readonly<Record<Priority, FairQueue<Waiter>>> = {
    known: new FairQueue(),
    new: new FairQueue(),
    suspicious: new FairQueue(),
  };
  const maxUnknownQueue = Math.ceil((tokensPerSecond * maxQueueMs) / 1000);
  const bucket = new TokenBucket({ capacity: BURST, creditPerSecond: tokensPerSecond, now: clock.monotonicMs });
  const slots = new Slots(clock, serveQueues);
  let cancelTimer: (() => void) | undefined;

  function serveQueues(): void {
    bucket.refill();
    while (slots.usedCount < concurrency) {
      const priority = PRIORITIES.find((each) => queues[each].length > 0);
      if (priority === undefined) return;
      if (bucket.credit < MIN_CREDIT[priority]) {
        cancelTimer?.();
        cancelTimer = clock.startTimer(bucket.msUntil(MIN_CREDIT[priority]), serveQueues);
        return;
      }
      if (priority !== 'known') bucket.spend(1);
      queues[priority].take()?.admit(slots.take());
    }
  }

  function isFull(priority: Priority): boolean {
    const { length } = queues[priority];
    if (priority === 'known') return length >= MAX_KNOWN_QUEUE;
    return length >= maxUnknownQueue && bucket.credit < MIN_CREDIT[priority];
  }

  return {
    get queueLength() {
      return PRIORITIES.reduce((sum, priority) => sum + queues[priority].length, 0);
    },
    acquire(priority, client = '') {
      const queue = queues[priority];
      if (isFull(priority)) {
        const excess = queue.takeExcess(client);
        if (excess === undefined) return Promise.resolve(undefined);
        excess.admit(undefined);
      }
      return new Promise((resolve) => {
        const cancelWait = clock.startTimer(maxWaitMs, () => {
          queue.delete(waiter);
          resolve(undefined);
        });
        const waiter: Waiter = {
          client,
          admit: (release) => {
            cancelWait();
            resolve(release);
          },
        };
        queue.push(waiter);
        serveQueues();
      });
    },
  };
}
