/** Measures cases in turn, so that all of them meet the same moods of a busy machine. */
import type { LoadResult } from '../../test/support/load-generator.ts';
import { readProcessorSeconds } from '../lib/processor-time.ts';

export interface BenchCase {
  readonly name: string;
  /** The processes that work for it, with the names of their columns. */
  readonly pids: Readonly<Record<string, number>>;
  /** Runs before each slice, and is not measured. */
  readonly prepare?: () => Promise<void> | void;
  readonly measure: () => Promise<LoadResult>;
  /** How often Keystone has been asked so far. */
  readonly countQuestions: () => number;
}

/** One slice of a case. */
export interface BenchSlice extends LoadResult {
  /** Processor time of each process for each response, in µs. */
  readonly processorUs: Readonly<Record<string, number>>;
  /** Questions to Keystone for each response. */
  readonly questions: number;
}

async function measureSlice({ pids, prepare, measure, countQuestions }: BenchCase): Promise<BenchSlice> {
  await prepare?.();
  const before = Object.entries(pids).map(([name, pid]) => ({ name, pid, seconds: readProcessorSeconds(pid) }));
  const questions = countQuestions();
  const result = await measure();
  const { responseCount } = result;
  return {
    ...result,
    processorUs: Object.fromEntries(
      before.map(({ name, pid, seconds }) => [name, ((readProcessorSeconds(pid) - seconds) * 1e6) / responseCount]),
    ),
    questions: (countQuestions() - questions) / responseCount,
  };
}

/**
 * Runs all cases in rounds, of which the first does not count. Every other round runs backward.
 *
 * @returns the slices of each case, one for each round
 */
export async function runRounds(
  cases: readonly BenchCase[],
  rounds: number,
): Promise<ReadonlyMap<string, readonly BenchSlice[]>> {
  const slices = new Map(cases.map(({ name }) => [name, [] as BenchSlice[]]));
  for (let round = -1; round < rounds; round += 1) {
    for (const one of round % 2 === 0 ? cases : cases.toReversed()) {
      const slice = await measureSlice(one);
      if (round >= 0) slices.get(one.name)?.push(slice);
    }
  }
  return slices;
}
