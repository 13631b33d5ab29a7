// Against: a real OpenID provider, Apache and Keystone, on a real terminal.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { summarizeToken } from '../support/check-login.ts';
import { browse } from '../support/scripted-browser.ts';
import { decideDevice, listDevicePolls, configureIssuer, testWithFederation } from '../support/federation.ts';
import { DISCOVERY_REQUEST, TOKEN_REQUEST } from '../support/federated-login.ts';
import { checkNoSecrets, expectDemoMember, expectKeystoneRequests } from '../support/federated-login.ts';
import { listIssuerRequests, listKeystoneRequests, setUpFederation } from '../support/federated-login.ts';
import type { FederationFixture } from '../support/federated-login.ts';
import { checkFailure, checkSuccess, EXIT_STATUS, readExecCredential } from '../support/check-run.ts';
import { makeEnvironment, makeTestHome } from '../support/home.ts';
import { PLUGIN_PATH, runPlugin } from '../support/run-plugin.ts';
import type { Home, EnvVars } from '../support/home.ts';
import { validateToken } from '../support/tenancy.ts';
import { openTerminal } from '../support/terminal.ts';
import type { Terminal } from '../support/terminal.ts';

t.setTimeout(170_000);

const AUTHORIZATION = 'POST /device/auth 200';
const PENDING = 'POST /token 400';

function asDevice({ federation, env }: FederationFixture): EnvVars {
  return { ...env, OS_AUTH_TYPE: 'v3oidcdeviceauthz', OS_CLIENT_ID: federation.clients.public.id };
}

/** Starts the plugin on a terminal, with stdout in a file. */
function start(t: Test, home: Home, env: EnvVars): { terminal: Terminal; stdout: () => string } {
  const out = join(home.path, 'stdout');
  const terminal = openTerminal({
    file: '/bin/sh',
    args: ['-c', 'out=$1; shift; exec "$@" >"$out"', 'sh', out, process.execPath, PLUGIN_PATH],
    env: makeEnvironment(home, env),
    cwd: home.path,
    cols: 300,
  });
  t.teardown(() => terminal.close());
  return { terminal, stdout: () => readFileSync(out, 'utf8') };
}

async function readInvitation(terminal: Terminal): Promise<{ url: string; userCode: string }> {
  const line = await terminal.waitFor(/to log in, open \S+ and check that it shows the code \S+/, 20_000);
  const [, url = '', userCode = ''] = /open (\S+) and .* code (\S+)$/.exec(line) ?? [];
  return { url, userCode };
}

testWithFederation('a user logs in on another device', async (t, federation, environment) => {
  const fixture = setUpFederation(federation, environment);
  const { ca } = environment.pki;
  await configureIssuer(fixture.issuer.url, ca, { deviceInterval: 1 });
  const home = makeTestHome(t);
  const env = { ...asDevice(fixture), OS_CODE_CHALLENGE_METHOD: 'S256' };
  const { terminal, stdout } = start(t, home, env);
  const { url, userCode } = await readInvitation(terminal);
  t.ok(url.startsWith(fixture.issuer.url), url);
  while ((await listDevicePolls(fixture.issuer.url, ca, userCode)).length === 0)
    await new Promise((done) => setTimeout(done, 50));
  t.match((await browse(url, federation.users.alice, ca)).page, { status: 200, body: 'The device is connected.' });
  t.equal((await terminal.ended).exitCode, 0, terminal.screen());
  const { token } = readExecCredential(t, stdout());
  t.strictSame(
    summarizeToken(await validateToken(environment.http, token)),
    expectDemoMember(federation.users.alice.email),
  );

  const polls = await listDevicePolls(fixture.issuer.url, ca, userCode);
  t.ok(polls.length >= 2, 'the first poll is pending, a later one returns a token');
  const gaps = polls.slice(1).map((at, index) => at - (polls[index] ?? 0));
  t.ok(Math.min(...gaps) >= 950, `polls are at least a second apart: ${gaps.join(', ')}`);
  const ofDevice = listIssuerRequests(fixture).filter((request) => !/ \/(device|auth|interaction)\b/.test(request));
  t.strictSame(ofDevice, [DISCOVERY_REQUEST, ...Array<string>(polls.length - 1).fill(PENDING), TOKEN_REQUEST]);
  t.equal(listIssuerRequests(fixture)[1], AUTHORIZATION);
  t.strictSame(await listKeystoneRequests(fixture), expectKeystoneRequests(federation));

  const before = listIssuerRequests(fixture).length;
  const again = await runPlugin({ home, env });
  t.equal(again.stdout, stdout(), 'the cache returns the same token');
  t.equal(listIssuerRequests(fixture).length, before, 'a cache hit sends no request');
  checkNoSecrets(t, fixture, home, again);

  // The second run needs neither a user nor a server.
  checkSuccess(t, await runPlugin({ home, env, args: ['--force-refresh'] }));
  t.strictSame(listIssuerRequests(fixture).slice(before), [DISCOVERY_REQUEST, TOKEN_REQUEST], 'refreshed');
});

