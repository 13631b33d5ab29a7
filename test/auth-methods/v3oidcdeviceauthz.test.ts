// Against: a real OpenID provider, Apache and Keystone, on a real terminal.

import { summarizeToken } from '../support/check-login.ts';
import { readStdout, startOnTerminal } from '../support/browser-login.ts';
import { browse } from '../support/scripted-browser.ts';
import { decideDevice, listDevicePolls, configureIssuer, testWithFederation } from '../support/federation.ts';
import { DISCOVERY_REQUEST, TOKEN_REQUEST } from '../support/federated-login.ts';
import { checkNoSecrets, expectDemoMember, expectKeystoneRequests } from '../support/federated-login.ts';
import { listIssuerRequests, listKeystoneRequests, setUpFederation } from '../support/federated-login.ts';
import type { FederationFixture } from '../support/federated-login.ts';
import { checkFailure, checkSuccess, EXIT_STATUS, readExecCredential } from '../support/check-run.ts';
import type { Fixture } from '../support/fixture.ts';
import { validateToken } from '../support/tenancy.ts';
import type { Terminal } from '../support/terminal.ts';
import { waitUntil } from '../support/wait-until.ts';

const AUTHORIZATION = 'POST /device/auth 200';
const PENDING = 'POST /token 400';

/** A user of v3oidcdeviceauthz, whose device codes may be polled every second. */
async function setUpDevice(fixture: FederationFixture): Promise<Fixture> {
  const { federation, issuer, testEnvironment, user } = fixture;
  await configureIssuer(issuer.url, testEnvironment.pki.ca, { deviceInterval: 1 });
  return user.with({ OS_AUTH_TYPE: 'v3oidcdeviceauthz', OS_CLIENT_ID: federation.clients.public.id });
}

async function readInvitation(terminal: Terminal): Promise<{ url: string; userCode: string }> {
  const line = await terminal.waitFor(/to log in, open \S+ and check that it shows the code \S+/);
  const [, url = '', userCode = ''] = /open (\S+) and .* code (\S+)$/.exec(line) ?? [];
  return { url, userCode };
}

testWithFederation('a user logs in on another device', async (t, federation, environment) => {
  const fixture = setUpFederation(t, federation, environment);
  const { ca } = environment.pki;
  const user = (await setUpDevice(fixture)).with({ OS_CODE_CHALLENGE_METHOD: 'S256' });
  const terminal = startOnTerminal(t, user);
  const { url, userCode } = await readInvitation(terminal);
  t.ok(url.startsWith(fixture.issuer.url), url);
  const listPolls = (): Promise<readonly number[]> => listDevicePolls(fixture.issuer.url, ca, userCode);
  await waitUntil('the first poll', async () => (await listPolls()).length > 0 || undefined);
  t.match((await browse(url, federation.users.alice, ca)).page, { status: 200, body: 'The device is connected.' });
  t.equal((await terminal.ended).exitCode, 0, terminal.screen());
  const stdout = readStdout(user);
  const { token } = readExecCredential(t, stdout);
  t.strictSame(
    summarizeToken(await validateToken(environment.http, token)),
    expectDemoMember(federation.users.alice.email),
  );

  const polls = await listPolls();
  t.ok(polls.length >= 2, 'the first poll is pending, a later one returns a token');
  // The provider notes the time before it responds, so a gap can be longer on a busy machine, but never shorter.
  const gaps = polls.slice(1).map((at, index) => at - (polls[index] ?? 0));
  t.ok(Math.min(...gaps) >= 950, `polls are at least a second apart: ${gaps.join(', ')}`);
  const ofDevice = listIssuerRequests(fixture).filter((request) => !/ \/(device|auth|interaction)\b/.test(request));
  t.strictSame(ofDevice, [DISCOVERY_REQUEST, ...Array<string>(polls.length - 1).fill(PENDING), TOKEN_REQUEST]);
  t.equal(listIssuerRequests(fixture)[1], AUTHORIZATION);
  t.strictSame(await listKeystoneRequests(fixture, 2), expectKeystoneRequests(federation));

  const before = listIssuerRequests(fixture).length;
  const again = await user.run();
  t.equal(again.stdout, stdout, 'the cache returns the same token');
  t.equal(listIssuerRequests(fixture).length, before, 'a cache hit sends no request');
  checkNoSecrets(t, fixture, user, again);

  // The second run needs neither a user nor a server.
  checkSuccess(t, await user.run('--force-refresh'));
  t.strictSame(listIssuerRequests(fixture).slice(before), [DISCOVERY_REQUEST, TOKEN_REQUEST], 'refreshed');
});

testWithFederation('a login ends if the user denies access or does not finish', async (t, federation, environment) => {
  const fixture = setUpFederation(t, federation, environment);
  const { ca } = environment.pki;
  const device = await setUpDevice(fixture);
  for (const [action, name, says] of [
    ['deny', 'the user denies access', /the login was denied \(access_denied/],
    ['expire', 'the device code expires', /the login was not finished in time \(expired_token/],
  ] as const) {
    await t.test(name, async (t) => {
      const user = device.onNewMachine();
      const terminal = startOnTerminal(t, user);
      const { userCode } = await readInvitation(terminal);
      await decideDevice(fixture.issuer.url, ca, { userCode, action });
      await terminal.waitFor(says);
      t.equal((await terminal.ended).exitCode, EXIT_STATUS.refused);
      t.equal(readStdout(user), '');
    });
  }
  await t.test('the user presses Ctrl-C', async (t) => {
    const user = device.onNewMachine().with({ CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'id_token' });
    const terminal = startOnTerminal(t, user);
    await readInvitation(terminal);
    await configureIssuer(fixture.issuer.url, ca, { deviceInterval: 1 });
    terminal.signal('SIGINT');
    t.equal((await terminal.ended).signal, 'SIGINT', 'Ctrl-C ends the waiting');
    t.equal(readStdout(user), '');
  });
  t.strictSame(await listKeystoneRequests(fixture, 0), []);
});

testWithFederation("the provider's ID token is printed without Keystone", async (t, federation, environment) => {
  const fixture = setUpFederation(t, federation, environment);
  const { ca } = environment.pki;
  const { OS_AUTH_TYPE, OS_CLIENT_ID } = (await setUpDevice(fixture)).settings;
  const user = fixture.user.withOnly({
    ...fixture.providerSettings,
    OS_AUTH_TYPE,
    OS_CLIENT_ID,
    CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'id_token',
  });
  const terminal = startOnTerminal(t, user);
  const { userCode } = await readInvitation(terminal);
  await decideDevice(fixture.issuer.url, ca, { userCode, action: 'approve', user: 'alice' });
  t.equal((await terminal.ended).exitCode, 0, terminal.screen());
  const { token, expirationTimestamp } = readExecCredential(t, readStdout(user));
  const [, claims = ''] = token.split('.');
  const { sub, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { sub: string; exp: number };
  t.equal(sub, 'alice');
  t.equal(Date.parse(expirationTimestamp), exp * 1000, 'the expiry is that of the ID token');
  t.strictSame(await listKeystoneRequests(fixture, 0), []);
});

testWithFederation('a login fails where no user can see the code', async (t, federation, environment) => {
  const fixture = setUpFederation(t, federation, environment);
  const user = await setUpDevice(fixture);
  checkFailure(t, await user.run(), EXIT_STATUS.interaction, {
    says: ['needs a user with a browser', 'client credentials'],
  });
  t.strictSame(listIssuerRequests(fixture), [], 'no server is asked first');
});
