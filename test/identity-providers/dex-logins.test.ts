// The plugin at a real Dex, without Keystone.

import type { Test } from 'tap';
import { checkBrowserSuccess, startBrowserLogin } from '../support/browser-login-in-process.ts';
import type { BrowserLogin } from '../support/browser-login-in-process.ts';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import { ALICE, AS_CONFIDENTIAL, CONFIDENTIAL_CLIENT, testWithDex, USERS_OF_CONNECTOR } from '../support/dex.ts';
import type { TestDex } from '../support/dex.ts';
import type { EnvVars } from '../support/home.ts';
import { asPasswordUser, checkNotRenewed, readClaims, setUpProviderUser } from '../support/provider-user.ts';
import { browse } from '../support/scripted-browser.ts';
import { sendRequest } from '../support/send-request.ts';
import type { ReceivedResponse } from '../support/send-request.ts';

const SCOPE = 'openid email profile groups offline_access';

async function checkRefused(t: Test, dex: TestDex, env: EnvVars, ...says: readonly (string | RegExp)[]): Promise<void> {
  checkFailure(t, await setUpProviderUser(t, dex, { env }).run(), EXIT_STATUS.refused, { says });
}

/** Checks that Dex shows on its own page that access is not granted, and that the plugin waits for nothing. */
async function checkUntold(t: Test, { ended }: BrowserLogin, page: ReceivedResponse): Promise<void> {
  t.match(page, { status: 500, body: 'Approval rejected' });
  const { status, stdout, stderr } = await ended;
  t.not(status, 0);
  t.equal(stdout, '');
  t.match(stderr, /raise --login-timeout/);
}

testWithDex('Dex gives an access token and an ID token for a password', async (t, dex) => {
  const alice = setUpProviderUser(t, dex, { env: { ...asPasswordUser(ALICE), OS_OPENID_SCOPE: SCOPE } });
  const first = await alice.run();
  const { token, expirationTimestamp } = checkSuccess(t, first);
  const claims = readClaims(token);
  t.match(claims, { iss: dex.issuer, aud: 'kubectl', email: ALICE.name, email_verified: true, name: 'alice' });
  t.notOk('groups' in claims, 'users in the configuration have no groups');
  t.equal(Date.parse(expirationTimestamp), Number(claims['exp']) * 1000, 'the expiry is that of the token');
  t.strictSame(await alice.run(), first, 'the second run takes the token from the cache');

  const other = alice.with({ ...AS_CONFIDENTIAL, CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'id_token' });
  t.match(readClaims(checkSuccess(t, await other.run()).token), { aud: CONFIDENTIAL_CLIENT.id, email: ALICE.name });
});

testWithDex('Dex refuses a login, and the plugin says why', async (t, dex) => {
  const env = asPasswordUser(ALICE);
  await checkRefused(
    t,
    dex,
    asPasswordUser({ ...ALICE, password: 'canary-wrong' }),
    'wrong credentials (access_denied Invalid username or password)',
    'check the credentials',
  );
  await checkRefused(t, dex, { ...env, OS_CLIENT_ID: 'nobody' }, 'it does not know this client', 'OS_CLIENT_ID');
  const wrongSecret = { ...env, ...AS_CONFIDENTIAL, OS_CLIENT_SECRET: 'canary-wrong' };
  await checkRefused(t, dex, wrongSecret, 'or its secret is wrong', 'check OS_CLIENT_ID and OS_CLIENT_SECRET');
  await checkRefused(
    t,
    dex,
    { ...env, OS_OPENID_SCOPE: 'email' },
    'it requires the scope openid (invalid_request Missing required scope(s) ["openid"])',
    'add openid to OS_OPENID_SCOPE',
  );
  await checkRefused(
    t,
    dex,
    { ...env, OS_OPENID_SCOPE: 'openid nonsense' },
    'it does not grant these scopes (invalid_request Unrecognized scope(s) ["nonsense"])',
    'check OS_OPENID_SCOPE',
  );
  const robot = { OS_AUTH_TYPE: 'v3oidcclientcredentials', ...AS_CONFIDENTIAL };
  await checkRefused(t, dex, robot, 'does not support this auth method (client_credentials)', 'it offers ');
});

