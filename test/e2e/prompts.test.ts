/**
 * Prompts on a real terminal: what is asked, in which order, where it is said and heard, what is left behind. Nothing
 * but a terminal shows whether a second question is visible, or whether Ctrl-C leaves the echo off.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import {
  checkFailure,
  EXIT_STATUS,
  makeLoginSettings,
  PASSWORD,
  readExecCredential,
  runInFreshHome,
  startKeystoneForTest,
  testUsers,
} from '../support/check-run.ts';
import type { ExecCredentialStatus } from '../support/check-run.ts';
import { PLUGIN_COMMAND, makeExecInfo, makeEnvironment, makeHome, runPlugin } from '../support/run-plugin.ts';
import type { Home } from '../support/run-plugin.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { openTerminal, runWithStty } from '../support/terminal.ts';
import type { Terminal, TerminalCommand } from '../support/terminal.ts';

t.setTimeout(120_000);

// Anew for each test, because tap writes into the object.
const inParallel = (): { buffered: true; jobs: number } => ({ buffered: true, jobs: 3 });
const ENTER = '\r';
const CURSOR = /\x1b\[\?25[hl]/g;

type EnvVars = Readonly<Record<string, string | undefined>>;

interface PromptFixture {
  readonly keystone: StandInKeystone;
  readonly home: Home;
  /** A login that lacks the password only. */
  readonly login: EnvVars;
  /** The plugin, with stdout in a file. */
  readonly command: (env: EnvVars, cwd?: string, args?: readonly string[]) => TerminalCommand;
  readonly readStdout: () => string;
}

async function setUpPrompts(t: Test, password = PASSWORD): Promise<PromptFixture> {
  const keystone = await startKeystoneForTest(t, { users: testUsers.map((user) => ({ ...user, password })) });
  const home = makeHome();
  t.teardown(() => home.remove());
  const out = join(home.path, 'stdout');
  return {
    keystone,
    home,
    login: { ...makeLoginSettings(`${keystone.url}/v3`), OS_PASSWORD: undefined },
    command: (env, cwd = home.path, args = []) => ({
      file: '/bin/sh',
      args: ['-c', 'out=$1; shift; exec "$@" >"$out"', 'sh', out, ...PLUGIN_COMMAND, ...args],
      env: makeEnvironment(home, env),
      cwd,
      cols: 200,
    }),
    readStdout: () => readFileSync(out, 'utf8'),
  };
}

function open(t: Test, command: TerminalCommand): Terminal {
  const terminal = openTerminal(command);
  t.teardown(() => terminal.close());
  return terminal;
}

/** Waits for a question and answers it as a user does, who reads first. */
async function answer(terminal: Terminal, question: string | RegExp, text: string): Promise<void> {
  await terminal.waitFor(question);
  terminal.type(text + ENTER);
}

async function checkEnd(
  t: Test,
  terminal: Terminal,
  { readStdout }: PromptFixture,
  secret = PASSWORD,
): Promise<ExecCredentialStatus> {
  t.strictSame(await terminal.ended, { exitCode: 0, signal: undefined }, terminal.screen());
  t.notOk(terminal.raw().includes(secret), 'the password is nowhere on the screen');
  t.notMatch(terminal.screen(), /gAAAA|ExecCredential/, 'the document went to stdout');
  checkCursor(t, terminal.raw());
  return readExecCredential(t, readStdout());
}

function checkCursor(t: Test, raw: string): void {
  t.ok((raw.match(CURSOR) ?? []).at(-1) !== '\x1b[?25l', 'the cursor is visible');
}

/** Each question as it was first put, in order. */
function questionsOf(terminal: Terminal): string[] {
  const asked = terminal.screen().match(/\? [A-Z][^\n?✔]*?(?=:(?: |\?|✔|$))/gm) ?? [];
  return [...new Set(asked.map((question) => question.slice(2).replace(/ at http.*/, '')))];
}

