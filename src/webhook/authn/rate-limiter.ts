/**
 * Limits the requests to Keystone: how many run at a time, and how many unknown tokens are validated per second. Known
 * tokens go first, so that a flood of unknown tokens does not lock out the users.
 */
import type { Clock } from '../../shared/base/clock.ts';
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
  /** Waits for a turn; call the returned function to end it. Resolves to undefined if the wait is too long. */
  acquire(priority: Priority): Promise<(() => void) | undefined>;
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
  readonly admit: (release: (() => void) | undefined) => void;
  isGone: boolean;
}

/** One queue for each priority. */
class WaitQueues {
  readonly #queues: Readonly<Record<Priority, Waiter[]>> = { known: [], new: [], suspicious: [] };

  /** How many wait or have given up since the last look at their queue. */
  get length(): number {
    return PRIORITIES.reduce((sum, priority) => sum + this.#queues[priority].length, 0);
  }

  push(priority: Priority, waiter: Waiter): void {
    this.#queues[priority].push(waiter);
  }

  /** The length of one queue, without those in front that have given up. */
  lengthOf(priority: Priority): number {
    const queue = this.#queues[priority];
    while (queue[0]?.isGone) queue.shift();
    return queue.length;
  }

  /** The first waiter of the highest priority. */
  findNext(): { readonly priority: Priority; readonly waiter: Waiter } | undefined {
    for (const priority of PRIORITIES) {
      if (this.lengthOf(priority) === 0) continue;
      const [waiter] = this.#queues[priority];
      if (waiter !== undefined) return { priority, waiter };
    }
    return undefined;
  }
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
  const queues = new WaitQueues();
  const maxUnknownQueue = Math.ceil((tokensPerSecond * maxQueueMs) / 1000);
  const bucket = new TokenBucket({ capacity: BURST, creditPerSecond: tokensPerSecond, now: clock.monotonicMs });
  const slots = new Slots(clock, serveQueues);
  let cancelTimer: (() => void) | undefined;

  function serveQueues(): void {
    bucket.refill();
    while (slots.usedCount < concurrency) {
      const next = queues.findNext();
      if (next === undefined) return;
      const { priority, waiter } = next;
      if (bucket.credit < MIN_CREDIT[priority]) {
        cancelTimer?.();
        cancelTimer = clock.startTimer(bucket.msUntil(MIN_CREDIT[priority]), serveQueues);
        return;
      }
      if (priority !== 'known') bucket.spend(1);
      waiter.isGone = true;
      waiter.admit(slots.take());
    }
  }

  function isFull(priority: Priority): boolean {
    const length = queues.lengthOf(priority);
    if (priority === 'known') return length >= MAX_KNOWN_QUEUE;
    return length >= maxUnknownQueue && bucket.credit < MIN_CREDIT[priority];
  }

  return {
    get queueLength() {
      return queues.length;
    },
    acquire(priority) {
      if (isFull(priority)) return Promise.resolve(undefined);
      return new Promise((resolve) => {
        const cancelWait = clock.startTimer(maxWaitMs, () => {
          waiter.isGone = true;
          resolve(undefined);
        });
        const waiter: Waiter = {
          isGone: false,
          admit: (release) => {
            cancelWait();
            resolve(release);
          },
        };
        queues.push(priority, waiter);
        serveQueues();
      });
    },
  };
}
