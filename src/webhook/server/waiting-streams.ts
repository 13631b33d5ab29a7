import { REQUEST_MS } from './limits.ts';

/**
 * Streams of all connections that may wait for their clients. A stream takes about 20 KB. A client that sends a review
 * and reads the answer keeps us waiting for milliseconds.
 */
const MAX_WAITING = 1_000;

/** A stream that waits for its client: for the rest of the request, or until the answer is read. */
export interface WaitingStream {
  /** By a monotonic clock, in ms. */
  since: number;
  readonly reset: () => void;
}

/** The streams of all connections of HTTP/2 that wait for their clients. */
export class WaitingStreams {
  /** The one that waits longest is the first. */
  readonly #streams = new Set<WaitingStream>();
  readonly #now: () => number;

  /** @param now a monotonic clock in ms */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Adds a stream as the last one. If there are too many, the first one is reset. */
  add(stream: WaitingStream): void {
    stream.since = this.#now();
    this.#streams.delete(stream);
    this.#streams.add(stream);
    if (this.#streams.size > MAX_WAITING) this.#resetFirst();
  }

  delete(stream: WaitingStream): void {
    this.#streams.delete(stream);
  }

  /** Resets those that have waited for too long. */
  checkTimes(): void {
    for (const { since } of this.#streams) {
      if (this.#now() - since < REQUEST_MS) return;
      this.#resetFirst();
    }
  }

  #resetFirst(): void {
    const [first] = this.#streams;
    if (first === undefined) return;
    this.#streams.delete(first);
    first.reset();
  }
}
