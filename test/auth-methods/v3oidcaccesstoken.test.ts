// Against: a real OpenID provider, Apache and Keystone.

import t from 'tap';
import { federatedAuthPath, testWithFederation } from '../support/federation.ts';
import { checkFederatedFailure, checkFederatedLogin, expectDemoMember } from '../support/federated-login.ts';
import { listKeystoneRequests, setUpFederation } from '../support/federated-login.ts';
import type { FederationFixture } from '../support/federated-login.ts';
import { sendRequest } from '../support/send-request.ts';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import { runPlugin } from '../support/run-plugin.ts';
import { makeTestHome } from '../support/home.ts';

t.setTimeout(170_000);

async function takeToken({ federation, testEnvironment }: FederationFixture): Promise<string> {
  const { clients, identityProvider, users } = federation;
  const { name: username, password } = users.alice;
  const form = { grant_type: 'password', client_id: clients.public.id, username, password, scope: 'openid' };
  const { body } = await sendRequest(`${identityProvider.url}/token`, { form, ca: testEnvironment.pki.ca });
  return (JSON.parse(body) as { access_token: string }).access_token;
}

testWithFederation('an existing access token', async (t, federation, environment) => {
  const fixture = setUpFederation(federation, environment);
  const token = await takeToken(fixture);
  const expected = expectDemoMember(federation.users.alice.email);
  await t.test('with a token type', async (t) => {
    const env = { OS_AUTH_TYPE: 'v3oidcaccesstoken', OS_ACCESS_TOKEN: token };
    await checkFederatedLogin(t, fixture, { env, expected, issuer: [] });
  });
  await t.test('with an inferred token type', async (t) => {
    await checkFederatedLogin(t, fixture, {
      env: { OS_ACCESS_TOKEN: token, OS_PASSWORD: 'unused' },
      expected,
      issuer: [],
    });
  });
});

testWithFederation('rejected tokens', async (t, federation, environment) => {
  const fixture = setUpFederation(federation, environment);
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
  'outputs the token unchanged for a cluster that trusts the provider',
  async (t, federation, environment) => {
    const fixture = setUpFederation(federation, environment);
    const token = await takeToken(fixture);
    const env = { OS_ACCESS_TOKEN: token, CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'access_token' };
    const credential = checkSuccess(t, await runPlugin({ home: makeTestHome(t), env }));
    t.equal(credential.token, token);
    const livesMs = Date.parse(credential.expirationTimestamp) - Date.now();
    t.ok(livesMs > 290_000 && livesMs <= 300_000, 'a token without an expiry is used for five minutes');
    t.strictSame(await listKeystoneRequests(fixture), []);

    const claims = (exp: number): string => Buffer.from(JSON.stringify({ exp })).toString('base64url');
    const now = Math.floor(Date.now() / 1000);
    const jwt = `eyJhbGciOiJub25lIn0.${claims(now + 900)}.c2ln`;
    const own = checkSuccess(t, await runPlugin({ home: makeTestHome(t), env: { ...env, OS_ACCESS_TOKEN: jwt } }));
    t.equal(Date.parse(own.expirationTimestamp), (now + 900) * 1000, 'the expiry of a JWT is that of its claims');
    const old = `eyJhbGciOiJub25lIn0.${claims(now - 900)}.c2ln`;
    const result = await runPlugin({ home: makeTestHome(t), env: { ...env, OS_ACCESS_TOKEN: old } });
    checkFailure(t, result, EXIT_STATUS.refused, { says: ["the provider's token has already expired"] });
  },
);
