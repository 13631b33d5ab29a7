/**
 * The executable for Windows in Wine. This shows that it starts, and which paths, TLS and locks it uses. It does
 * not show what Windows itself does: Wine does not enforce the permissions of files, and its console is another one.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import { openTestTerminal } from '../support/answer-prompts.ts';
import { checkTerminalSuccess, makeTerminalCommand } from '../support/browser-login.ts';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import type { DoctorCheck } from '../support/doctor.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import { makeTestHome } from '../support/home.ts';
import { makeLoginSettings, PASSWORD, startKeystoneForTest } from '../support/stand-in-login.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { PATIENT } from '../support/stress.ts';
import type { Terminal } from '../support/terminal.ts';
import { waitUntil } from '../support/wait-until.ts';
import { startWine, WINDOWS_RUNTIME, WINE_MISSING } from '../support/wine.ts';
import type { Wine } from '../support/wine.ts';

const starting = WINE_MISSING === false ? startWine() : undefined;
t.teardown(async () => (await starting)?.stop());

function testOnWine(name: string, body: (t: Test, wine: Wine) => Promise<void>, missing: string | false = false): void {
  void t.test(`in Wine, ${name}`, { skip: WINE_MISSING || missing }, async (t) => {
    if (starting !== undefined) await body(t, await starting);
  });
}

const setUpPerson = (t: Test, { run }: Wine, settings: Record<string, string> = {}): Fixture =>
  setUp(t, { settings, runner: run });

testOnWine('the plugin logs in, and keeps the token in the profile of the user', async (t, wine) => {
  const keystone = await startKeystoneForTest(t);
  const alice = setUpPerson(t, wine, makeLoginSettings(`${keystone.url}/v3`));
  t.match(await alice.withOnly({}).run('--version'), { status: 0, stdout: /^\d+\.\d+\.\d+\n$/, stderr: '' });
  const token = await alice.getToken();
  t.equal(await alice.getToken(), token, 'the second run takes the token from the cache');
  t.equal(keystone.countLogins(), 1);
  const files = wine.listCache();
  t.ok(files.some((name) => name.endsWith('.token')));
  for (const file of files) t.notOk(readFileSync(file, 'utf8').includes(PASSWORD), 'the cache has no password');
  t.match(await alice.run('status'), { status: 0, stdout: /^\* +alice +acme +project web/m });
  const { stdout } = await alice.run('doctor', '--no-cluster', '-o', 'json');
  const findings = JSON.parse(stdout) as DoctorCheck[];
  t.strictSame(
    findings.filter(({ result }) => result !== 'good'),
    [],
  );
});

testOnWine('plugins that run at once log in once', async (t, wine) => {
  const keystone = await startKeystoneForTest(t);
  const alice = setUpPerson(t, wine, makeLoginSettings(`${keystone.url}/v3`));
  const runs = await Promise.all(Array.from({ length: 4 }, () => alice.run(...PATIENT)));
  t.equal(new Set(runs.map((run) => checkSuccess(t, run).token)).size, 1, 'one token');
  t.equal(keystone.countLogins(), 1);
});

/** Waits for the prompt, and types. Until a program reads from the console, Wine lets the terminal show what is typed. */
async function answerOnConsole(terminal: Terminal, prompt: string, text: string): Promise<void> {
  await terminal.waitFor(prompt);
  await waitUntil('the console reads', async () => (await terminal.settings()).includes(' -echo '));
  terminal.type(text);
}

testOnWine('the plugin prompts for the password on the console, which does not show it', async (t, wine) => {
  const keystone = await startKeystoneForTest(t);
  const settings = { ...makeLoginSettings(`${keystone.url}/v3`), OS_PASSWORD: undefined, ...wine.variables };
  const user = { home: makeTestHome(t), settings, command: wine.command };
  const canceled = openTestTerminal(t, makeTerminalCommand(user));
  await answerOnConsole(canceled, '? Password', 'half\x03');
  t.strictSame(await canceled.ended, { exitCode: EXIT_STATUS.canceled, signal: undefined }, canceled.screen());
  t.notOk(canceled.raw().includes('half'), 'the beginning of the password is not shown');
  t.equal(keystone.countLogins(), 0);

  const terminal = openTestTerminal(t, makeTerminalCommand(user));
  await answerOnConsole(terminal, '? Password of alice (domain acme)', `${PASSWORD}\r`);
  await checkTerminalSuccess(t, terminal, user, [PASSWORD]);
  t.equal(keystone.countLogins(), 1);
});

testOnWine('the plugin trusts only the authorities that it is given', async (t, wine) => {
  const pki = await makePki(join(t.testdir({}), 'pki'));
  const keystone = await startKeystoneForTest(t, { tls: pki.server });
  const alice = setUpPerson(t, wine, makeLoginSettings(`${keystone.url}/v3`));
  checkFailure(t, await alice.run(), EXIT_STATUS.unreachable, { says: ['not trusted'] });
  t.equal(keystone.requests.length, 0);
  alice.writeFile('ca.pem', readFileSync(pki.ca, 'utf8'));
  checkSuccess(t, await alice.with({ OS_CACERT: 'ca.pem' }).run());
  t.equal(keystone.countLogins(), 1);
});

testOnWine('variables that make a runtime run code do nothing', async (t, wine) => {
  const alice = setUpPerson(t, wine);
  const sprung = join(alice.home.path, 'sprung');
  writeFileSync(join(alice.home.path, 'hook.cjs'), `require('node:fs').writeFileSync('sprung', '');`);
  const code = 'Z:' + join(alice.home.path, 'hook.cjs');
  const hostile = {
    BUN_BE_BUN: '1',
    BUN_INSPECT_PRELOAD: code,
    BUN_OPTIONS: `--preload=${code}`,
    NODE_OPTIONS: `--require=${code}`,
  };
  const result = await alice.with(hostile).run('--version');
  t.match(result, { status: 0, stdout: /^\d+\.\d+\.\d+\n$/, stderr: '' });
  t.notOk(existsSync(sprung));
});

/** The plugin waits three seconds for the keyring. On a busy machine, its helper takes longer to start in Wine. */
async function runUntilKeyringAnswers(run: () => Promise<RunResult>): Promise<RunResult> {
  for (;;) {
    const result = await run();
    if (!result.stderr.includes('the keyring did not answer within')) return result;
  }
}

testOnWine(
  "the keyring of Windows keeps the user's password",
  async (t, wine) => {
    const keystone = await startKeystoneForTest(t);
    const alice = setUpPerson(t, wine, makeLoginSettings(`${keystone.url}/v3`));
    const saved = await runUntilKeyringAnswers(() => alice.run('login', '--save-secret'));
    t.match(saved, { status: 0, stdout: /^In the keyring +the password of alice/m });
    const withoutPassword = alice.with({ OS_PASSWORD: undefined });
    const logins = keystone.countLogins();
    checkSuccess(t, await runUntilKeyringAnswers(() => withoutPassword.run('--force-refresh')));
    t.equal(keystone.countLogins(), logins + 1);
  },
  WINDOWS_RUNTIME === 'node' && 'Wine does not let Node open the pipes of a child process',
);
