// What a person must see reaches the person, whatever the program that runs the plugin does with its output: real
// terminals, a real kubectl, and servers whose answers the test decides.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import type { Test } from 'tap';
import { readStdout, startOnTerminal } from '../support/browser-login.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import { makeEnvironment } from '../support/home.ts';
import { GET_PODS_ARGS, POD_LINE, setUpKubectl, testWithKubectl } from '../support/kubectl-fixture.ts';
import { PLUGIN_COMMAND, PLUGIN_PATH, runPlugin } from '../support/run-plugin.ts';
import { makeErrorResponse, makeTokenResponse, startStandInProvider } from '../support/stand-in-provider.ts';
import type { StandInProvider } from '../support/stand-in-provider.ts';
import { sendResponse } from '../support/stand-in-keystone/responses.ts';
import { openTerminal } from '../support/terminal.ts';

const PENDING = makeErrorResponse('authorization_pending');
const ADDRESS =
  /client-keystone-auth: to log in, open https:\/\/idp\.example\.com\/device and enter the code WDJB-MJHT\n/;

/** A device login that needs no Keystone: the provider's own token is for the cluster. */
async function startDeviceLogin(t: Test): Promise<{ provider: StandInProvider; settings: Record<string, string> }> {
  const provider = await startStandInProvider(t);
  provider.tokenResponses = [PENDING];
  return {
    provider,
    settings: {
      OS_AUTH_TYPE: 'v3oidcdeviceauthz',
      OS_DISCOVERY_ENDPOINT: `${provider.url}/.well-known/openid-configuration`,
      OS_CLIENT_ID: 'kubectl',
      CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'access_token',
    },
  };
}

testWithKubectl(
  'the address of a device login is on the terminal with kubectl 2>log',
  async (t, environment, program) => {
    const fixture = await setUpKubectl(t, environment, { program, authenticate: async () => 'alice' });
    const { provider, settings } = await startDeviceLogin(t);
    await fixture.writeKubeconfig({ command: PLUGIN_PATH, args: [], env: {} });
    const terminal = fixture.openShell('"$@" get pods 2>"$HOME/log"', { env: settings });
    await terminal.waitFor(ADDRESS);
    provider.tokenResponses = [makeTokenResponse()];
    t.equal((await terminal.ended).exitCode, 0, terminal.screen());
    t.match(terminal.screen(), POD_LINE);
    t.equal(
      readFileSync(join(fixture.home.path, 'log'), 'utf8'),
      '',
      'a program that reads stderr gets no message twice',
    );
  },
);

testWithKubectl(
  'a login with a browser fails at once where nobody would see its address',
  async (t, environment, program) => {
    const fixture = await setUpKubectl(t, environment, { program });
    const { provider, settings } = await startDeviceLogin(t);
    await fixture.writeKubeconfig({ command: PLUGIN_PATH, args: [], env: {} });
    const result = await fixture.kubectl(GET_PODS_ARGS, { env: settings });
    t.equal(result.status, 1);
    const line =
      'client-keystone-auth: this login needs a user with a browser, and there is no terminal to show the address on, ' +
      'and kubectl does not let the plugin ask; log in once on a terminal, or use an application credential or client ' +
      'credentials';
    t.ok(result.stderr.startsWith(`${line}\n`), result.stderr);
    t.strictSame(provider.requests, [], 'no server is asked first');
  },
);

void test('a program that captures both outputs of the plugin does not keep the address', async (t) => {
  const { provider, settings } = await startDeviceLogin(t);
  const { home } = setUp(t);
  const captured = join(home.path, 'captured');
  const terminal = openTerminal({
    file: '/bin/sh',
    args: [
      '-c',
      'out=$1; shift; text=$("$@" 2>&1 </dev/null); code=$?; printf %s "$text" >"$out"; exit $code',
      'sh',
      captured,
      ...PLUGIN_COMMAND,
    ],
    env: makeEnvironment(home, settings),
    cwd: home.path,
    cols: 200,
  });
  t.teardown(() => terminal.close());
  await terminal.waitFor(ADDRESS);
  t.notOk(existsSync(captured), 'the program still waits');
  provider.tokenResponses = [makeTokenResponse()];
  t.equal((await terminal.ended).exitCode, 0, terminal.screen());
  t.match(JSON.parse(readFileSync(captured, 'utf8')), { kind: 'ExecCredential' }, 'nothing else is captured');
});

void test('on a terminal, a login says that it waits for Keystone, on a line of its own', async (t) => {
  const keystone = await startKeystoneForTest(t);
  let answer = (): void => undefined;
  const isShown = new Promise<void>((resolve) => {
    answer = resolve;
  });
  keystone.answerAlways(async (_request, response, { makeDefaultResponse }) => {
    await isShown;
    sendResponse(response, makeDefaultResponse());
  });
  const { OS_PASSWORD: password = '', ...settings } = makeLoginSettings(`${keystone.url}/v3`);
  const alice = setUp(t, { keystone, settings, runner: runPlugin });
  const terminal = startOnTerminal(t, alice);
  await terminal.waitFor(/Password of .* at \S+:/);
  terminal.type(`${password}\r`);
  const notice = `client-keystone-auth: waiting for Keystone at ${keystone.url}`;
  await terminal.waitFor(new RegExp(`^${notice}$`, 'm'));
  answer();
  t.equal((await terminal.ended).exitCode, 0, terminal.screen());
  t.equal(terminal.screen().split(notice).length, 2, 'once');
  t.match(JSON.parse(readStdout(alice)), { kind: 'ExecCredential' }, 'stdout has the document only');
});
