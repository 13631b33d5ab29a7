// `npm run fuzz`: searches with random inputs for a token that serves another login, and for variables that make a command
// crash, hang, leak a secret or write where it must not. A failure prints the smallest input that it found and the command
// that repeats it. `npm test` runs the same tests, each with a few inputs.
//
// usage: node scripts/fuzz.ts [--seconds N] [--seed N] [PART...]

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';

const PARTS: Readonly<Record<string, string>> = {
  keys: 'test/property/cache-keys.test.ts',
  tokens: 'test/security/token-of-each-login.test.ts',
  environments: 'test/security/hostile-settings.test.ts',
};

const USAGE = `usage: npm run fuzz -- [--seconds N] [--seed N] [${Object.keys(PARTS).join(' | ')}]`;
const DEFAULT_SECONDS = '300';

interface Choice {
  readonly files: readonly string[];
  /** For all parts together. */
  readonly seconds: number;
  readonly seed: string;
}

/** @throws Error for a mistake in the arguments */
function readArguments(args: string[]): Choice {
  const { values, positionals } = parseArgs({
    args,
    options: { seconds: { type: 'string', default: DEFAULT_SECONDS }, seed: { type: 'string' } },
    allowPositionals: true,
  });
  const names = positionals.length > 0 ? positionals : Object.keys(PARTS);
  const files = names.map((name) => {
    const file = PARTS[name];
    if (file === undefined) throw new Error(`there is no part "${name}"`);
    return file;
  });
  const seed = values.seed ?? String(Date.now() % 2 ** 31);
  if (!/^[1-9]\d{0,5}$/.test(values.seconds)) throw new Error('--seconds must be a whole number from 1 to 999999');
  if (!/^\d{1,10}$/.test(seed)) throw new Error('--seed must be a whole number');
  return { files, seconds: Number(values.seconds), seed };
}

/** Whether the user ended the run. The signal reaches the running part too, which cleans up and ends. */
let isInterrupted = false;
process.on('SIGINT', () => (isInterrupted = true));

/** Runs a part, and returns its exit status. */
async function runPart(file: string, seconds: number, seed: string): Promise<number> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'scripts/test.ts', file], {
    cwd: dirname(import.meta.dirname),
    env: { ...process.env, CKA_FUZZ_SECONDS: String(seconds), CKA_SEED: seed },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return status ?? 1;
}

async function main(args: string[]): Promise<number> {
  let choice: Choice;
  try {
    choice = readArguments(args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  const { files, seconds, seed } = choice;
  console.log(`seed ${seed}, ${seconds} s`);
  let worst = 0;
  for (const file of files) {
    if (isInterrupted) break;
    worst = Math.max(worst, await runPart(file, Math.ceil(seconds / files.length), seed));
  }
  return worst;
}

process.exitCode = await main(process.argv.slice(2));
