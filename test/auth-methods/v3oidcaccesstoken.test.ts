// Against: a real OpenID provider, Apache and Keystone.

import { federatedAuthPath, testWithFederation } from '../support/federation.ts';
import { checkFederatedFailure, checkFederatedLogin, expectDemoMember } from '../support/federated-login.ts';
import { listKeystoneRequests, setUpFederation } from '../support/federated-login.ts';
import type { FederationFixture } from '../support/federated-login.ts';
import { sendRequest } from '../support/send-request.ts';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import { runBundles } from '../support/run-bundles.ts';

async function takeToken({ federation, testEnvironment }: FederationFixture): Promise<string> {
  const { clients, identityProvider, users } = federation;
  const { name: username, password } = users.alice;
  const form = { grant_type: 'password', client_id: clients.public.id, username, password, scope: 'openid' };
  const { body } = await sendRequest(`${identityProvider.url}/token`, { form, ca: testEnvironment.pki.ca });
  return (JSON.parse(body) as { access_token: string }).access_token;
}

testWithFederation('v3oidcaccesstoken logs in with an access token', async (t, federation, environment) => {
  const fixture = setUpFederation(t, federation, environment);
  const token = await takeToken(fixture);
  const expected = expectDemoMember(federation.users.alice.email);
  await t.test('the auth type is set', async (t) => {
    const env = { OS_AUTH_TYPE: 'v3oidcaccesstoken', OS_ACCESS_TOKEN: token };
    await checkFederatedLogin(t, fixture, { env, expected, issuer: [] });
  });
  await t.test('the auth type is inferred', async (t) => {
    const env = { OS_ACCESS_TOKEN: token };
    await checkFederatedLogin(t, fixture, { env, expected, issuer: [] });
  });
});

testWithFederation('v3oidcaccesstoken reports a token that cannot be used', async (t, federation, environment) => {
  const fixture = setUpFederation(t, federation, environment);
  const env = { OS_AUTH_TYPE: 'v3oidcaccesstoken' };
  await checkFederatedFailure(t, fixture, {
    env: { ...env, OS_ACCESS_TOKEN: 'canary-no-token' },
    // Apache returns this error as HTML.
    says: ["Keystone refused the provider's token for the token in OS_ACCESS_TOKEN", 'too old or of the wrong type'],
    issuer: [],
    keystone: [`POST ${federatedAuthPath(federation)} 401`],
  });
  await checkFederatedFailure(t, fixture, {
    env: { ...env, OS_ACCESS_TOKEN: 'Bearer canary' },
    status: EXIT_STATUS.config,
    says: ['OS_ACCESS_TOKEN is not a token', 'without "Bearer"'],
    issuer: [],
  });
  await checkFederatedFailure(t, fixture, {
    env,
    status: EXIT_STATUS.interaction,
    says: ['access token is not set', 'OS_ACCESS_TOKEN'],
    issuer: [],
  });
});

testWithFederation(
  'v3oidcaccesstoken prints the token unchanged for a cluster that trusts the provider',
  async (t, federation, environment) => {
    const fixture = setUpFederation(t, federation, environment);
    const token = await takeToken(fixture);
    const now = Date.now();
    const user = setUp(t, {
      settings: { OS_ACCESS_TOKEN: token, CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'access_token' },
      // The clock stands still, so that the expiry can be compared.
      runner: (run) => runBundles(run, { now: () => now }),
    });
    const credential = checkSuccess(t, await user.run());
    t.equal(credential.token, token);
    const inFiveMinutes = Math.floor((now + 300_000) / 1000) * 1000;
    t.equal(Date.parse(credential.expirationTimestamp), inFiveMinutes, 'a token without an expiry lasts five minutes');
    t.strictSame(await listKeystoneRequests(fixture, 0), []);

    const makeJwt = (exp: number): string =>
      `eyJhbGciOiJub25lIn0.${Buffer.from(JSON.stringify({ exp })).toString('base64url')}.c2ln`;
    const seconds = Math.floor(now / 1000);
    const later = user.onNewMachine().with({ OS_ACCESS_TOKEN: makeJwt(seconds + 900) });
    t.equal(
      Date.parse(checkSuccess(t, await later.run()).expirationTimestamp),
      (seconds + 900) * 1000,
      'the expiry of a JWT is that of its claims',
    );
    const old = user.onNewMachine().with({ OS_ACCESS_TOKEN: makeJwt(seconds - 900) });
    checkFailure(t, await old.run(), EXIT_STATUS.refused, { says: ["the provider's token has already expired"] });
  },
);
