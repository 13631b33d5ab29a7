import t from 'tap';
import { parseGetTokenCommand, scanArguments } from '../../src/plugin/cli/parse-command-line.ts';
import type { OptionName } from '../../src/plugin/config/option.ts';
import type { CommandLine } from '../../src/plugin/cli/parse-command-line.ts';
import { findCommand } from '../../src/plugin/commands/find-command.ts';
import { COMMANDS } from '../../src/plugin/commands/registry.ts';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { runInProcess } from '../support/run-in-process.ts';
import type { CommandOutput } from '../support/run-in-process.ts';

const CANARY = 'canary-secret-value';

const parse = (argv: readonly string[]): CommandLine<OptionName> => parseGetTokenCommand(scanArguments(argv));

const run = (argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CommandOutput> =>
  runInProcess({ argv, env });

void t.test('get-token is the default command', async (t) => {
  t.same(parse(['get-token', '--user-name', 'a']).flags, parse(['--user-name', 'a']).flags);
  for (const argv of [[], ['get-token'], ['--user-name', 'whoami'], ['-v', '--os-cloud=x', 'get-token', '--version']]) {
    t.ok(scanArguments(argv).isGetToken, argv.join(' '));
  }
  for (const argv of [['whoami'], ['--os-cloud', 'x', 'whoami'], ['--help'], ['get-token', '--help']]) {
    t.notOk(scanArguments(argv).isGetToken, argv.join(' '));
  }
});

void t.test('words are the arguments that are neither flags nor their values', async (t) => {
  t.same(scanArguments(['--os-cloud', 'prod', 'cache', 'list', '-o', 'json']).words.slice(0, 2), ['cache', 'list']);
});

void t.test('errors name options and never print values', async (t) => {
  const check = (argv: string[], message: RegExp): void => {
    let error: unknown;
    try {
      parse(argv);
    } catch (caught) {
      error = caught;
    }
    t.match(error, { code: 'usage', message });
    t.notMatch(String(error), new RegExp(CANARY));
  };
  check([`--pasword=${CANARY}`], /unknown option --pasword/);
  check(['--pasword', CANARY], /unknown option --pasword/);
  check([`-p${CANARY}`], /unknown option -p/);
  check([CANARY], /unexpected argument/);
  check(['get-token', CANARY], /unexpected argument/);
  check(['--password', 'my', CANARY], /unexpected argument/);
  check(['--', CANARY], /unexpected argument/);
  check(['--user-name'], /--user-name needs a value/);
  check(['--user-id=x', '--password'], /--password needs a value/);
  check(['--no-insecure'], /unknown option --no-insecure/);
  check(['--userName=x'], /unknown option --userName/);
});

void t.test('an unknown command is an error that does not repeat the arguments', async (t) => {
  for (const argv of [[CANARY], ['whoami', CANARY], ['whoami', '--bogus'], ['whoami', '--output=xml']]) {
    const { status, stdout, stderr } = await run(argv);
    t.equal(status, argv.includes('--output=xml') ? 3 : 2, argv.join(' '));
    t.equal(stdout, '');
    t.match(stderr, /^client-keystone-auth: [^\n]*; [^\n]*\n$/);
    t.notMatch(stderr, new RegExp(CANARY));
  }
  t.throws(() => findCommand(['nothing']), { code: 'usage' });
});

void t.test('--help lists every flag with its variables in groups, and no values', async (t) => {
  const variables = Object.fromEntries(OPTIONS.flatMap((option) => (option.env ?? []).map((name) => [name, CANARY])));
  const { stdout: text, status } = await run(['--help'], variables);
  t.equal(status, 0);
  for (const option of OPTIONS) {
    if (option.flag !== false) t.ok(text.includes(`--${option.name}`), option.name);
    if (option.flag !== false) for (const name of option.env ?? []) t.ok(text.includes(name), name);
  }
  t.notMatch(text, new RegExp(CANARY));
  t.match(text, /\nKeystone:\n[^]*\nUser:\n[^]*\nScope:\n[^]*\nTLS:\n/);
  for (const { words, summary } of COMMANDS) t.ok(text.includes(words.join(' ')), `${words.join(' ')}: ${summary}`);
});

void t.test('--help of each command lists its options, arguments and examples', async (t) => {
  for (const { words, options, examples, arguments: own = [] } of COMMANDS) {
    const { stdout, status, stderr } = await run([...words, '--help']);
    t.same({ status, stderr }, { status: 0, stderr: '' }, words.join(' '));
    for (const { name } of options) t.ok(stdout.includes(`--${name}`), `${words.join(' ')} --${name}`);
    for (const { name } of own) t.ok(stdout.includes(name), `${words.join(' ')} ${name}`);
    for (const { line } of examples) t.ok(stdout.includes(line.split(' ')[0] ?? ''), line);
    t.ok(examples.length > 0, `${words.join(' ')} has an example`);
  }
});

void t.test('the names of commands and of their options are unique', async (t) => {
  const names = COMMANDS.map(({ words }) => words.join(' '));
  const loginNames: readonly string[] = OPTIONS.map(({ name }) => name);
  t.equal(new Set(names).size, names.length);
  for (const { words, options } of COMMANDS) {
    for (const option of options) {
      t.notOk(loginNames.includes(option.name), `${words.join(' ')} --${option.name}`);
    }
  }
});

void t.test('switches and levels are parsed', async (t) => {
  const on = (argv: string[]): unknown => parse(argv).flags.get('insecure')?.value;
  t.equal(on(['--insecure']), 'true');
  t.equal(on(['--insecure=true']), 'true');
  t.equal(on(['--insecure=false']), 'false');
  t.equal(on([]), undefined);
  const level = (argv: string[]): unknown => parse(argv).flags.get('verbose')?.value;
  t.equal(level(['-v']), '1');
  t.equal(level(['-vvv']), '3');
  t.equal(level(['-v', '--verbose']), '2');
  t.equal(level(['-vvvvvv']), '3');
  t.equal(level(['--verbose=2']), '2');
  t.equal(level(['--verbose=true']), '1');
  t.equal(level(['--verbose=false']), undefined);
  t.throws(() => level(['--verbose=7']), { code: 'config-invalid' });
});
