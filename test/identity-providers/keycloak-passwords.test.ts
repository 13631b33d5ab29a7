// The plugin at a real Keycloak, without Keystone: users with passwords, and programs.

import type { Test } from 'tap';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import type { EnvVars } from '../support/home.ts';
import { ALICE, computeOtp, OTTO, ROBOT, testWithKeycloak } from '../support/keycloak.ts';
import type { Realm } from '../support/keycloak.ts';
import { asPasswordUser, readClaims, setUpProviderUser } from '../support/provider-user.ts';
import { WRONG_PASSCODE } from '../support/tenancy.ts';
import { waitUntil } from '../support/wait-until.ts';

/** A login that Keycloak refuses. */
async function checkRefused(t: Test, realm: Realm, env: EnvVars, ...says: readonly (string | RegExp)[]): Promise<void> {
  checkFailure(t, await setUpProviderUser(t, realm, { env }).run(), EXIT_STATUS.refused, { says });
}

testWithKeycloak('Keycloak gives an access token and an ID token for a password', async (t, realm) => {
  const alice = setUpProviderUser(t, realm, { env: asPasswordUser(ALICE) });
  const first = await alice.run();
  const { token, expirationTimestamp } = checkSuccess(t, first);
  const claims = readClaims(token);
  t.match(claims, { iss: realm.issuer, typ: 'Bearer', preferred_username: 'alice', groups: ['ops'] });
  t.equal(Date.parse(expirationTimestamp), Number(claims['exp']) * 1000, 'the expiry is that of the token');
  t.strictSame(await alice.run(), first, 'the second run takes the token from the cache');
  t.strictSame(await realm.listEvents(), ['LOGIN'], 'Keycloak knows of one login');

  const other = alice.with({ CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'id_token' });
  t.match(readClaims(checkSuccess(t, await other.run()).token), { typ: 'ID', aud: ['kubectl', 'kubernetes'] });
});

testWithKeycloak('Keycloak accepts a password with the code of an authenticator app', async (t, realm) => {
  const env = { ...asPasswordUser(OTTO), OS_IDP_OTP_KEY: 'totp' };
  const otto = setUpProviderUser(t, realm, { env: { ...env, OS_PASSCODE: computeOtp(OTTO.otpSecret, Date.now()) } });
  t.match(readClaims(checkSuccess(t, await otto.run()).token), { preferred_username: 'otto' });
  await checkRefused(t, realm, asPasswordUser(OTTO), 'invalid_grant Invalid user credentials', 'check the credentials');
  await checkRefused(t, realm, { ...env, OS_PASSCODE: WRONG_PASSCODE }, 'invalid_grant Invalid user credentials');
});

testWithKeycloak('Keycloak refuses a login, and the plugin says why', async (t, realm) => {
  await checkRefused(
    t,
    realm,
    asPasswordUser({ ...ALICE, password: 'canary-wrong' }),
    'the identity provider refused alice: wrong or already used credentials, or a locked account',
  );
  await checkRefused(
    t,
    realm,
    asPasswordUser({ name: 'newcomer', password: 'newcomer-password' }),
    'the account requires an action of its user first, such as a new password',
    'log in there with a browser once',
  );
  await checkRefused(
    t,
    realm,
    asPasswordUser({ name: 'recruit', password: 'recruit-password' }),
    'Account is not fully set up',
    'log in there with a browser once',
  );
  await checkRefused(
    t,
    realm,
    { ...asPasswordUser(ALICE), OS_OPENID_SCOPE: 'openid nonsense' },
    'it does not grant these scopes (invalid_scope Invalid scopes: openid nonsense)',
  );
  await checkRefused(t, realm, { ...asPasswordUser(ALICE), OS_CLIENT_ID: 'nobody' }, 'it does not know this client');
  await realm.changeUser(ALICE.name, { enabled: false });
  await checkRefused(t, realm, asPasswordUser(ALICE), 'the account is disabled (invalid_grant Account disabled)');
});

testWithKeycloak(
  'Keycloak locks an account after wrong passwords, and the plugin tries a refused password once',
  async (t, realm) => {
    const wrong = setUpProviderUser(t, realm, {
      env: asPasswordUser({ ...ALICE, password: 'canary-wrong' }),
    }).withStoppedClock();
    checkFailure(t, await wrong.run(), EXIT_STATUS.refused, { says: ['wrong or already used credentials'] });
    // A kubectl that runs the plugin again does not count as an attempt.
    checkFailure(t, await wrong.run(), EXIT_STATUS.refused, { says: ['is not tried again yet'] });
    t.strictSame(await realm.listEvents(), ['LOGIN_ERROR invalid_user_credentials']);
    await waitUntil('the lock', async () => {
      await setUpProviderUser(t, realm, { env: asPasswordUser({ ...ALICE, password: 'canary-other' }) }).run();
      return (await realm.listEvents()).includes('LOGIN_ERROR user_temporarily_disabled');
    });
    await checkRefused(t, realm, asPasswordUser(ALICE), 'or a locked account (invalid_grant Invalid user credentials)');
  },
  {
    bruteForceProtected: true,
    failureFactor: 2,
    waitIncrementSeconds: 900,
    maxFailureWaitSeconds: 900,
    quickLoginCheckMilliSeconds: 0,
  },
);

testWithKeycloak('Keycloak gives a token to a client with a secret', async (t, realm) => {
  const env = {
    OS_AUTH_TYPE: 'v3oidcclientcredentials',
    OS_CLIENT_ID: ROBOT.id,
    OS_CLIENT_SECRET: ROBOT.secret,
  };
  const robot = setUpProviderUser(t, realm, { env });
  const { token } = checkSuccess(t, await robot.run());
  t.match(readClaims(token), { preferred_username: 'service-account-robot', azp: 'robot' });
  await checkRefused(
    t,
    realm,
    { ...env, OS_CLIENT_SECRET: 'canary-wrong' },
    "the client's secret is wrong, or this client is not allowed to use this auth method",
    'check OS_CLIENT_ID and OS_CLIENT_SECRET',
  );
});

testWithKeycloak('Keycloak refuses a secret from a client that must sign', async (t, realm) => {
  const env = { OS_AUTH_TYPE: 'v3oidcclientcredentials', OS_CLIENT_ID: 'signer', OS_CLIENT_SECRET: 'canary' };
  await checkRefused(t, realm, env, 'invalid_client', 'client_assertion_type');
});

testWithKeycloak('an access token of Keycloak is passed on as it is', async (t, realm) => {
  const { access_token: token } = await realm.requestTokens({
    ...{ grant_type: 'password', client_id: 'kubectl', scope: 'openid' },
    ...{ username: ALICE.name, password: ALICE.password },
  });
  const user = setUpProviderUser(t, realm, {
    env: { OS_AUTH_TYPE: 'v3oidcaccesstoken', OS_ACCESS_TOKEN: String(token) },
  });
  const credential = checkSuccess(t, await user.run());
  t.equal(credential.token, token);
  t.equal(Date.parse(credential.expirationTimestamp), Number(readClaims(String(token))['exp']) * 1000);
});

testWithKeycloak('a realm that does not exist is the fault of the URL', async (t, realm) => {
  const user = setUpProviderUser(
    t,
    { ...realm, issuer: `${realm.keycloak.url}/realms/nowhere` },
    { env: asPasswordUser(ALICE) },
  );
  checkFailure(t, await user.run(), EXIT_STATUS.protocol, {
    says: ['answered with status 404 (Realm does not exist)', 'check OS_DISCOVERY_ENDPOINT'],
  });
});
