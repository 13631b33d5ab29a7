// Checks that a client and the plugin send the same for random cases.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';

import { makePki } from '../lib/pki.ts';
import { startClient } from './ask-openstack.ts';
import type { ClientProcess } from './ask-openstack.ts';
import { prepareFolder } from './case.ts';
import type { Case } from './case.ts';
import { compare } from './compare.ts';
import type { Difference, Outcome } from './compare.ts';
import type { OpenStackClient } from './find-openstack.ts';
import { cases } from './random-case.ts';

/** What random cases showed. */
export interface Figures {
  readonly seed: number;
  /** Those in which the client sends a login that a Keystone could accept. */
  readonly wellFormed: number;
  readonly same: number;
  /** Cases by the reason of the difference. */
  readonly known: ReadonlyMap<string, number>;
  /** Cases without a login of the client. */
  readonly withoutLogin: number;
}

/** A difference that no reason explains. */
export interface Failure {
  /** The smallest case that was found. */
  readonly given: Case;
  readonly difference: Difference;
  /** Repeats it, with one round of cases. */
  readonly seed: number;
}

/** Cases that are tried before the next seed. */
const ROUND = 100;

/** A client with a folder for its cases. */
export interface Laboratory {
  readonly client: ClientProcess;
  readonly folder: string;
  close(): void;
}

/** Starts a client and makes a folder for its cases. */
export async function openLaboratory(client: OpenStackClient): Promise<Laboratory> {
  const folder = mkdtempSync(join(tmpdir(), 'cka-differential-'));
  const { ca, client: own } = await makePki(join(folder, 'pki'));
  const read = (path: string): string => readFileSync(path, 'utf8');
  prepareFolder(folder, { ca: read(ca), cert: read(own.cert), key: read(own.key) });
  const process = await startClient(client);
  return {
    client: process,
    folder,
    close() {
      process.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Gives random cases to a client and to the plugin, until enough of them are well-formed.
 *
 * @param onOutcome gets each case of the search, but not those of the search for a smaller one
 */
export async function checkClient(
  { client, folder }: Laboratory,
  { wellFormed: wanted, seed }: { readonly wellFormed: number; readonly seed: number },
  onOutcome: (given: Case, outcome: Outcome) => void = () => undefined,
): Promise<Figures | Failure> {
  let [wellFormed, same, withoutLogin] = [0, 0, 0];
  const known = new Map<string, number>();
  for (let round = 0; wellFormed < wanted; round += 1) {
    let found: Difference | undefined;
    const property = fc.asyncProperty(cases, async (given) => {
      const outcome = await compare(given, client, folder);
      if (outcome.kind === 'unexplained') {
        found = outcome.difference;
        return false;
      }
      if (found !== undefined) return true;
      onOutcome(given, outcome);
      if (outcome.kind === 'no login') withoutLogin += 1;
      else wellFormed += 1;
      if (outcome.kind === 'same') same += 1;
      if (outcome.kind === 'known') known.set(outcome.known.reason, (known.get(outcome.known.reason) ?? 0) + 1);
      return true;
    });
    const details = await fc.check(property, { seed: seed + round, numRuns: ROUND });
    if (!details.failed) continue;
    const [given] = details.counterexample ?? [];
    if (given === undefined || found === undefined) throw new Error('fast-check found a failure without a case');
    return { given, difference: found, seed: seed + round };
  }
  return { seed, wellFormed, same, known, withoutLogin };
}
