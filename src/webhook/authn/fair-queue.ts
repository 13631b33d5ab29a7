/** Who waits for something. */
interface Waiting {
  readonly client: string;
}

/** A queue in which clients take turns, each with those of its own in the order in which they came. */
export class FairQueue<T extends Waiting> {
  /** In the order in which the clients have their turns. No client is without a waiter. */
  readonly #byClient = new Map<string, Set<T>>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(waiter: T): void {
    const own = this.#byClient.get(waiter.client);
    if (own === undefined) this.#byClient.set(waiter.client, new Set([waiter]));
    else own.add(waiter);
    this.#length += 1;
  }

  delete(waiter: T): void {
    const own = this.#byClient.get(waiter.client);
    if (own?.delete(waiter) !== true) return;
    this.#length -= 1;
    if (own.size === 0) this.#byClient.delete(waiter.client);
  }

  /** Takes the first waiter of the client whose turn it is, who then has to wait for the others. */
  take(): T | undefined {
    for (const [client, own] of this.#byClient) {
      const [first] = own;
      if (first === undefined) continue;
      this.delete(first);
      if (this.#byClient.delete(client)) this.#byClient.set(client, own);
      return first;
    }
    return undefined;
  }

  /** Takes the last waiter of the client with the most, unless `client` would then have as many. */
  takeExcess(client: string): T | undefined {
    let largest: ReadonlySet<T> = new Set();
    for (const own of this.#byClient.values()) if (own.size > largest.size) largest = own;
    if (largest.size <= (this.#byClient.get(client)?.size ?? 0) + 1) return undefined;
    const last = [...largest].at(-1);
    if (last !== undefined) this.delete(last);
    return last;
  }
}
