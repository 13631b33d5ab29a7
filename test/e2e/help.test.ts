/** The built programs answer a person at a terminal: help, versions, typos, and the installation of the completion. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import t from 'tap';
import { PLUGIN_COMMAND, WEBHOOK_PATH } from '../support/built-programs.ts';
import { makeEnvironment, makeTestHome } from '../support/home.ts';
import type { Home } from '../support/home.ts';
import { openTerminal } from '../support/terminal.ts';
import type { TerminalExit } from '../support/terminal.ts';

type Program = readonly [string, ...string[]];

const PLUGIN: Program = PLUGIN_COMMAND;
const WEBHOOK: Program = [process.execPath, WEBHOOK_PATH];

const ROWS = 40;
const COLUMNS = 80;

interface Answer extends TerminalExit {
  readonly lines: readonly string[];
}

async function run(home: Home, [file, ...first]: Program, args: readonly string[]): Promise<Answer> {
  const env = makeEnvironment(home, { SHELL: '/usr/bin/fish' });
  const terminal = openTerminal({ file, args: [...first, ...args], env, cwd: home.path, cols: COLUMNS });
  const exit = await terminal.ended;
  return { ...exit, lines: terminal.screen().trimEnd().split('\n') };
}

async function checkHelp(t: Test, program: Program): Promise<void> {
  const home = makeTestHome(t);
  const first = await run(home, program, ['--help']);
  t.match(first, { exitCode: 0 });
  t.ok(first.lines.length <= ROWS, `${first.lines.length} lines`);
  t.strictSame(
    first.lines.filter((line) => line.length > COLUMNS),
    [],
  );
  for (const args of [['-h'], ['help']]) t.strictSame(await run(home, program, args), first, args.join(' '));
  for (const args of [['--version'], ['version']]) {
    t.match(await run(home, program, args), { exitCode: 0, lines: [/^\d+\.\d+\.\d+/] }, args.join(' '));
  }
}

await t.test('the help of the plugin fits on a terminal', (t) => checkHelp(t, PLUGIN));

await t.test('the help of the webhook fits on a terminal', (t) => checkHelp(t, WEBHOOK));

await t.test('typos are answered with what was probably meant', async (t) => {
  const home = makeTestHome(t);
  const rows: readonly [program: Program, args: readonly string[], meant: string][] = [
    [PLUGIN, ['--projct-name', 'demo'], 'did you mean --project-name?'],
    [PLUGIN, ['whomai'], 'did you mean "whoami"?'],
    [PLUGIN, ['--auth-type=totp', '--keystone-url=https://127.0.0.1:1'], 'did you mean "v3totp"?'],
    [WEBHOOK, ['--keystone-rul', 'x'], 'did you mean --keystone-url?'],
    [WEBHOOK, ['policy', 'lnit'], 'did you mean "policy lint"?'],
  ];
  for (const [program, args, meant] of rows) {
    const { exitCode, lines } = await run(home, program, args);
    t.not(exitCode, 0, args.join(' '));
    t.ok(lines.join(' ').includes(meant), lines.join('\n'));
  }
});

await t.test('completion install writes the script of the shell in SHELL', async (t) => {
  const home = makeTestHome(t);
  const path = join(home.path, '.config', 'fish', 'completions', 'client-keystone-auth.fish');
  const first = await run(home, PLUGIN, ['completion', 'install']);
  t.match(first, { exitCode: 0 });
  t.match(first.lines.join(''), `${path}: written`);
  t.match(readFileSync(path, 'utf8'), /^# fish completion for client-keystone-auth/);
  t.match((await run(home, PLUGIN, ['completion', 'install'])).lines.join(''), 'up to date');
});