testWithFederation('a user denies access or does not finish in time', async (t, federation, environment) => {
  const fixture = setUpFederation(federation, environment);
  const { ca } = environment.pki;
  await configureIssuer(fixture.issuer.url, ca, { deviceInterval: 1 });
  for (const [action, says] of [
    ['deny', /the login was denied \(access_denied/],
    ['expire', /the login was not finished in time \(expired_token/],
  ] as const) {
    await t.test(action, async (t) => {
      const { terminal, stdout } = start(t, makeTestHome(t), asDevice(fixture));
      const { userCode } = await readInvitation(terminal);
      await decideDevice(fixture.issuer.url, ca, { userCode, action });
      await terminal.waitFor(says);
      t.equal((await terminal.ended).exitCode, EXIT_STATUS.refused);
      t.equal(stdout(), '');
    });
  }
  await t.test('the user does nothing', async (t) => {
    const { terminal, stdout } = start(t, makeTestHome(t), {
      ...asDevice(fixture),
      CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'id_token',
    });
    await readInvitation(terminal);
    await configureIssuer(fixture.issuer.url, ca, { deviceInterval: 1 });
    terminal.signal('SIGINT');
    t.equal((await terminal.ended).signal, 'SIGINT', 'Ctrl-C ends the waiting');
    t.equal(stdout(), '');
  });
  t.strictSame(await listKeystoneRequests(fixture), []);
});

testWithFederation("outputs the provider's ID token without Keystone", async (t, federation, environment) => {
  const fixture = setUpFederation(federation, environment);
  const { ca } = environment.pki;
  await configureIssuer(fixture.issuer.url, ca, { deviceInterval: 1 });
  const env = {
    ...fixture.providerEnv,
    OS_AUTH_TYPE: 'v3oidcdeviceauthz',
    OS_CLIENT_ID: federation.clients.public.id,
    CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'id_token',
  };
  const { terminal, stdout } = start(t, makeTestHome(t), env);
  const { userCode } = await readInvitation(terminal);
  await decideDevice(fixture.issuer.url, ca, { userCode, action: 'approve', user: 'alice' });
  t.equal((await terminal.ended).exitCode, 0, terminal.screen());
  const { token, expirationTimestamp } = readExecCredential(t, stdout());
  const [, claims = ''] = token.split('.');
  const { sub, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { sub: string; exp: number };
  t.equal(sub, 'alice');
  t.equal(Date.parse(expirationTimestamp), exp * 1000, 'the expiry is that of the ID token');
  t.strictSame(await listKeystoneRequests(fixture), []);
});

testWithFederation('fails when no user can see the code', async (t, federation, environment) => {
  const fixture = setUpFederation(federation, environment);
  const result = await runPlugin({ home: makeTestHome(t), env: asDevice(fixture) });
  checkFailure(t, result, EXIT_STATUS.interaction, { says: ['needs a user with a browser', 'client credentials'] });
  t.strictSame(listIssuerRequests(fixture), [DISCOVERY_REQUEST], 'no device code is requested');
});
