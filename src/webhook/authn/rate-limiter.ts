/**
 * The way to Keystone is narrow on purpose: so many requests at a time, and so many tokens a second that nobody has seen
 * before. Who has been here lately goes first, so that a flood of strangers' tokens does not lock out the users.
 */

/** `known`: a token that was good the last time; `odd`: one that looks made up. */
export type Priority = 'known' | 'new' | 'odd';

export interface RateLimiterSettings {
  /** Requests at a time. */
  readonly concurrency: number;
  /** Tokens in a second that are not `known`. */
  readonly tokensPerSecond: number;
  /** How long one may wait, in ms. */
  readonly maxWaitMs: number;
  /** A monotonic clock in ms. */
  readonly now: () => number;
}

export interface RateLimiter {
  /** Waits for a turn; the returned function ends it. Undefined where the wait is too long. */
  acquire(lane: Priority): Promise<(() => void) | undefined>;
  readonly queueLength: number;
}

/** What a rush may use at once after a quiet time: an office that logs in on Monday. */
const BURST = 250;

/** What of that is not for the odd. */
const RESERVE = 150;

/** Of the known; each has its place only once, as many ask for one token together. */
const LONGEST_QUEUE = 2_000;

/**
 * Who is slower than this does not keep others out: Keystone may be back while requests from its bad time still hang. Their
 * number stays bounded, since each ends at its deadline.
 */
const SLOW_MS = 1_000;

/** Who goes first. */
const LANES: readonly Priority[] = ['known', 'new', 'odd'];

interface Waiter {
  readonly admit: (leave: (() => void) | undefined) => void;
  gone: boolean;
}

/** Opens a gate. */
export function makeRateLimiter({ concurrency, tokensPerSecond, maxWaitMs, now }: RateLimiterSettings): RateLimiter {
  const queues: Readonly<Record<Priority, Waiter[]>> = { known: [], new: [], odd: [] };
  /** The credit without which a lane stands. */
  const least: Readonly<Record<Priority, number>> = { known: -Infinity, new: 1, odd: RESERVE };
  // Whoever comes behind these would wait in vain, and is told so at once.
  const longest: Readonly<Record<Priority, number>> = {
    known: LONGEST_QUEUE,
    new: Math.ceil((tokensPerSecond * maxWaitMs) / 1000),
    odd: Math.ceil((tokensPerSecond * maxWaitMs) / 1000),
  };
  let inside = 0;
  let credit = BURST;
  let creditAt = now();
  let timer: NodeJS.Timeout | undefined;

  function takeTurn(): () => void {
    inside += 1;
    let over = false;
    const leave = (): void => {
      if (over) return;
      over = true;
      clearTimeout(slow);
      inside -= 1;
      pump();
    };
    const slow = setTimeout(leave, SLOW_MS);
    slow.unref();
    return leave;
  }

  function refill(): void {
    const at = now();
    credit = Math.min(BURST, credit + ((at - creditAt) * tokensPerSecond) / 1000);
    creditAt = at;
  }

  function next(lane: Priority): Waiter | undefined {
    const queue = queues[lane];
    while (queue[0]?.gone) queue.shift();
    return queue[0];
  }

  function pump(): void {
    refill();
    while (inside < concurrency) {
      const lane = LANES.find((one) => next(one) !== undefined);
      const waiter = lane === undefined ? undefined : next(lane);
      if (lane === undefined || waiter === undefined) return;
      if (credit < least[lane]) {
        clearTimeout(timer);
        timer = setTimeout(pump, Math.ceil(((least[lane] - credit) * 1000) / tokensPerSecond));
        return;
      }
      if (lane !== 'known') credit -= 1;
      waiter.gone = true;
      waiter.admit(takeTurn());
    }
  }

  return {
    get queueLength() {
      return queues.known.length + queues.new.length + queues.odd.length;
    },
    acquire(lane) {
      const queue = queues[lane];
      next(lane);
      if (queue.length >= longest[lane] && (lane === 'known' || credit < least[lane]))
        return Promise.resolve(undefined);
      return new Promise((resolve) => {
        const impatience = setTimeout(() => {
          waiter.gone = true;
          resolve(undefined);
        }, maxWaitMs);
        const waiter: Waiter = {
          gone: false,
          admit: (leave) => {
            clearTimeout(impatience);
            resolve(leave);
          },
        };
        queue.push(waiter);
        pump();
      });
    },
  };
}
