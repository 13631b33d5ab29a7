/** Measures two webhooks in turn, so that both meet the same moods of a busy machine. */
import { readFileSync } from 'node:fs';
import type { LoadResult } from '../../test/support/load-generator.ts';
import { estimate } from '../lib/estimate.ts';
import type { Estimate } from '../lib/estimate.ts';
import { readProcessorSeconds } from '../lib/processor-time.ts';

/** A webhook that runs. */
export interface Webhook {
  readonly port: number;
  readonly pid: number;
}

/** One slice of a load. */
export interface Slice extends LoadResult {
  /** Processor time of the webhook for each response, in µs. */
  readonly processorUs: number;
}

export interface Load<Target> {
  readonly client: string;
  readonly review: string;
  readonly measure: (target: Target) => Promise<LoadResult>;
}

/** The slices of one load, one of each webhook in each round. */
export interface Comparison {
  readonly client: string;
  readonly review: string;
  readonly ours: readonly Slice[];
  readonly theirs: readonly Slice[];
  /** How many times as many responses per second ours gives. */
  readonly ratio: Estimate;
}

/** The largest resident memory of a process so far, in MB. */
export function readResidentMb(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN) / 1024;
}

async function measureSlice<Target extends { readonly webhook: Webhook }>(
  load: Load<Target>,
  target: Target,
): Promise<Slice> {
  const before = readProcessorSeconds(target.webhook.pid);
  const result = await load.measure(target);
  const seconds = readProcessorSeconds(target.webhook.pid) - before;
  return { ...result, processorUs: (seconds * 1e6) / result.responseCount };
}

/** Runs all loads in rounds, of which the first does not count. Every other round runs backward. */
export async function compare<Target extends { readonly webhook: Webhook }>(
  loads: readonly Load<Target>[],
  { ours, theirs }: { readonly ours: Target; readonly theirs: Target },
  rounds: number,
): Promise<readonly Comparison[]> {
  const slices = loads.map((load) => ({ load, ours: [] as Slice[], theirs: [] as Slice[] }));
  for (let round = -1; round < rounds; round += 1) {
    const isForward = round % 2 === 0;
    for (const { load, ...own } of isForward ? slices : slices.toReversed()) {
      for (const name of isForward ? (['ours', 'theirs'] as const) : (['theirs', 'ours'] as const)) {
        const slice = await measureSlice(load, name === 'ours' ? ours : theirs);
        if (round >= 0) own[name].push(slice);
      }
    }
  }
  return slices.map(({ load: { client, review }, ...own }) => ({
    client,
    review,
    ...own,
    ratio: estimate(own.ours.map(({ perSecond }, round) => perSecond / (own.theirs[round]?.perSecond ?? Number.NaN))),
  }));
}
