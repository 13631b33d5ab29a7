// The plugin at a real Keycloak, without Keystone: logins through its own pages.

import { checkFailure, EXIT_STATUS } from '../support/check-run.ts';
import { checkBrowserSuccess, startBrowserLogin } from '../support/browser-login-in-process.ts';
import { ALICE, computeOtp, OTTO, testWithKeycloak } from '../support/keycloak.ts';
import { readClaims, setUpProviderUser } from '../support/provider-user.ts';
import { browse } from '../support/scripted-browser.ts';

testWithKeycloak('a user logs in at the page of Keycloak with an authorization code and PKCE', async (t, realm) => {
  const alice = setUpProviderUser(t, realm, { env: { OS_AUTH_TYPE: 'v3oidcauthcode' } });
  const login = startBrowserLogin(alice);
  const { callback } = await browse(await login.address, ALICE, realm.ca);
  t.equal(callback?.url.searchParams.get('iss'), realm.issuer, 'the answer names its issuer (RFC 9207)');
  t.match(await callback?.send(), { status: 200, body: 'You can close this window' });
  const { token, stdout } = await checkBrowserSuccess(t, login);
  t.match(readClaims(token), { preferred_username: 'alice', azp: 'kubectl' });
  t.equal((await alice.run()).stdout, stdout, 'the second run takes the token from the cache');
  t.strictSame(await realm.listEvents(), ['LOGIN', 'CODE_TO_TOKEN']);

  await t.test('the page asks for the code of an authenticator app', async (t) => {
    const otto = setUpProviderUser(t, realm, { env: { OS_AUTH_TYPE: 'v3oidcauthcode' } });
    const login = startBrowserLogin(otto);
    const user = { ...OTTO, otp: computeOtp(OTTO.otpSecret, Date.now()) };
    const { callback } = await browse(await login.address, user, realm.ca);
    await callback?.send();
    const { token } = await checkBrowserSuccess(t, login);
    t.match(readClaims(token), { preferred_username: 'otto' });
  });
});

testWithKeycloak('Keycloak refuses a redirect URI that it does not know, on its own page', async (t, realm) => {
  const user = setUpProviderUser(t, realm, {
    env: { OS_AUTH_TYPE: 'v3oidcauthcode', OS_REDIRECT_URI: 'http://127.0.0.1/elsewhere' },
  });
  const login = startBrowserLogin(user, '--login-timeout', '5');
  const { page, callback } = await browse(await login.address, ALICE, realm.ca);
  t.equal(callback, undefined);
  t.match(page, { status: 400, body: 'Invalid parameter: redirect_uri' });
  const { stdout, stderr } = await login.ended;
  t.equal(stdout, '');
  t.match(stderr, 'raise --login-timeout');
});

testWithKeycloak('a user logs in on another device, with PKCE as Keycloak requires it', async (t, realm) => {
  const env = { OS_AUTH_TYPE: 'v3oidcdeviceauthz' };
  await t.test('the client must use PKCE', async (t) => {
    const { ended } = startBrowserLogin(setUpProviderUser(t, realm, { env }));
    checkFailure(t, await ended, EXIT_STATUS.refused, {
      says: ['it requires PKCE for this client', 'set OS_CODE_CHALLENGE_METHOD=S256'],
    });
  });
  await t.test('the user grants what the program asks for', async (t) => {
    const alice = setUpProviderUser(t, realm, { env: { ...env, OS_CODE_CHALLENGE_METHOD: 'S256' } });
    const login = startBrowserLogin(alice);
    const { page } = await browse(await login.address, ALICE, realm.ca);
    t.match(page, { status: 200, body: 'Device Login Successful' });
    const { token } = await checkBrowserSuccess(t, login);
    t.match(readClaims(token), { preferred_username: 'alice', azp: 'kubectl' });
  });
  await t.test('the user does not grant it', async (t) => {
    const alice = setUpProviderUser(t, realm, { env: { ...env, OS_CODE_CHALLENGE_METHOD: 'S256' } });
    const login = startBrowserLogin(alice);
    await browse(await login.address, { ...ALICE, denies: true }, realm.ca);
    const { status, stdout, stderr } = await login.ended;
    t.equal(status, EXIT_STATUS.refused, stderr);
    t.equal(stdout, '');
    t.match(stderr, 'the login was denied (access_denied');
  });
});

testWithKeycloak(
  'a login on another device ends with its code',
  async (t, realm) => {
    const env = { OS_AUTH_TYPE: 'v3oidcdeviceauthz', OS_CODE_CHALLENGE_METHOD: 'S256' };
    const { ended } = startBrowserLogin(setUpProviderUser(t, realm, { env }));
    const { status, stderr } = await ended;
    t.equal(status, EXIT_STATUS.refused, stderr);
    t.match(stderr, /was not finished (?:in time|within \d+ s)/);
  },
  { oauth2DeviceCodeLifespan: 4 },
);
