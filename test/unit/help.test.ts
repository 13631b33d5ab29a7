import t from 'tap';
import { METHOD_USES } from '../../src/plugin/auth-methods/auth-method.ts';
import { listMethodNames, METHODS, OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { TASKS } from '../../src/plugin/commands/command.ts';
import { ALL_COMMANDS } from '../../src/plugin/commands/registry.ts';
import { VERSION } from '../../src/shared/base/program.ts';
import { runInProcess } from '../support/run-in-process.ts';
import type { CommandOutput } from '../support/run-in-process.ts';

const CANARY = 'canary-secret-value';

const run = (argv: readonly string[], columns?: number): Promise<CommandOutput> =>
  runInProcess({
    argv,
    env: Object.fromEntries(OPTIONS.flatMap((option) => (option.env ?? []).map((name) => [name, CANARY]))),
    columns: () => columns,
  });

async function readHelp(...argv: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await run(argv);
  t.same({ status, stderr }, { status: 0, stderr: '' }, argv.join(' '));
  t.notMatch(stdout, new RegExp(CANARY), 'no values');
  // The build measures text for yargs by its number of characters.
  t.match(stdout, /^[\n -~]*$/, `${argv.join(' ')} is ASCII`);
  t.strictSame(
    stdout.split('\n').filter((line) => line.length > 80),
    [],
    argv.join(' '),
  );
  return stdout;
}

void t.test('the first page of the help fits on one screen', async (t) => {
  const text = await readHelp('--help');
  t.ok(text.split('\n').length <= 41, `${text.split('\n').length - 1} lines`);
  for (const task of TASKS) t.match(text, new RegExp(`^  ${task} `, 'm'));
  for (const { words } of ALL_COMMANDS.filter(({ words: [word] }) => word !== 'help' && word !== 'version')) {
    t.ok(text.includes(words[0]), words.join(' '));
  }
  const [, options = ''] = /\nOptions that most people need:\n([^]*?)\n\n/.exec(text) ?? [];
  t.equal(options.match(/^ +(?:-\w, )?--/gm)?.length, 10, 'ten options');
  const [, examples = ''] = /\nExamples:\n([^]*?)\n\n/.exec(text) ?? [];
  t.equal(examples.split('\n').length, 5, 'five examples');
  for (const way of ['help options', 'help auth', 'help COMMAND', 'man client-keystone-auth']) t.match(text, way);
});

void t.test('-h, --help and help show the same page, and no run waits for a command', async (t) => {
  const first = await run(['--help']);
  for (const argv of [['-h'], ['help'], ['-v', '--help']]) {
    t.strictSame(await run(argv), first, argv.join(' '));
  }
  const whoami = await run(['help', 'whoami']);
  for (const argv of [
    ['whoami', '--help'],
    ['whoami', '-h'],
    ['-h', 'whoami'],
    ['--os-cloud=x', 'whoami', '-h'],
  ]) {
    t.strictSame(await run(argv), whoami, argv.join(' '));
  }
  const group = await run(['help', 'kubeconfig']);
  t.match(group.stdout, /kubeconfig convert \[CONTEXT\.\.\.\]/);
  t.strictSame(await run(['kubeconfig', '--help']), group);
  t.strictSame(await run(['get-token', '--help']), await run(['help', 'get-token']));
});

void t.test('version and --version print the version', async (t) => {
  for (const argv of [['version'], ['--version'], ['get-token', '--version'], ['whoami', '--version']]) {
    t.strictSame(await run(argv), { status: 0, stdout: `${VERSION}\n`, stderr: '' }, argv.join(' '));
  }
  t.match(await run(['version', 'x']), { status: 2, stdout: '' });
});

void t.test(
  'help options lists every flag with its variables in groups, and the variables without a flag',
  async (t) => {
    const text = await readHelp('help', 'options');
    for (const { name, flag, env = [], legacyEnv = [] } of OPTIONS) {
      if (flag !== false) t.ok(text.includes(`--${name}`), name);
      for (const variable of [...env, ...legacyEnv]) t.ok(text.includes(variable), variable);
    }
    t.match(text, /\nKeystone:\n[^]*\nUser:\n[^]*\nScope:\n[^]*\nTLS:\n/);
    const [, withoutFlag = ''] = /\nVariables without a flag:\n([^]*)$/.exec(text) ?? [];
    for (const { env = [], flag } of OPTIONS) {
      for (const variable of env) t.equal(new RegExp(`\\b${variable}\\b`).test(withoutFlag), flag === false, variable);
    }
    t.match(text, new RegExp(METHOD_USES.map((use) => `${use}: [^]*`).join('')), 'the values of --auth-type by use');
  },
);

void t.test('help auth lists the auth methods by use', async (t) => {
  const text = await readHelp('help', 'auth');
  for (const use of METHOD_USES) t.match(text, new RegExp(`^${use}:$`, 'm'));
  for (const name of METHODS.flatMap(listMethodNames)) t.match(text, new RegExp(`^  .*\\b${name}\\b`, 'm'), name);
});

void t.test('the help of a command has its own options, and one line about those of a login', async (t) => {
  for (const { words, options, examples, arguments: own = [], getTokenOptions } of ALL_COMMANDS.slice(1)) {
    const text = await readHelp(...words, '--help');
    const name = words.join(' ');
    for (const option of options) t.ok(text.includes(`--${option.name}`), `${name} --${option.name}`);
    for (const argument of own) t.ok(text.includes(argument.name), `${name} ${argument.name}`);
    for (const { line } of examples) t.ok(text.replaceAll(/\s+/g, ' ').includes(line), line);
    t.ok(examples.length > 0, `${name} has an example`);
    t.notMatch(text, '--user-domain-name', name);
    t.equal(/The options of a login\s+work\s+too/.test(text), getTokenOptions === 'login', name);
  }
});

void t.test('the help is as wide as the terminal', async (t) => {
  for (const [columns, width] of [
    [40, 40],
    [72, 72],
    [300, 100],
  ] as const) {
    const { stdout } = await run(['help', 'options'], columns);
    const widest = Math.max(...stdout.split('\n').map((line) => line.length));
    t.ok(widest <= width, `${widest} of ${columns}`);
  }
});
