// `npm run fuzz`: searches with random inputs for a token that serves another login, and for variables that make a command
// crash, hang, leak a secret or write where it must not. A failure prints the smallest input that it found and the command
// that repeats it. `npm test` runs the same tests, each with a few inputs.
//
// usage: node scripts/fuzz.ts [--seconds N] [--seed N] [PART...]

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';

import { runSearch } from './lib/search-arguments.ts';
import type { Search } from './lib/search-arguments.ts';

const PARTS = {
  keys: 'test/property/cache-keys.test.ts',
  tokens: 'test/security/token-of-each-login.test.ts',
  environments: 'test/security/hostile-settings.test.ts',
} as const;

type Part = keyof typeof PARTS;

/** Whether the user ended the run. The signal reaches the running part too, which cleans up and ends. */
let isInterrupted = false;
process.on('SIGINT', () => (isInterrupted = true));

/** Runs a part, and returns its exit status. */
async function runPart(part: Part, seconds: number, seed: number): Promise<number> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'scripts/test.ts', PARTS[part]], {
    cwd: dirname(import.meta.dirname),
    env: { ...process.env, CKA_FUZZ_SECONDS: String(seconds), CKA_SEED: String(seed) },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return status ?? 1;
}

/** @param amount seconds for all parts together */
async function fuzz({ names, amount, seed }: Search<Part>): Promise<number> {
  console.log(`seed ${seed}, ${amount} s`);
  let worst = 0;
  for (const part of names) {
    if (isInterrupted) break;
    worst = Math.max(worst, await runPart(part, Math.ceil(amount / names.length), seed));
  }
  return worst;
}

const names = Object.keys(PARTS) as Part[];
await runSearch({ command: 'npm run fuzz', amount: { option: 'seconds', default: '300' }, kind: 'part', names }, fuzz);