await t.test('nothing set', async (t) => {
  const scene = await setUpPrompts(t);
  const { keystone, command, home } = scene;
  const terminal = open(t, command({}));
  await answer(terminal, '? Keystone URL:', keystone.url);
  await answer(terminal, `? User name at ${keystone.url}:`, 'alice');
  await answer(terminal, `? Domain of the user at ${keystone.url}: (Default)`, 'acme');
  await answer(terminal, `? Project (empty for none) at ${keystone.url}:`, 'web');
  await answer(terminal, `? Domain of the project at ${keystone.url}: (acme)`, '');
  await answer(terminal, `? Password at ${keystone.url}:`, PASSWORD);
  const first = await checkEnd(t, terminal, scene);
  t.strictSame(questionsOf(terminal), [
    'Keystone URL',
    'User name',
    'Domain of the user',
    'Project (empty for none)',
    'Domain of the project',
    'Password',
  ]);
  t.match(keystone.requests.at(-1)?.body, {
    auth: {
      identity: { password: { user: { name: 'alice', domain: { name: 'acme' }, password: PASSWORD } } },
      scope: { project: { name: 'web', domain: { name: 'acme' } } },
    },
  });

  const elsewhere = join(home.path, 'elsewhere');
  mkdirSync(elsewhere);
  for (const cwd of [home.path, elsewhere, elsewhere]) {
    const again = open(t, command({}, cwd));
    t.strictSame(await checkEnd(t, again, scene), first);
    t.equal(again.raw(), '', 'nothing is asked');
  }
  t.equal(keystone.countLogins(), 1);
});

await t.test('names with spaces, no project, a suggestion taken', async (t) => {
  const [alice] = testUsers;
  const domain = { id: 'default', name: 'Default' };
  const odd = { ...alice, id: '1', name: ' Ann  van Ö ', domain, password: PASSWORD, roles: [] };
  const keystone = await startKeystoneForTest(t, { users: [odd] });
  const scene = { ...(await setUpPrompts(t)), keystone };
  const terminal = open(t, scene.command({ OS_AUTH_URL: keystone.url }));
  await answer(terminal, '? User name', ' Ann  van Ö ');
  await answer(terminal, '? Domain of the user', '');
  await answer(terminal, '? Project (empty for none)', '');
  await answer(terminal, '? Password', PASSWORD);
  t.strictSame(await terminal.ended, { exitCode: 0, signal: undefined }, terminal.screen());
  t.match(terminal.screen(), 'the token has no scope');
  readExecCredential(t, scene.readStdout());
  const user = { name: ' Ann  van Ö ', domain: { name: 'Default' }, password: PASSWORD };
  t.strictSame(keystone.requests.at(-1)?.body, {
    auth: { identity: { methods: ['password'], password: { user } } },
  });
});

await t.test('what is set is not asked for', async (t) => {
  const scene = await setUpPrompts(t);
  const { keystone, command, login } = scene;
  const server = 'https://k8s.example.com:6443';
  for (const [name, env, place] of [
    ['only the password', {}, `at ${keystone.url}/v3:`],
    [
      'it names the cluster',
      { KUBERNETES_EXEC_INFO: makeExecInfo({ interactive: true, cluster: { server } }) },
      `at ${keystone.url}/v3 for the cluster ${server}:`,
    ],
    ['it asks for the user and then for the password', { OS_USERNAME: undefined }, `at ${keystone.url}/v3:`],
  ] as const) {
    await t.test(name, async (t) => {
      const terminal = open(t, command({ ...login, ...env }, undefined, ['--force-refresh']));
      const asksUser = 'OS_USERNAME' in env;
      if (asksUser) await answer(terminal, '? User name', 'alice');
      await answer(terminal, `? Password ${place}`, PASSWORD);
      await checkEnd(t, terminal, scene);
      t.strictSame(questionsOf(terminal), asksUser ? ['User name', 'Password'] : ['Password']);
    });
  }

  await t.test('an application credential’s secret', async (t) => {
    const terminal = open(t, command({ OS_AUTH_URL: keystone.url, OS_APPLICATION_CREDENTIAL_ID: 'abc' }));
    await answer(terminal, '? Application credential secret', PASSWORD);
    const { exitCode } = await terminal.ended;
    t.equal(exitCode, EXIT_STATUS.refused);
    t.notOk(terminal.raw().includes(PASSWORD));
    t.equal(scene.readStdout(), '');
  });
});

