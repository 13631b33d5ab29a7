/**
 * Prompts on a real terminal: their order, their input and output, and the state of the terminal afterward. Only a
 * real terminal shows whether a second prompt is visible, or whether Ctrl-C leaves the echo off.
 */
import { mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { EXIT_STATUS, PASSWORD } from '../support/check-run.ts';
import { checkFailure, readExecCredential, runInFreshHome } from '../support/check-run.ts';
import { startKeystoneForTest, testUsers } from '../support/check-run.ts';
import type { ExecCredentialStatus } from '../support/check-run.ts';
import { answer, ENTER, openTestTerminal } from '../support/answer-prompts.ts';
import { makeExecInfo } from '../support/home.ts';
import type { EnvVars } from '../support/home.ts';
import { checkCursor, inParallel, setUpPrompts } from '../support/prompt-fixture.ts';
import type { PromptFixture } from '../support/prompt-fixture.ts';
import { runPlugin } from '../support/run-plugin.ts';
import { runWithStty } from '../support/terminal.ts';
import type { Terminal } from '../support/terminal.ts';
import { waitUntil } from '../support/wait-until.ts';

async function checkEnd(
  t: Test,
  terminal: Terminal,
  { readStdout }: PromptFixture,
  secret = PASSWORD,
): Promise<ExecCredentialStatus> {
  t.strictSame(await terminal.ended, { exitCode: 0, signal: undefined }, terminal.screen());
  t.notOk(terminal.raw().includes(secret), 'the password is not on the screen');
  t.notMatch(terminal.screen(), /gAAAA|ExecCredential/, 'the document went to stdout');
  checkCursor(t, terminal.raw());
  return readExecCredential(t, readStdout());
}

/** Lists the prompts in the order in which they first appeared. */
function listPrompts(terminal: Terminal): string[] {
  const prompts = terminal.screen().match(/\? [A-Z][^\n?✔]*?(?=:(?: |\?|✔|$))/gm) ?? [];
  return [...new Set(prompts.map((prompt) => prompt.slice(2).replace(/(?: of alice .*)? at http.*/, '')))];
}

await t.test('without settings, each of them is prompted for', async (t) => {
  const fixture = await setUpPrompts(t);
  const { keystone, command, home } = fixture;
  const terminal = openTestTerminal(t, command({}));
  await answer(terminal, '? Keystone URL:', keystone.url);
  await answer(terminal, `? User name at ${keystone.url}:`, 'alice');
  await answer(terminal, `? Domain of the user at ${keystone.url}: (Default)`, 'acme');
  await answer(terminal, `? Project (empty for none) at ${keystone.url}:`, 'web');
  await answer(terminal, `? Domain of the project at ${keystone.url}: (acme)`, '');
  await answer(terminal, `? Password of alice (domain acme) at ${keystone.url}:`, PASSWORD);
  const first = await checkEnd(t, terminal, fixture);
  t.strictSame(listPrompts(terminal), [
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
    const again = openTestTerminal(t, command({}, cwd));
    t.strictSame(await checkEnd(t, again, fixture), first);
    t.equal(again.raw(), '', 'no prompt appears');
  }
  t.equal(keystone.countLogins(), 1);
});

await t.test('names can contain spaces, a project can be absent, and a suggestion can be accepted', async (t) => {
  const [alice] = testUsers;
  const domain = { id: 'default', name: 'Default' };
  const ann = { ...alice, id: '1', name: ' Ann  van Ö ', domain, password: PASSWORD, roles: [] };
  const keystone = await startKeystoneForTest(t, { users: [ann] });
  const fixture = { ...(await setUpPrompts(t)), keystone };
  const terminal = openTestTerminal(t, fixture.command({ OS_AUTH_URL: keystone.url }));
  await answer(terminal, '? User name', ' Ann  van Ö ');
  await answer(terminal, '? Domain of the user', '');
  await answer(terminal, '? Project (empty for none)', '');
  await answer(terminal, '? Password', PASSWORD);
  t.strictSame(await terminal.ended, { exitCode: 0, signal: undefined }, terminal.screen());
  t.match(terminal.screen(), 'the token has no scope');
  readExecCredential(t, fixture.readStdout());
  const user = { name: ' Ann  van Ö ', domain: { name: 'Default' }, password: PASSWORD };
  t.strictSame(keystone.requests.at(-1)?.body, {
    auth: { identity: { methods: ['password'], password: { user } } },
  });
});

await t.test('an option that is set is not prompted for', async (t) => {
  const fixture = await setUpPrompts(t);
  const { keystone, command, login } = fixture;
  const server = 'https://k8s.example.com:6443';
  for (const [name, env, target] of [
    ['only the password is prompted for', {}, `at ${keystone.url}/v3:`],
    [
      'the prompt names the cluster',
      { KUBERNETES_EXEC_INFO: makeExecInfo({ interactive: true, cluster: { server } }) },
      `at ${keystone.url}/v3 for the cluster ${server}:`,
    ],
    ['the user name is prompted for before the password', { OS_USERNAME: undefined }, `at ${keystone.url}/v3:`],
  ] as const) {
    await t.test(name, async (t) => {
      const terminal = openTestTerminal(t, command({ ...login, ...env }, undefined, ['--force-refresh']));
      const asksUser = 'OS_USERNAME' in env;
      if (asksUser) await answer(terminal, '? User name', 'alice');
      await answer(terminal, `? Password of alice (domain acme) ${target}`, PASSWORD);
      await checkEnd(t, terminal, fixture);
      t.strictSame(listPrompts(terminal), asksUser ? ['User name', 'Password'] : ['Password']);
    });
  }

  await t.test('the secret of an application credential is prompted for', async (t) => {
    const terminal = openTestTerminal(t, command({ OS_AUTH_URL: keystone.url, OS_APPLICATION_CREDENTIAL_ID: 'abc' }));
    await answer(terminal, '? Application credential secret', PASSWORD);
    const { exitCode } = await terminal.ended;
    t.equal(exitCode, EXIT_STATUS.refused);
    t.notOk(terminal.raw().includes(PASSWORD));
    t.equal(fixture.readStdout(), '');
  });
});

await t.test('complete settings cause the same request on a terminal and in a pipe', async (t) => {
  const fixture = await setUpPrompts(t);
  const { keystone, command, home, login } = fixture;
  const complete = { OS_PASSWORD: PASSWORD, OS_USER_ID: undefined, OS_PROJECT_DOMAIN_ID: testUsers[0]?.domain.id };
  const settings: Readonly<Record<string, EnvVars>> = {
    password: complete,
    'a user by ID': { ...complete, OS_USER_ID: testUsers[0]?.id },
    'one domain for user and project': { ...complete, OS_USER_DOMAIN_NAME: undefined, OS_DOMAIN_NAME: 'acme' },
    'an application credential': {
      OS_APPLICATION_CREDENTIAL_ID: 'abc',
      OS_APPLICATION_CREDENTIAL_SECRET: PASSWORD,
      OS_USERNAME: undefined,
    },
    'a flag and a variable': complete,
  };
  for (const [name, changes] of Object.entries(settings)) {
    await t.test(name, async (t) => {
      const args = name.startsWith('a flag') ? ['--force-refresh', '--project-name=db'] : ['--force-refresh'];
      const env = { ...login, ...changes };
      const before = keystone.requests.length;
      const terminal = openTestTerminal(t, command(env, undefined, args));
      await terminal.ended;
      t.strictSame(listPrompts(terminal), [], 'no prompt appears');
      await runPlugin({ home, env, args });
      const [onTerminal, inPipe, ...more] = keystone.requests.slice(before).map(({ path, body }) => ({ path, body }));
      t.ok(onTerminal !== undefined && more.length === 0);
      t.strictSame(inPipe, onTerminal, 'the requests are the same');
    });
  }
});

await t.test('passwords arrive as typed', inParallel(), async (t) => {
  const passwords = {
    'letters beyond ASCII': 'pässwörd-漢字-пароль-🗝️',
    spaces: '  at both ends, and  within ',
    'special characters of shells and JSON': '$HOME `id` "quoted" \'single\' \\back\\slash {brace} %41 !bang',
    'a long password': 'x0-'.repeat(300),
  };
  await Promise.all(
    Object.entries(passwords).map(([name, password]) =>
      t.test(name, inParallel(), async (t) => {
        const fixture = await setUpPrompts(t, password);
        const terminal = openTestTerminal(t, fixture.command(fixture.login));
        await answer(terminal, '? Password', password);
        await checkEnd(t, terminal, fixture, password);
        t.match(fixture.keystone.requests.at(-1)?.body, { auth: { identity: { password: { user: { password } } } } });
      }),
    ),
  );
});

await t.test('an empty answer repeats the prompt', async (t) => {
  const fixture = await setUpPrompts(t);
  const terminal = openTestTerminal(t, fixture.command({ ...fixture.login, OS_USERNAME: undefined }));
  await answer(terminal, '? User name', '');
  await answer(terminal, '> nothing was typed; type a value, or press Ctrl-C to cancel', 'alice');
  await answer(terminal, '? Password', '');
  await answer(terminal, '> nothing was typed', PASSWORD);
  await checkEnd(t, terminal, fixture);
  t.equal(fixture.keystone.requests.length, 1);
});

await t.test('an answer that cannot be used is asked for again, with the reason', async (t) => {
  const fixture = await setUpPrompts(t);
  const { keystone, command } = fixture;
  const terminal = openTestTerminal(t, command({}));
  await answer(terminal, '? Keystone URL:', 'ftp://keystone.example.com');
  await answer(terminal, '> Keystone URL must begin with https:// or http://; set Keystone URL to something', 'a b');
  await answer(terminal, '> Keystone URL is not a URL', 'http://keystone.example.com/v3');
  await answer(terminal, '> Keystone URL is http://: the credential would cross the network unencrypted', keystone.url);
  await answer(terminal, `? User name at ${keystone.url}:`, 'alice');
  await answer(terminal, '? Domain of the user', 'acme');
  await answer(terminal, '? Project (empty for none)', 'web');
  await answer(terminal, '? Domain of the project', '');
  await answer(terminal, '? Password of alice (domain acme) at', PASSWORD);
  await checkEnd(t, terminal, fixture);
  t.equal(keystone.countLogins(), 1);
});

await t.test('a host without a scheme is reached with https://', async (t) => {
  const { command } = await setUpPrompts(t);
  const terminal = openTestTerminal(t, command({}));
  await answer(terminal, '? Keystone URL:', ' localhost:5000/v3 ');
  await terminal.waitFor('? User name at https://localhost:5000/v3:');
  terminal.type('\x03');
  t.match(await terminal.ended, { exitCode: EXIT_STATUS.canceled });
});

await t.test('typing mistakes can be corrected, and a wrong password does not repeat the prompt', async (t) => {
  const fixture = await setUpPrompts(t);
  const corrected = openTestTerminal(t, fixture.command(fixture.login));
  await answer(corrected, '? Password', `wrong${'\x7f'.repeat(5)}x\x15${PASSWORD}`);
  await checkEnd(t, corrected, fixture);

  const wrong = openTestTerminal(t, fixture.command(fixture.login, undefined, ['--force-refresh']));
  await answer(wrong, '? Password', 'wrong-canary');
  t.strictSame(await wrong.ended, { exitCode: EXIT_STATUS.refused, signal: undefined });
  t.match(wrong.screen(), 'client-keystone-auth: Keystone refused the login for alice');
  t.notMatch(wrong.raw(), 'wrong-canary');
  t.equal(fixture.readStdout(), '');
  t.equal(fixture.keystone.countLogins(), 2);
});

await t.test('stdin is not read', async (t) => {
  const fixture = await setUpPrompts(t);
  const { home } = fixture;
  const command = fixture.command(fixture.login);
  const text = 'apiVersion: v1\nkind: ConfigMap\n';
  const script = 'rest=$1; shift; printf "%s" "$0" | { "$@"; echo "status $?"; cat >"$rest"; }';
  const rest = join(home.path, 'rest');
  const args = ['-c', script, text, rest, command.file, ...(command.args ?? [])];
  const terminal = openTestTerminal(t, { ...command, file: '/bin/sh', args });
  await answer(terminal, '? Password', PASSWORD);
  await terminal.waitFor('status 0');
  await checkEnd(t, terminal, fixture);
  t.equal(readFileSync(rest, 'utf8'), text);
});

/** Counts the processes that have a lock of a terminal open. */
function countTurns(pids: readonly number[]): number {
  return pids.filter((pid) => {
    try {
      const names = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
      return names.some((name) => /\/terminal-\d+-\d+\.lock$/.test(name));
    } catch {
      return false;
    }
  }).length;
}

await t.test(
  'two processes in one pipeline prompt one after the other',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const fixture = await setUpPrompts(t);
    const { command, home, keystone } = fixture;
    const { args = [], ...program } = command(fixture.login);
    const [, , , , ...plugin] = args;
    const script =
      'home=$1; shift; "$@" >"$home/one" & echo "pid $!"; "$@" --project-name=db >"$home/two" & echo "pid $!"; wait';
    const terminal = openTestTerminal(t, { ...program, args: ['-c', script, 'sh', home.path, ...plugin] });
    const pids: number[] = [];
    for (let count = 1; count <= 2; count += 1) {
      pids.push(Number((await terminal.waitFor(/pid \d+\n/)).slice('pid '.length)));
    }
    await terminal.waitFor('? Password');
    await waitUntil('the second process to wait for its turn', () => countTurns(pids) === 2);
    t.equal(terminal.raw().split('✔').length, 1);
    const before = terminal.screen();
    terminal.type(`${PASSWORD}${ENTER}`);
    await terminal.waitFor('✔');
    await answer(terminal, '? Password', PASSWORD);
    t.equal((await terminal.ended).exitCode, 0, terminal.screen());
    t.equal(before.match(/\?/g)?.length, 1, 'one prompt at a time');
    t.notOk(terminal.raw().includes(PASSWORD), 'no password is on the screen');
    for (const name of ['one', 'two']) readExecCredential(t, readFileSync(join(home.path, name), 'utf8'));
    t.equal(keystone.countLogins(), 2);
  },
);

await t.test('if no prompt is possible, one line names what to set', async (t) => {
  const fixture = await setUpPrompts(t);
  const { command, login, keystone, readStdout } = fixture;

  await t.test('kubectl uses the terminal itself, so nothing is prompted for', async (t) => {
    const terminal = openTestTerminal(
      t,
      command({ ...login, KUBERNETES_EXEC_INFO: makeExecInfo({ interactive: false }) }),
    );
    t.strictSame(await terminal.ended, { exitCode: EXIT_STATUS.interaction, signal: undefined });
    t.match(terminal.raw(), /^client-keystone-auth: password is not set [^\n]*; set OS_PASSWORD\r\n$/);
    t.equal(readStdout(), '');
  });

  await t.test('there is no terminal, so nothing is prompted for', async (t) => {
    const result = await runInFreshHome({ env: login });
    checkFailure(t, result, EXIT_STATUS.interaction, {
      says: ['password is not set', 'no terminal', 'set OS_PASSWORD'],
    });
    const withoutSettings = await runInFreshHome({});
    const says = ['Keystone URL, user name, domain of the user, password are not set', 'OS_AUTH_URL (--keystone-url)'];
    checkFailure(t, withoutSettings, EXIT_STATUS.interaction, { says });
  });
  t.equal(keystone.requests.length, 0);
});

await t.test('a canceled prompt ends the run and restores the terminal', inParallel(), async (t) => {
  const keys = { 'Ctrl-C': '\x03', 'Ctrl-D': '\x04', 'Ctrl-C after some letters': 'abc\x03' };
  await Promise.all(
    Object.entries(keys).flatMap(([name, typed]) =>
      (['Password', 'User name'] as const).map((question) =>
        t.test(`${name} at the prompt "${question}" ends the run`, inParallel(), async (t) => {
          const fixture = await setUpPrompts(t);
          const env = question === 'Password' ? fixture.login : { ...fixture.login, OS_USERNAME: undefined };
          const view: { raw?: () => string } = {};
          const { exitCode, before, after, screen } = await runWithStty(fixture.command(env), async (terminal) => {
            view.raw = () => terminal.raw();
            await terminal.waitFor(`? ${question}`);
            terminal.type(typed);
          });
          t.equal(exitCode, EXIT_STATUS.canceled);
          t.equal(after, before, 'the terminal is restored');
          checkCursor(t, view.raw?.() ?? '');
          t.match(screen, /\nclient-keystone-auth: canceled at the prompt\n$/);
          t.equal(fixture.readStdout(), '');
          t.equal(fixture.keystone.requests.length, 0);
        }),
      ),
    ),
  );
});
