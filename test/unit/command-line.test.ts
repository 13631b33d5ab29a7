import t from 'tap';
import { parseCommand } from '../../src/cli/parse.ts';
import { OPTIONS } from '../../src/methods/registry.ts';
import { VERSION } from '../../src/version.ts';
import { fakeHost } from '../support/fake-host.ts';

const CANARY = 'canary-secret-value';

const parse = (argv: readonly string[], env: Record<string, string> = {}) => parseCommand(fakeHost({ argv, env }));

async function help(env: Record<string, string> = {}): Promise<string> {
  const command = await parse(['--help'], env);
  return 'print' in command ? command.print : '';
}

void t.test('get-token is what happens anyway', async (t) => {
  const named = await parse(['get-token', '--user-name', 'a']);
  const bare = await parse(['--user-name', 'a']);
  t.same(named, bare);
});

void t.test('mistakes are named, values are not', async (t) => {
  const check = async (argv: string[], message: RegExp): Promise<void> => {
    const error: unknown = await parse(argv).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    t.match(error, { code: 'usage', message });
    t.notMatch(String(error), new RegExp(CANARY));
  };
  await check([`--pasword=${CANARY}`], /unknown option --pasword/);
  await check(['--pasword', CANARY], /unknown option --pasword/);
  await check([`-p${CANARY}`], /unknown option -p/);
  await check([CANARY], /unexpected argument/);
  await check(['get-token', CANARY], /unexpected argument/);
  await check(['--password', 'my', CANARY], /unexpected argument/);
  await check(['--', CANARY], /unexpected argument/);
  await check(['--user-name'], /--user-name needs a value/);
  await check(['--user-id=x', '--password'], /--password needs a value/);
  await check(['--no-insecure'], /unknown option --no-insecure/);
  await check(['--userName=x'], /unknown option --userName/);
});

void t.test('--help names every flag with its variables, in groups, and no value of any', async (t) => {
  const variables = Object.fromEntries(OPTIONS.flatMap((option) => (option.env ?? []).map((name) => [name, CANARY])));
  const text = await help(variables);
  for (const option of OPTIONS) {
    if (option.flag !== false) t.ok(text.includes(`--${option.name}`), option.name);
    if (option.flag !== false) for (const name of option.env ?? []) t.ok(text.includes(name), name);
  }
  t.notMatch(text, new RegExp(CANARY));
  t.match(text, /\nKeystone:\n[^]*\nUser:\n[^]*\nScope:\n[^]*\nTLS:\n/);
});

void t.test('--version', async (t) => {
  t.same(await parse(['--version']), { print: `${VERSION}\n` });
});

void t.test('switches', async (t) => {
  const on = async (argv: string[]): Promise<unknown> => {
    const command = await parse(argv);
    return 'flags' in command ? command.flags.get('insecure')?.value : undefined;
  };
  t.equal(await on(['--insecure']), 'true');
  t.equal(await on(['--insecure=true']), 'true');
  t.equal(await on(['--insecure=false']), 'false');
  t.equal(await on([]), undefined);
  const verbose = await parse(['-v']);
  t.equal('flags' in verbose && verbose.flags.get('verbose')?.value, 'true');
});