await t.test('complete settings mean the same on a terminal and in a pipe', async (t) => {
  const scene = await setUpPrompts(t);
  const { keystone, command, home, login } = scene;
  const complete = { OS_PASSWORD: PASSWORD, OS_USER_ID: undefined, OS_PROJECT_DOMAIN_ID: testUsers[0]?.domain.id };
  const settings: Readonly<Record<string, EnvVars>> = {
    password: complete,
    'a user by id': { ...complete, OS_USER_ID: testUsers[0]?.id },
    'a domain for all': { ...complete, OS_USER_DOMAIN_NAME: undefined, OS_DOMAIN_NAME: 'acme' },
    'an application credential': {
      OS_APPLICATION_CREDENTIAL_ID: 'abc',
      OS_APPLICATION_CREDENTIAL_SECRET: PASSWORD,
      OS_USERNAME: undefined,
    },
    'a flag against a variable': complete,
  };
  for (const [name, changes] of Object.entries(settings)) {
    await t.test(name, async (t) => {
      const args = name.startsWith('a flag') ? ['--force-refresh', '--project-name=db'] : ['--force-refresh'];
      const env = { ...login, ...changes };
      const before = keystone.requests.length;
      const terminal = open(t, command(env, undefined, args));
      await terminal.ended;
      t.strictSame(questionsOf(terminal), [], 'nothing is asked');
      await runPlugin({ home, env, args });
      const [onTerminal, inPipe, ...more] = keystone.requests.slice(before).map(({ path, body }) => ({ path, body }));
      t.ok(onTerminal !== undefined && more.length === 0);
      t.strictSame(inPipe, onTerminal, 'one and the same request');
    });
  }
});

await t.test('passwords arrive as they were typed', inParallel(), async (t) => {
  const passwords = {
    'other letters': 'pässwörd-漢字-пароль-🗝️',
    blanks: '  at both ends, and  within ',
    'what shells and JSON take for their own': '$HOME `id` "quoted" \'single\' \\back\\slash {brace} %41 !bang',
    'a long one': 'x0-'.repeat(300),
  };
  await Promise.all(
    Object.entries(passwords).map(([name, password]) =>
      t.test(name, inParallel(), async (t) => {
        const scene = await setUpPrompts(t, password);
        const terminal = open(t, scene.command(scene.login));
        await answer(terminal, '? Password', password);
        await checkEnd(t, terminal, scene, password);
        t.match(scene.keystone.requests.at(-1)?.body, { auth: { identity: { password: { user: { password } } } } });
      }),
    ),
  );
});

await t.test('an empty answer is asked for again', async (t) => {
  const scene = await setUpPrompts(t);
  const terminal = open(t, scene.command({ ...scene.login, OS_USERNAME: undefined }));
  await answer(terminal, '? User name', '');
  await terminal.waitFor('✔ User name');
  await answer(terminal, '? User name', 'alice');
  await answer(terminal, '? Password', '');
  await terminal.waitFor('✔ Password');
  await answer(terminal, '? Password', PASSWORD);
  await checkEnd(t, terminal, scene);
  t.equal(scene.keystone.requests.length, 1);
});

await t.test('mistakes are corrected, and a wrong password is not asked for again', async (t) => {
  const scene = await setUpPrompts(t);
  const corrected = open(t, scene.command(scene.login));
  await answer(corrected, '? Password', `wrong${'\x7f'.repeat(5)}x\x15${PASSWORD}`);
  await checkEnd(t, corrected, scene);

  const wrong = open(t, scene.command(scene.login, undefined, ['--force-refresh']));
  await answer(wrong, '? Password', 'wrong-canary');
  t.strictSame(await wrong.ended, { exitCode: EXIT_STATUS.refused, signal: undefined });
  t.match(wrong.screen(), 'client-keystone-auth: Keystone refused the login for alice');
  t.notMatch(wrong.raw(), 'wrong-canary');
  t.equal(scene.readStdout(), '');
  t.equal(scene.keystone.countLogins(), 2);
});

await t.test('an answer that cannot be used', async (t) => {
  const scene = await setUpPrompts(t);
  for (const url of ['keystone.example.test', 'http://keystone.example.test/v3']) {
    const terminal = open(t, scene.command({}));
    await answer(terminal, '? Keystone URL', url);
    t.strictSame(await terminal.ended, { exitCode: EXIT_STATUS.config, signal: undefined });
    t.match(terminal.screen(), /client-keystone-auth: Keystone URL is (not a URL|http:\/\/)/);
    t.equal(scene.readStdout(), '');
  }
});

await t.test('stdin that belongs to somebody else is left unread', async (t) => {
  const scene = await setUpPrompts(t);
  const { home } = scene;
  const command = scene.command(scene.login);
  const text = 'apiVersion: v1\nkind: ConfigMap\n';
  const script = 'rest=$1; shift; printf "%s" "$0" | { "$@"; echo "status $?"; cat >"$rest"; }';
  const rest = join(home.path, 'rest');
  const args = ['-c', script, text, rest, command.file, ...(command.args ?? [])];
  const terminal = open(t, { ...command, file: '/bin/sh', args });
  await answer(terminal, '? Password', PASSWORD);
  await terminal.waitFor('status 0');
  await checkEnd(t, terminal, scene);
  t.equal(readFileSync(rest, 'utf8'), text);
});

