// `npm run differential`: compares what the plugin sends to Keystone with what `openstack token issue` sends, for random
// environments, command lines and files. A difference that no reason of differential/known-differences.ts explains
// fails the run, which prints the smallest case that shows it and its seed. `npm test` runs a few cases.
//
// usage: node scripts/differential.ts [--cases N] [--seed N] [packaged | pip]...

import { parseArgs } from 'node:util';

import { checkClient, openLaboratory } from './differential/check-client.ts';
import type { Failure, Figures } from './differential/check-client.ts';
import type { Case } from './differential/case.ts';
import { findPackagedClient, findPipClient } from './differential/find-openstack.ts';
import type { FoundClient, OpenStackClient } from './differential/find-openstack.ts';
import { checkRealCommands, isForRealCommands } from './differential/real-commands.ts';

const CLIENTS: Readonly<Record<string, (say: (line: string) => void) => Promise<FoundClient>>> = {
  packaged: findPackagedClient,
  pip: findPipClient,
};

const USAGE = `usage: npm run differential -- [--cases N] [--seed N] [${Object.keys(CLIENTS).join(' | ')}]...`;
const DEFAULT_CASES = '1000';

/** How many cases the real commands get: each takes them two seconds. */
const SAMPLE_SIZE = 10;

interface Choice {
  readonly clients: readonly (keyof typeof CLIENTS)[];
  readonly cases: number;
  readonly seed: number;
}

/** @throws Error for a mistake in the arguments */
function readArguments(args: string[]): Choice {
  const { values, positionals } = parseArgs({
    args,
    options: { cases: { type: 'string', default: DEFAULT_CASES }, seed: { type: 'string' } },
    allowPositionals: true,
  });
  const unknown = positionals.find((name) => !(name in CLIENTS));
  if (unknown !== undefined) throw new Error(`there is no client "${unknown}"`);
  const seed = values.seed ?? String(Date.now() % 2 ** 31);
  if (!/^[1-9]\d{0,5}$/.test(values.cases)) throw new Error('--cases must be a whole number from 1 to 999999');
  if (!/^\d{1,10}$/.test(seed)) throw new Error('--seed must be a whole number');
  return {
    clients: positionals.length > 0 ? positionals : Object.keys(CLIENTS),
    cases: Number(values.cases),
    seed: Number(seed),
  };
}

function printFigures({ seed, wellFormed, same, known, withoutLogin }: Figures, seconds: number): void {
  console.log(
    `  ${wellFormed} logins: ${same} the same, ${wellFormed - same} differ on purpose; ` +
      `${withoutLogin} more cases in which openstack does not log in (seed ${seed}, ${Math.round(seconds)} s)`,
  );
  for (const [reason, count] of [...known].sort(([, one], [, other]) => other - one)) {
    console.log(`  ${String(count).padStart(5)}  ${reason}`);
  }
}

function printFailure({ given, difference, seed }: Failure): void {
  console.error(`  an unexplained difference; repeat it with --seed ${seed} --cases 1`);
  console.error(JSON.stringify({ case: given, ...difference }, null, 2));
}

/** Checks one client; whether nothing is wrong. */
async function check(openstack: OpenStackClient, { cases, seed }: Choice): Promise<boolean> {
  console.log(openstack.label);
  const laboratory = await openLaboratory(openstack);
  try {
    const startedAt = performance.now();
    const sample: Case[] = [];
    const result = await checkClient(laboratory, { wellFormed: cases, seed }, (given, outcome) => {
      if (outcome.kind !== 'same' || !('login' in outcome.plugin) || sample.length >= SAMPLE_SIZE) return;
      if (isForRealCommands(given, outcome.plugin.login)) sample.push(given);
    });
    if ('difference' in result) {
      printFailure(result);
      return false;
    }
    printFigures(result, (performance.now() - startedAt) / 1000);
    const problems = await checkRealCommands(sample, openstack, laboratory);
    for (const problem of problems) console.error(`  ${problem}`);
    if (problems.length === 0) console.log(`  ${sample.length} of them with the real commands: the same`);
    return problems.length === 0;
  } finally {
    laboratory.close();
  }
}

async function main(args: string[]): Promise<number> {
  let choice: Choice;
  try {
    choice = readArguments(args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  await import('./build.ts');
  let status = 0;
  let checkedCount = 0;
  for (const name of choice.clients) {
    const found = await CLIENTS[name]?.((line) => console.log(line));
    if (found === undefined || 'missing' in found) {
      console.log(`${name}: not checked, because ${found?.missing ?? 'it is unknown'}`);
      continue;
    }
    checkedCount += 1;
    if (!(await check(found, choice))) status = 1;
  }
  if (checkedCount === 0) {
    console.error('no OpenStack client could be checked');
    return 1;
  }
  return status;
}

process.exitCode = await main(process.argv.slice(2));
