/**
 * Shares the result of a running task with all callers that ask for the same key meanwhile, as Go's singleflight
 * does.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Promise<T>>();

  isRunning(key: string): boolean {
    return this.#flights.has(key);
  }

  /** Joins the task that runs for the key, or starts one. */
  run(key: string, task: () => Promise<T>): Promise<T> {
    const running = this.#flights.get(key);
    if (running !== undefined) return running;
    const flight = task().finally(() => this.#flights.delete(key));
    this.#flights.set(key, flight);
    return flight;
  }
}
