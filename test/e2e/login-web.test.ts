// `login --web`: the login with a browser that the settings or the cloud decide.

import t from 'tap';
import type { Test } from 'tap';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { answer } from '../support/answer-prompts.ts';
import { followRedirects, readStdout, startOnTerminal, waitForAddress } from '../support/browser-login.ts';
import { EXIT_STATUS, startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { serveV4Federation } from '../support/stand-in-v4-federation.ts';
import { runPlugin } from '../support/run-plugin.ts';

const CTRL_C = '\x03';

async function setUpPerson(t: Test): Promise<{ user: Fixture; keystone: StandInKeystone }> {
  const keystone = await startKeystoneForTest(t);
  return {
    keystone,
    user: setUp(t, { settings: { OS_REDIRECT_PORT: String(await findFreePort()) }, runner: runPlugin }),
  };
}

void t.test('Rust Keystone is asked for its own login', async (t) => {
  const { user, keystone } = await setUpPerson(t);
  serveV4Federation(keystone);
  const terminal = startOnTerminal(t, user, 'login', '--web');
  await answer(terminal, '? Keystone URL:', `${keystone.url}/v3`);
  await answer(terminal, '? Identity provider', 'dex');
  t.equal((await followRedirects(await waitForAddress(terminal))).status, 200);
  await answer(terminal, '? Project:', '');
  t.strictSame(await terminal.ended, { exitCode: 0, signal: undefined }, terminal.screen());
  t.match(readStdout(user), new RegExp(`^Flags .*--keystone-url=${keystone.url}/v3 --auth-type=v4federation `, 'm'));
});

void t.test('another Keystone is asked for the login of the dashboard', async (t) => {
  const { user, keystone } = await setUpPerson(t);
  const terminal = startOnTerminal(t, user.with({ OS_AUTH_URL: keystone.url }), 'login', '--web');
  await answer(terminal, '? Federation protocol', '');
  t.match(await waitForAddress(terminal), '/v3/auth/OS-FEDERATION/websso/openid?origin=');
  terminal.type(CTRL_C);
  await terminal.ended;
  t.equal(keystone.countLogins(), 0);
});

void t.test('the client of the settings logs in at its provider, and Keystone is not asked', async (t) => {
  const { user, keystone } = await setUpPerson(t);
  const settings = { OS_CLIENT_ID: 'kubectl', OS_DISCOVERY_ENDPOINT: 'http://127.0.0.1:1/', OS_AUTH_URL: keystone.url };
  const terminal = startOnTerminal(t, user.with(settings), 'login', '--web');
  await answer(terminal, '? Identity provider', 'dex');
  await answer(terminal, '? Federation protocol', '');
  const { exitCode } = await terminal.ended;
  t.equal(exitCode, EXIT_STATUS.unreachable, terminal.screen());
  t.match(terminal.screen(), /127\.0\.0\.1:1 cannot be used: nothing listens there/);
  t.strictSame(keystone.requests, []);
});

void t.test('another method and no terminal are errors', async (t) => {
  const { user, keystone } = await setUpPerson(t);
  const other = await user.with({ OS_AUTH_URL: keystone.url }).run('login', '--web', '--auth-type=v3totp');
  t.match(other, { status: 2, stdout: '', stderr: /--web and --auth-type=v3totp exclude each other; remove one/ });
  t.strictSame(keystone.requests, []);
});
