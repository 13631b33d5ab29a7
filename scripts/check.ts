// `npm run check`: runs the static checks, as many at the same time as there are processors, and prints the output of
// those that fail. A cache below node_modules holds only what depends on nothing but the file itself. The typed rules of
// ESLint depend on other files, so it has no cache.
//
// usage: node scripts/check.ts

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';

interface Check {
  readonly name: string;
  /** A script of this project, or the program of a package. */
  readonly program: string;
  readonly args: readonly string[];
}

const root = dirname(import.meta.dirname);
const cache = 'node_modules/.cache/client-keystone-auth';

/** The slow ones first. */
const CHECKS: readonly Check[] = [
  { name: 'lint', program: findProgram('eslint'), args: ['.'] },
  {
    name: 'types',
    // ESLint and the other checks need the compiler as a library, which version 7 does not offer any more.
    program: findProgram('typescript-7', 'tsc'),
    args: ['-p', '.'],
  },
  {
    name: 'format',
    program: findProgram('prettier'),
    args: ['--check', '--cache', '--cache-strategy=content', `--cache-location=${cache}/prettier`, '.'],
  },
  { name: 'layers', program: findProgram('dependency-cruiser', 'depcruise'), args: ['src', 'scripts', 'test'] },
  { name: 'unused code', program: findProgram('knip'), args: [] },
  { name: 'generated tables', program: 'scripts/reference.ts', args: ['--check'] },
  { name: 'links', program: 'scripts/check-links.ts', args: [] },
];

process.exitCode = (await runAll(CHECKS)) ? 0 : 1;

/** Runs the checks and returns whether all passed. */
async function runAll(checks: readonly Check[]): Promise<boolean> {
  const waiting = checks.values();
  const results: boolean[] = [];
  const work = async (): Promise<void> => {
    // The workers share one iterator, so each check is run once.
    for (const check of waiting) results.push(await run(check));
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return results.every(Boolean);
}

async function run({ name, program, args }: Check): Promise<boolean> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'}  ${name} (${seconds} s)`);
  if (status !== 0) console.log(output);
  return status === 0;
}

/** Returns the file of a program of an installed package. */
function findProgram(packageName: string, program = packageName): string {
  const folder = join('node_modules', packageName);
  const { bin } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as {
    bin: string | Readonly<Record<string, string>>;
  };
  const file = typeof bin === 'string' ? bin : bin[program];
  if (file === undefined) throw new Error(`the package ${packageName} has no program ${program}`);
  return join(folder, file);
}