testWithDex(
  'Dex without a password connector offers no login with a password',
  async (t, dex) => {
    await checkRefused(t, dex, asPasswordUser(ALICE), 'does not support this auth method (password)', 'it offers ');
  },
  { oauth2: {} },
);

testWithDex(
  'Dex replaces the refresh token at each use, and refuses one that was used before',
  async (t, dex) => {
    const alice = setUpProviderUser(t, dex, { env: { ...asPasswordUser(ALICE), OS_OPENID_SCOPE: SCOPE } });
    const later = alice.with({ OS_PASSWORD: undefined });
    const tokens = [checkSuccess(t, await alice.run()).token];
    for (let times = 0; times < 2; times += 1) tokens.push(checkSuccess(t, await later.run('--force-refresh')).token);
    t.equal(new Set(tokens).size, 3, 'each token is a new one');

    const stolen = /"refresh":"([^"]+)"/.exec(alice.readCache())?.[1] ?? '';
    const form = { grant_type: 'refresh_token', client_id: 'kubectl', refresh_token: stolen };
    t.match(await sendRequest(`${dex.issuer}/token`, { form, ca: dex.ca }), { status: 200 });
    await checkNotRenewed(t, later, 'Refresh token is invalid or has already been claimed by another client');
    checkSuccess(t, await alice.run('--force-refresh'));
  },
  // By default, Dex accepts the last one for three more seconds.
  { expiry: { refreshTokens: { reuseInterval: '0s' } } },
);

testWithDex('a user logs in at the pages of Dex with an authorization code and PKCE', async (t, dex) => {
  const env = { OS_AUTH_TYPE: 'v3oidcauthcode', OS_OPENID_SCOPE: SCOPE };
  const alice = setUpProviderUser(t, dex, { env });
  const login = startBrowserLogin(alice);
  const { callback } = await browse(await login.address, ALICE, dex.ca);
  t.match(await callback?.send(), { status: 200, body: 'You can close this window' });
  const { token, stdout } = await checkBrowserSuccess(t, login);
  t.match(readClaims(token), { email: ALICE.name, aud: 'kubectl' });
  t.equal((await alice.run()).stdout, stdout, 'the second run takes the token from the cache');

  await t.test('the user does not grant what the program asks for', async (t) => {
    const login = startBrowserLogin(setUpProviderUser(t, dex, { env }), '--login-timeout', '5');
    const { page, callback } = await browse(await login.address, { ...ALICE, denies: true }, dex.ca);
    await checkUntold(t, login, page);
    t.equal(callback, undefined);
  });
});

testWithDex(
  'the token of a user of a connector has groups, also after it is renewed',
  async (t, dex) => {
    const env = { OS_AUTH_TYPE: 'v3oidcauthcode', OS_OPENID_SCOPE: SCOPE, CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'id_token' };
    const kilgore = setUpProviderUser(t, dex, { env });
    const login = startBrowserLogin(kilgore);
    const { callback } = await browse(await login.address, 'deny', dex.ca);
    await callback?.send();
    const { token } = await checkBrowserSuccess(t, login);
    const renewed = checkSuccess(t, await kilgore.run('--force-refresh')).token;
    for (const each of [token, renewed])
      t.match(readClaims(each), { email: 'kilgore@kilgore.trout', groups: ['authors'] });
    t.not(renewed, token);
  },
  USERS_OF_CONNECTOR,
);

testWithDex('a user logs in at Dex on another device', async (t, dex) => {
  const env = { OS_AUTH_TYPE: 'v3oidcdeviceauthz', OS_CODE_CHALLENGE_METHOD: 'S256', OS_OPENID_SCOPE: SCOPE };
  const visit = async (denies: boolean): Promise<{ login: BrowserLogin; page: ReceivedResponse }> => {
    // Dex asks for five seconds between two questions.
    const login = startBrowserLogin(setUpProviderUser(t, dex, { env }), ...(denies ? ['--login-timeout', '7'] : []));
    const { page } = await browse(await login.address, { ...ALICE, denies }, dex.ca);
    return { login, page };
  };
  const [granted, denied] = await Promise.all([visit(false), visit(true)]);
  t.match(granted.page, { status: 200, body: /Login Successful for kubectl/ });
  const { token } = await checkBrowserSuccess(t, granted.login);
  t.match(readClaims(token), { email: ALICE.name, aud: 'kubectl' });
  await checkUntold(t, denied.login, denied.page);
});
