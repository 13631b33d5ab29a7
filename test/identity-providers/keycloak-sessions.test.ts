// The plugin at a real Keycloak, without Keystone: how a login is renewed, and how it ends.

import type { Test } from 'tap';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import type { Fixture } from '../support/fixture.ts';
import { ALICE, testWithKeycloak } from '../support/keycloak.ts';
import type { Realm } from '../support/keycloak.ts';
import { asPasswordUser, checkNotRenewed, readClaims, setUpProviderUser } from '../support/provider-user.ts';
import type { ProviderUser } from '../support/provider-user.ts';
import { waitUntil } from '../support/wait-until.ts';

/** Alice on two days: with her password, and without it. */
function setUpAlice(t: Test, realm: Realm, { env, host }: ProviderUser = {}): { alice: Fixture; later: Fixture } {
  const alice = setUpProviderUser(t, realm, { env: { ...asPasswordUser(ALICE), ...env }, ...(host ? { host } : {}) });
  return { alice, later: alice.with({ OS_PASSWORD: undefined }) };
}

testWithKeycloak(
  'Keycloak replaces the refresh token at each use, and the plugin uses each one once',
  async (t, realm) => {
    const { alice, later } = setUpAlice(t, realm);
    const tokens = [checkSuccess(t, await alice.run()).token];
    for (let times = 0; times < 3; times += 1) tokens.push(checkSuccess(t, await later.run('--force-refresh')).token);
    t.equal(new Set(tokens).size, 4, 'each token is a new one');
    t.equal(new Set(tokens.map((token) => readClaims(token)['sid'])).size, 1, 'all are of one session');
    t.strictSame(await realm.listEvents(), ['LOGIN', 'REFRESH_TOKEN', 'REFRESH_TOKEN', 'REFRESH_TOKEN']);
  },
  { revokeRefreshToken: true, refreshTokenMaxReuse: 0 },
);

testWithKeycloak(
  'Keycloak detects a refresh token that was used before, and ends the session',
  async (t, realm) => {
    const { alice, later } = setUpAlice(t, realm);
    checkSuccess(t, await alice.run());
    const stolen = /"refresh":"([^"]+)"/.exec(alice.readCache())?.[1] ?? '';
    t.ok(stolen.length > 100, 'the refresh token is in the cache');
    const form = { grant_type: 'refresh_token', client_id: 'kubectl', refresh_token: stolen };
    await realm.requestTokens(form);
    await checkNotRenewed(t, later, 'Maximum allowed refresh token reuse exceeded');
    checkSuccess(t, await alice.run('--force-refresh'));
  },
  { revokeRefreshToken: true, refreshTokenMaxReuse: 0 },
);

testWithKeycloak('an offline token of Keycloak outlives the session', async (t, realm) => {
  const { alice, later } = setUpAlice(t, realm, { env: { OS_OPENID_SCOPE: 'openid offline_access' } });
  checkSuccess(t, await alice.run());
  await realm.change({ ssoSessionMaxLifespan: 1, ssoSessionIdleTimeout: 1 });
  const end = Date.now() + 2000;
  await waitUntil('the end of the session', () => Date.now() > end);
  checkSuccess(t, await later.run('--force-refresh'));
  t.strictSame(await realm.listEvents(), ['LOGIN', 'REFRESH_TOKEN']);
  await realm.logOut(ALICE.name);
  await realm.admin('/push-revocation', { method: 'POST' });

  await t.test('a user without the role for it gets none', async (t) => {
    const otto = setUpProviderUser(t, realm, {
      env: {
        ...asPasswordUser({ name: 'plain', password: 'plain-password' }),
        OS_OPENID_SCOPE: 'openid offline_access',
      },
    });
    await realm.admin('/users', {
      json: {
        ...{ username: 'plain', enabled: true, email: 'plain@acme.example', firstName: 'plain', lastName: 'Acme' },
        credentials: [{ type: 'password', value: 'plain-password' }],
      },
    });
    const role = (await realm.admin('/roles/offline_access')).body;
    const [plain] = JSON.parse((await realm.admin('/users?username=plain')).body) as readonly { id: string }[];
    const composites = `/roles/default-roles-${realm.name}/composites`;
    await realm.admin(composites, { method: 'DELETE', json: [JSON.parse(role) as unknown] });
    t.ok(plain);
    checkFailure(t, await otto.run(), EXIT_STATUS.refused, {
      says: [
        'it does not grant these scopes to this user or this client',
        'remove offline_access from OS_OPENID_SCOPE',
      ],
    });
  });
});

testWithKeycloak('a login is over when Keycloak has ended its session or disabled its user', async (t, realm) => {
  const { alice, later } = setUpAlice(t, realm);
  checkSuccess(t, await alice.run());
  await realm.logOut(ALICE.name);
  await checkNotRenewed(t, later, 'Session not active');

  checkSuccess(t, await alice.run('--force-refresh'));
  await realm.changeUser(ALICE.name, { enabled: false });
  await checkNotRenewed(t, later, 'User disabled');
  checkFailure(t, await alice.run('--force-refresh'), EXIT_STATUS.refused, { says: ['the account is disabled'] });
  await realm.changeUser(ALICE.name, { enabled: true });

  checkSuccess(t, await alice.run('--force-refresh'));
  await realm.change({ ssoSessionMaxLifespan: 1 });
  const end = Date.now() + 2000;
  await waitUntil('the end of the session', () => Date.now() > end);
  await checkNotRenewed(t, later, 'invalid_grant');
});

testWithKeycloak(
  'a token of a minute is renewed before it ends',
  async (t, realm) => {
    // The clock stands still: a busy machine may not reach the second run in half of the minute.
    const startedAt = Date.now();
    let aheadMs = 0;
    const { alice } = setUpAlice(t, realm, { host: { now: () => startedAt + aheadMs } });
    const first = await alice.run();
    checkSuccess(t, first);
    t.strictSame(await alice.run(), first);
    aheadMs = 55_000;
    t.not(checkSuccess(t, await alice.run()).token, checkSuccess(t, first).token);
    t.strictSame(await realm.listEvents(), ['LOGIN', 'REFRESH_TOKEN'], 'without a login');
  },
  { accessTokenLifespan: 60 },
);

testWithKeycloak('a clock that is off by an hour shifts the expiry by as much', async (t, realm) => {
  for (const offMs of [3_600_000, -3_600_000]) {
    const { alice } = setUpAlice(t, realm, { host: { now: () => Date.now() + offMs } });
    const first = await alice.run();
    const { token, expirationTimestamp } = checkSuccess(t, first);
    const shiftMs = Date.parse(expirationTimestamp) - Number(readClaims(token)['exp']) * 1000 - offMs;
    // The plugin compares its clock with a response, whose time has whole seconds, in the middle of a request.
    t.ok(Math.abs(shiftMs) < 120_000, `${shiftMs} ms`);
    t.strictSame(await alice.run(), first, 'the second run takes the token from the cache');
  }
});
