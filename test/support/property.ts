/**
 * Property-based tests: a claim about every input of a kind, checked with random inputs (fast-check). Runs are
 * repeatable, because the seed is fixed. `CKA_SEED=SEED` chooses other inputs, and `CKA_SEED=SEED:INDEX` repeats one
 * failure. `npm run fuzz` checks a property in rounds, each with the next seed, until its time is over.
 */
import { relative } from 'node:path';
import fc from 'fast-check';
import type { Test } from 'tap';
import { FUZZ_SECONDS, pickSize } from './test-size.ts';

const DEFAULT_SEED = 20_261_126;

/** How many times as many inputs `npm run stress` tries. */
const FULL_FACTOR = 25;

interface Replay {
  readonly seed: number;
  /** The index of the first input: the one that failed. */
  readonly path?: string;
}

/** @throws Error if CKA_SEED is not a seed */
function readReplay(text: string | undefined): Replay {
  if (text === undefined || text === '') return { seed: DEFAULT_SEED };
  const [, seed, path] = /^(-?\d{1,10})(?::(\d{1,9}))?$/.exec(text) ?? [];
  if (seed === undefined) throw new Error('CKA_SEED must be a whole number, or SEED:INDEX as a failed test prints it');
  return path === undefined ? { seed: Number(seed) } : { seed: Number(seed), path };
}

const replay = readReplay(process.env['CKA_SEED']);
let isSeedShown = false;

function showSeed(t: Test): void {
  if (isSeedShown) return;
  isSeedShown = true;
  t.comment(`CKA_SEED=${replay.seed}`);
}

function fail<T>(t: Test, details: fc.RunDetails<T>): void {
  const file = relative(process.cwd(), process.argv[1] ?? '');
  // The index of the input. The rest of the path says how it was made smaller, which a repetition finds again.
  const [index = '0'] = details.counterexamplePath?.split(':') ?? [];
  const seed = `${details.seed}:${index}`;
  t.fail(`a counterexample; repeat it with CKA_SEED=${seed} npm test -- ${file}`, {
    counterexample: fc.stringify(details.counterexample),
    report: fc.defaultReportMessage(details),
  });
}

/**
 * Checks a property: one assertion. A failure says how to repeat it.
 *
 * @param runs the number of random inputs; `npm run stress` tries 25 times as many
 * @param fuzzAtLeast the number of inputs that `npm run fuzz` tries even if its time is over; without it, `npm run fuzz`
 *   tries as many as `npm test`
 */
export async function checkProperty<T>(
  t: Test,
  property: fc.IRawProperty<T>,
  runs: number,
  fuzzAtLeast?: number,
): Promise<void> {
  showSeed(t);
  const numRuns = pickSize(runs * FULL_FACTOR, runs);
  const fuzzSeconds = replay.path === undefined && fuzzAtLeast !== undefined ? FUZZ_SECONDS : undefined;
  const endsAt = performance.now() + (fuzzSeconds ?? 0) * 1000;
  let count = 0;
  for (let round = 0; ; round += 1) {
    const details = await fc.check(property, {
      ...replay,
      seed: replay.seed + round,
      numRuns,
      includeErrorInReport: true,
    });
    if (details.failed) {
      fail(t, details);
      return;
    }
    count += details.numRuns;
    if (fuzzSeconds === undefined || (performance.now() >= endsAt && count >= (fuzzAtLeast ?? 0))) break;
  }
  t.pass(`${count} random inputs`);
  if (fuzzSeconds !== undefined) t.comment(`${count} random inputs`);
}
