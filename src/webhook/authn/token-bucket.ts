export interface TokenBucketSettings {
  /** The most credit it holds, and what it starts with. */
  readonly capacity: number;
  readonly creditPerSecond: number;
  /** A monotonic clock in ms. */
  readonly now: () => number;
}

/** A token bucket: credit that refills at a fixed rate up to a capacity. */
export class TokenBucket {
  readonly #settings: TokenBucketSettings;
  #credit: number;
  #refilledAt: number;

  constructor(settings: TokenBucketSettings) {
    this.#settings = settings;
    this.#credit = settings.capacity;
    this.#refilledAt = settings.now();
  }

  /** The credit at the last refill, less what was spent since. */
  get credit(): number {
    return this.#credit;
  }

  /** Adds the credit for the time since the last refill. */
  refill(): void {
    const { capacity, creditPerSecond, now } = this.#settings;
    const at = now();
    this.#credit = Math.min(capacity, this.#credit + ((at - this.#refilledAt) * creditPerSecond) / 1000);
    this.#refilledAt = at;
  }

  spend(amount: number): void {
    this.#credit -= amount;
  }

  /** Time until it holds this much credit, in whole ms. */
  msUntil(credit: number): number {
    return Math.ceil(((credit - this.#credit) * 1000) / this.#settings.creditPerSecond);
  }
}