await t.test('nobody to ask', async (t) => {
  const scene = await setUpPrompts(t);
  const { command, login, keystone, readStdout } = scene;

  await t.test('kubectl has not left us the terminal', async (t) => {
    const terminal = open(t, command({ ...login, KUBERNETES_EXEC_INFO: makeExecInfo({ interactive: false }) }));
    t.strictSame(await terminal.ended, { exitCode: EXIT_STATUS.interaction, signal: undefined });
    t.match(terminal.raw(), /^client-keystone-auth: password is not set [^\n]*; set OS_PASSWORD\r\n$/);
    t.equal(readStdout(), '');
  });

  await t.test('there is no terminal', async (t) => {
    const ran = await runInFreshHome({ env: login });
    checkFailure(t, ran, EXIT_STATUS.interaction, { says: ['password is not set', 'no terminal', 'set OS_PASSWORD'] });
    const nothing = await runInFreshHome({});
    const says = ['keystone url, user name, domain of the user, password are not set', 'OS_AUTH_URL (--keystone-url)'];
    checkFailure(t, nothing, EXIT_STATUS.interaction, { says });
  });
  t.equal(keystone.requests.length, 0);
});

await t.test('the ways out', inParallel(), async (t) => {
  const keys = { 'Ctrl-C': '\x03', 'Ctrl-D': '\x04', 'Ctrl-C after some letters': 'abc\x03' };
  await Promise.all(
    Object.entries(keys).flatMap(([name, typed]) =>
      (['Password', 'User name'] as const).map((question) =>
        t.test(`${name} at ${question}`, inParallel(), async (t) => {
          const scene = await setUpPrompts(t);
          const env = question === 'Password' ? scene.login : { ...scene.login, OS_USERNAME: undefined };
          const shown: { raw?: () => string } = {};
          const { exitCode, before, after, screen } = await runWithStty(scene.command(env), async (terminal) => {
            shown.raw = () => terminal.raw();
            await terminal.waitFor(`? ${question}`);
            terminal.type(typed);
          });
          t.equal(exitCode, EXIT_STATUS.cancelled);
          t.equal(after, before, 'the terminal is as it was');
          checkCursor(t, shown.raw?.() ?? '');
          t.match(screen, /\nclient-keystone-auth: cancelled at the prompt\n$/);
          t.equal(scene.readStdout(), '');
          t.equal(scene.keystone.requests.length, 0);
        }),
      ),
    ),
  );
});

await t.test('signals at a prompt', inParallel(), async (t) => {
  const ROUNDS = 20;
  const ending = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
  const names = [...ending, 'SIGTSTP', 'SIGWINCH', 'Ctrl-Z'] as const;
  await Promise.all(
    names.flatMap((name) =>
      Array.from({ length: ROUNDS }, (_, round) =>
        t.test(`${name}, round ${String(round + 1)}`, inParallel(), async (t) => {
          const scene = await setUpPrompts(t);
          const shown: { raw?: () => string } = {};
          const isEnding = ending.some((one) => one === name);
          const stops = name === 'SIGTSTP' || name === 'Ctrl-Z';
          const run = await runWithStty(scene.command(scene.login), async (terminal) => {
            shown.raw = () => terminal.raw();
            await terminal.waitFor('? Password');
            // Each letter draws the question anew, which would look like one that is put again.
            if (!stops) terminal.type('abc');
            if (name === 'Ctrl-Z') terminal.type('\x1a');
            else terminal.signal(name);
            if (isEnding) return;
            if (stops) await answer(terminal, '? Password', PASSWORD);
            else terminal.type(`\x7f\x7f\x7f${PASSWORD}${ENTER}`);
          });
          t.equal(run.exitCode, isEnding ? 128 + constants.signals[name as (typeof ending)[number]] : 0, run.screen);
          t.equal(run.after, run.before, 'the terminal is as it was');
          t.strictSame(run.whileStopped, stops ? [run.before] : [], 'and while stopped');
          checkCursor(t, shown.raw?.() ?? '');
          t.notOk((shown.raw?.() ?? '').includes(PASSWORD));
          if (isEnding) t.equal(scene.readStdout(), '');
          else readExecCredential(t, scene.readStdout());
          t.equal(scene.keystone.countLogins(), isEnding ? 0 : 1);
        }),
      ),
    ),
  );
});
