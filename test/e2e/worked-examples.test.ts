/**
 * Follows the worked examples of CONTRIBUTING.md literally, in a copy of the project: it creates and changes the files,
 * compiles, writes the generated tables, and runs the tests that the examples name.
 */
import { execFile } from 'node:child_process';
import { cpSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import type { Test } from 'tap';
import { COMPILE_CACHE } from '../support/home.ts';
import { applyDiff, followExample, readWorkedExample } from '../support/worked-example.ts';

const run = promisify(execFile);

const COPIED = [
  ...['src', 'scripts', 'test', 'docs', 'packaging', '.github', '.node-version', '.prettierrc.json', '.editorconfig'],
  ...['package.json', 'package-lock.json', 'tsconfig.json', 'README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'],
  ...['SECURITY.md', 'CODE_OF_CONDUCT.md'],
];

const EXAMPLES = ['Worked example: add an auth method', 'Worked example: add a command'] as const;
const markdown = readFileSync('CONTRIBUTING.md', 'utf8');

interface Outcome {
  readonly status: number;
  readonly output: string;
}

/** Runs Node in the copy. */
async function runNode(folder: string, ...words: readonly string[]): Promise<Outcome> {
  // As in the runner, a test file of the copy has the time that this file has: tap would end it after 30 s.
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: join(folder, '.home'),
    LC_ALL: 'C',
    TAP_TIMEOUT: process.env['TAP_TIMEOUT'] ?? '1800',
    NODE_COMPILE_CACHE: COMPILE_CACHE,
  };
  const flags = ['--disable-warning=ExperimentalWarning', ...words];
  try {
    const { stdout, stderr } = await run(process.execPath, flags, { cwd: folder, env, maxBuffer: 100e6 });
    return { status: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { status: code, output: stdout + stderr };
  }
}

/** Copies the project into a folder below it, where Node and the compiler find its packages. */
function copyProject(t: Test): string {
  const folder = t.testdir({});
  for (const name of COPIED) cpSync(name, join(folder, name), { recursive: true });
  return folder;
}

await t.test('whoever follows the worked examples gets a method and a command that pass their tests', async (t) => {
  const folder = copyProject(t);
  const succeed = async (claim: string, ...words: readonly string[]): Promise<string> => {
    const { status, output } = await runNode(folder, ...words);
    t.equal(status, 0, status === 0 ? claim : `${claim}: ${output}`);
    return output;
  };
  const examples = EXAMPLES.map((heading) => readWorkedExample(markdown, heading));
  for (const example of examples) {
    t.ok(example.steps.length >= 4, 'the example has steps');
    t.ok(example.testFiles.length >= 1, 'the example names tests');
    followExample(folder, example);
  }
  const created = examples.flatMap(({ steps }) => steps.map(({ path }) => path));
  await succeed(
    'the code of the examples is formatted',
    resolve('node_modules/prettier/bin/prettier.cjs'),
    '--check',
    ...created,
  );
  await succeed('the examples compile', resolve('node_modules/typescript-7/bin/tsc'), '-p', '.');
  await succeed('npm run reference writes the tables', 'scripts/reference.ts');
  t.match(readFileSync(join(folder, 'docs/reference.md'), 'utf8'), '`v3pin`', 'the reference names the method');
  t.match(readFileSync(join(folder, 'docs/commands.md'), 'utf8'), '`roles`', 'the reference names the command');
  await succeed('npm run build bundles them', 'scripts/build.ts');
  for (const file of examples.flatMap(({ testFiles }) => testFiles))
    t.match(await succeed(`${file} passes`, file), /^# \{ total: [1-9]\d*, pass: [1-9]\d* \}$/m, 'no test is skipped');
});

void t.test('a diff of an example must fit exactly once', async (t) => {
  t.equal(applyDiff('a\nb\nc\n', ' b\n+x\n'), 'a\nb\nx\nc\n');
  t.equal(applyDiff('a\nb\nc\n', '-a\n+x\n'), 'x\nb\nc\n');
  t.throws(() => applyDiff('a\nab\n', ' b\n+x\n'), /exactly once/, 'a part of a line is not a line');
  t.throws(() => applyDiff('a\nb\na\nb\n', ' a\n b\n+x\n'), /exactly once/);
});
