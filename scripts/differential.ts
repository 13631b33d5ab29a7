// `npm run differential`: compares what the plugin sends to Keystone with what `openstack token issue` sends, for random
// environments, command lines and files. A difference that no reason of differential/known-differences.ts explains
// fails the run, which prints the smallest case that shows it and its seed. `npm test` runs a few cases.
//
// usage: node scripts/differential.ts [--cases N] [--seed N] [packaged | pip]...

import { checkClient, openLaboratory } from './differential/check-client.ts';
import type { Failure, Figures } from './differential/check-client.ts';
import type { Case } from './differential/case.ts';
import { findPackagedClient, findPipClient } from './differential/find-openstack.ts';
import type { OpenStackClient } from './differential/find-openstack.ts';
import { checkRealCommands, isForRealCommands } from './differential/real-commands.ts';
import { runSearch } from './lib/search-arguments.ts';
import type { Search } from './lib/search-arguments.ts';

const CLIENTS = { packaged: findPackagedClient, pip: findPipClient } as const;

type ClientName = keyof typeof CLIENTS;

/** How many cases the real commands get: each takes them two seconds. */
const SAMPLE_SIZE = 10;

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
async function check(openstack: OpenStackClient, { amount: cases, seed }: Search<ClientName>): Promise<boolean> {
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

async function compare(search: Search<ClientName>): Promise<number> {
  await import('./build.ts');
  let status = 0;
  let checkedCount = 0;
  for (const name of search.names) {
    const found = await CLIENTS[name]((line) => console.log(line));
    if ('missing' in found) {
      console.log(`${name}: not checked, because ${found.missing}`);
      continue;
    }
    checkedCount += 1;
    if (!(await check(found, search))) status = 1;
  }
  if (checkedCount === 0) {
    console.error('no OpenStack client could be checked');
    return 1;
  }
  return status;
}

const names = Object.keys(CLIENTS) as ClientName[];
const amount = { option: 'cases', default: '1000' };
await runSearch({ command: 'npm run differential', amount, kind: 'client', names }, compare);
