// Remembers how long test files took, so that the next run starts the slow ones first and does not wait for one of them
// at its end. Also prints the slowest.

import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

import type { FileTime } from './test-report.ts';

/** Seconds by test file. */
export type TestTimes = Readonly<Record<string, number>>;

const SHOWN = 10;

/** Reads the times of earlier runs. The file can be missing. */
export function readTestTimes(file: string): TestTimes {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as TestTimes;
  } catch {
    return {};
  }
}

export function writeTestTimes(file: string, times: readonly FileTime[]): void {
  const all = { ...readTestTimes(file), ...Object.fromEntries(times.map(({ path, seconds }) => [path, seconds])) };
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(all));
}

/** Estimates how long a file takes. The size of a file that has never run takes the place of its time: 1 s for 1 KB. */
export function estimateSeconds(file: string, times: TestTimes): number {
  return times[file] ?? statSync(file).size / 1000;
}

/** Sorts lists of files that run one after the other: what takes longer comes first. */
export function sortSlowestFirst(lists: readonly (readonly string[])[], times: TestTimes): (readonly string[])[] {
  const estimates = new Map(
    lists.map((files) => [files, files.reduce((sum, file) => sum + estimateSeconds(file, times), 0)]),
  );
  return lists.toSorted((a, b) => (estimates.get(b) ?? 0) - (estimates.get(a) ?? 0));
}

/** Describes the slowest files, with the processor time of each if it is known. */
export function describeSlowest(times: readonly FileTime[]): string[] {
  const slowest = times.toSorted((a, b) => b.seconds - a.seconds).slice(0, SHOWN);
  return [
    '   seconds  processor s  the slowest files',
    ...slowest.map(({ path, seconds, processorSeconds }) => {
      const columns = [seconds.toFixed(1).padStart(10), (processorSeconds?.toFixed(1) ?? '?').padStart(11)];
      return `${columns.join('  ')}  ${path}`;
    }),
  ];
}
