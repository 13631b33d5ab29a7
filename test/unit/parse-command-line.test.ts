import t from 'tap';
import { parseGetTokenCommand, scanArguments } from '../../src/plugin/cli/parse-command-line.ts';
import type { OptionName } from '../../src/plugin/config/option.ts';
import { parseCommandLine } from '../../src/shared/options/parse-command-line.ts';
import type { CommandLine } from '../../src/shared/options/parse-command-line.ts';
import { listFlagNames, listOpenStackNames, takesValue } from '../../src/shared/options/flags.ts';
import { findCommand } from '../../src/shared/yargs/yargs.ts';
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
  t.same(parseCommandLine(['--os-cloud', 'prod', 'cache', 'list', '--', '-o', 'json'], OPTIONS).words, [
    ...['cache', 'list', '-o', 'json'],
  ]);
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
  check(['-ojson'], /unknown option -o/);
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
  t.throws(() => findCommand(COMMANDS, ['nothing']), { code: 'usage' });
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

void t.test('a flag of several commands takes a value in all of them or in none', async (t) => {
  const kinds = new Map<string, boolean>();
  for (const option of [...OPTIONS, ...COMMANDS.flatMap(({ options }) => options)]) {
    for (const name of listFlagNames(option)) {
      t.equal(kinds.get(name) ?? takesValue(option), takesValue(option), name);
      kinds.set(name, takesValue(option));
    }
  }
});

void t.test('the flags of openstack are accepted', async (t) => {
  const rows: readonly [flag: string, option: OptionName][] = [
    ['--os-auth-url', 'keystone-url'],
    ['--os-auth-type', 'auth-type'],
    ['--os-username', 'user-name'],
    ['--os-user-id', 'user-id'],
    ['--os-user-domain-name', 'user-domain-name'],
    ['--os-password', 'password'],
    ['--os-passcode', 'passcode'],
    ['--os-project-name', 'project-name'],
    ['--os-project-domain-id', 'project-domain-id'],
    ['--os-tenant-name', 'project-name'],
    ['--os-default-domain', 'default-domain-id'],
    ['--os-identity-api-version', 'identity-api-version'],
    ['--os-region-name', 'region-name'],
    ['--os-cacert', 'cacert'],
    ['--os-token', 'token'],
    ['--os-trust-id', 'trust-id'],
    ['--os-application-credential-secret', 'application-credential-secret'],
  ];
  for (const [flag, option] of rows) {
    const value = option === 'identity-api-version' ? '3' : 'x';
    t.ok(parse([flag, value]).flags.has(option), `${flag} VALUE`);
    t.ok(parse([`${flag}=${value}`]).flags.has(option), `${flag}=VALUE`);
  }
  t.equal(parse(['--os-system-scope', 'all', '--os-insecure']).flags.get('insecure')?.value, 'true');
  t.throws(() => parse(['--os-insecure=maybe']), { message: /^--insecure must be true or false/ });
  t.throws(
    () => parse(['--os-cache-dir=x']),
    { message: 'unknown option --os-cache-dir' },
    'openstack has no such flag',
  );
  const names = OPTIONS.flatMap(listOpenStackNames);
  t.equal(new Set(names).size, names.length, 'each leads to one option');
});

void t.test('a value is never taken for a flag, and a flag after its letter is understood', async (t) => {
  const read = (argv: readonly string[], name: OptionName): unknown => parse(argv).flags.get(name)?.value;
  for (const value of ['--help', '-h', '-vvv', '-ojson', '--', '--version', '"quoted"', 'no', '']) {
    t.equal(read(['--user-name', value], 'user-name'), value === '' ? undefined : value, value);
  }
  t.same(parse(['--user-name', '--help']).wantsHelp, false);
  t.ok(scanArguments(['--user-name', '--help']).isGetToken);
  const output = (argv: readonly string[]): unknown =>
    parseCommandLine(argv, [{ name: 'output', aliases: ['o'], group: 'Command', help: '' }]).flags.get('output')?.value;
  for (const argv of [['-ojson'], ['-o=json'], ['-o', 'json'], ['--output=json']]) t.equal(output(argv), 'json');
});

void t.test('typos are answered with what was probably meant', async (t) => {
  const rows: readonly [argv: readonly string[], message: string][] = [
    [['--projct-name=x'], 'unknown option --projct-name; did you mean --project-name?'],
    [['--projct-name', 'x'], 'unknown option --projct-name; did you mean --project-name?'],
    [['--oscloud', 'x', 'whoami'], 'unknown option --oscloud; did you mean --os-cloud?'],
    [['whoami', '--ouput', 'json'], 'unknown option --ouput; did you mean --output?'],
    [['--hlep'], 'unknown option --hlep; did you mean --help?'],
    [['--bogus'], 'unknown option --bogus; see --help'],
    [['-x'], 'unknown option -x; see --help'],
    [['--v'], 'unknown option --v; did you mean -v?'],
    [['-vx'], 'unknown option -x; see --help'],
    [['whomai'], 'there is no such command; did you mean "whoami"?'],
    [['--os-cloud=x', 'docter'], 'there is no such command; did you mean "doctor"?'],
    [['kubeconfig', 'ad'], 'there is no such command; did you mean "kubeconfig add"?'],
    [['kubeconfg', 'add'], 'there is no such command; did you mean "kubeconfig"?'],
    [['help', 'whomai'], 'there is no such command; did you mean "whoami"?'],
    [['help', 'optoins'], 'there is no such command; did you mean "options"?'],
    [['whomai', '--help'], 'there is no such command; did you mean "whoami"?'],
    [['cache'], 'cache is not a complete command; use one of: cache list, cache clean'],
    [['whoami', '--header=x-auth-token'], 'whoami has no option --header; see "client-keystone-auth help whoami"'],
    [['whoami', '--output=jsn'], '--output must be text or json or yaml, not "jsn"; did you mean "json"?'],
    [
      ['--cache-storage=keyrng'],
      '--cache-storage must be file or keyring or none, not "keyrng"; did you mean "keyring"?',
    ],
  ];
  for (const [argv, message] of rows) {
    const { status, stdout, stderr } = await run(argv);
    t.strictSame({ stdout, stderr }, { stdout: '', stderr: `client-keystone-auth: ${message}\n` }, argv.join(' '));
    t.equal(status, message.includes(' must be ') ? 3 : 2, argv.join(' '));
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
