// Decides how long things are delayed. In each process, some kinds of things are slow and others are not, because what
// shows a race is that one thing is slow and another one is not.

/** What can be delayed. */
export type DelayKind =
  'accept' | 'child' | 'connect' | 'cryptography' | 'file' | 'file-sync' | 'name' | 'pause' | 'read' | 'stall';

/** A number from 0 to below 1. */
export type Random = () => number;

/** A kind is off, slow or very slow in a process. */
const LONGEST_MS: readonly number[] = [0, 15, 150];

/** Later things are delayed more and more rarely, so that a test with thousands of requests ends. */
const FULL_COUNT = 300;

/** Makes a generator of random numbers (mulberry32) from a text. */
export function makeRandom(text: string): Random {
  let state = 2_166_136_261;
  for (const byte of Buffer.from(text)) state = Math.imul(state ^ byte, 16_777_619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** The delays of one process. */
export class Delays {
  readonly #random: Random;
  readonly #longestMs = new Map<DelayKind, number>();
  readonly #counts = new Map<DelayKind, number>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** The next delay of something of this kind, in ms; mostly 0 or short. */
  next(kind: DelayKind): number {
    const longestMs = this.#findLongest(kind);
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    if (longestMs === 0 || this.#random() > Math.min(0.8, FULL_COUNT / count)) return 0;
    return longestMs * this.#random() ** 2;
  }

  /** Runs a task after the next delay of this kind, or at once if there is none. The task keeps the process alive. */
  run(kind: DelayKind, task: () => void): void {
    const ms = this.next(kind);
    if (ms === 0) task();
    else setTimeout(task, ms);
  }

  /** Blocks the process for the next delay of this kind, as a processor does that is busy elsewhere. */
  block(kind: DelayKind): void {
    const ms = this.next(kind);
    if (ms > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  }

  #findLongest(kind: DelayKind): number {
    const known = this.#longestMs.get(kind);
    if (known !== undefined) return known;
    const longestMs = LONGEST_MS[Math.floor(this.#random() * LONGEST_MS.length)] ?? 0;
    this.#longestMs.set(kind, longestMs);
    return longestMs;
  }
}
