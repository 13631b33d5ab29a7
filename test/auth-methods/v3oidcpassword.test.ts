// Against: a real OpenID provider, Apache and Keystone.

import { federatedAuthPath, configureIssuer, testWithFederation } from '../support/federation.ts';
import { DISCOVERY_REQUEST, TOKEN_REQUEST } from '../support/federated-login.ts';
import { checkFederatedFailure, checkFederatedLogin, expectDemoMember } from '../support/federated-login.ts';
import { expectKeystoneRequests, listIssuerRequests, listKeystoneRequests } from '../support/federated-login.ts';
import { setUpFederation } from '../support/federated-login.ts';
import type { FederatedFailure, FederationFixture } from '../support/federated-login.ts';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import type { EnvVars } from '../support/home.ts';
import { onProject } from '../support/login-settings.ts';
import { setUp } from '../support/fixture.ts';
import { waitUntil } from '../support/wait-until.ts';

function asAlice({ federation }: FederationFixture): EnvVars {
  const { clients, users } = federation;
  return {
    OS_AUTH_TYPE: 'v3oidcpassword',
    OS_CLIENT_ID: clients.public.id,
    OS_USERNAME: users.alice.name,
    OS_PASSWORD: users.alice.password,
  };
}

testWithFederation('v3oidcpassword logs in with every kind of client and scope', async (t, federation, environment) => {
  const { clients, users } = federation;
  const { domain, projects } = environment.tenancy;
  const fixture = setUpFederation(t, federation, environment);
  const alice = asAlice(fixture);
  const expected = expectDemoMember(users.alice.email);
  const scoped = (more: EnvVars): EnvVars => ({ ...alice, OS_PROJECT_ID: '', ...more });
  const readers = { user: expected.user, roles: ['reader'] };
  await t.test('the client is public', async (t) => {
    await checkFederatedLogin(t, fixture, { env: alice, expected });
  });
  await t.test('the client secret has special characters, and the project is named', async (t) => {
    const { id, secret } = clients.awkward;
    const env = scoped({ OS_CLIENT_ID: id, OS_CLIENT_SECRET: secret, ...onProject(projects.demo, domain) });
    await checkFederatedLogin(t, fixture, { env, expected });
  });
  await t.test('the discovery document is not read if the token endpoint is set', async (t) => {
    const env = { ...alice, OS_ACCESS_TOKEN_ENDPOINT: `${fixture.issuer.url}/token`, OS_DISCOVERY_ENDPOINT: '' };
    await checkFederatedLogin(t, fixture, { env, expected, issuer: [TOKEN_REQUEST] });
  });
  await t.test('the scope is a domain', async (t) => {
    const env = scoped({ OS_DOMAIN_ID: domain.id });
    await checkFederatedLogin(t, fixture, {
      env,
      expected: { ...readers, methods: ['openid', 'token'], domain: domain.name },
    });
  });
  await t.test('the token has no scope', async (t) => {
    const unscoped = { user: expected.user, methods: ['openid'], roles: [] };
    const keystone = expectKeystoneRequests(federation).slice(0, 1);
    const warnings = ['the token has no scope'];
    await checkFederatedLogin(t, fixture, { env: scoped({}), expected: unscoped, keystone, warnings });
    await checkFederatedLogin(t, fixture, {
      env: scoped({ OS_UNSCOPED: 'true' }),
      expected: unscoped,
      keystone,
      warnings,
    });
  });
});

testWithFederation(
  'v3oidcpassword sends a passcode in addition to the password',
  async (t, federation, environment) => {
    const { otto } = federation.users;
    const fixture = setUpFederation(t, federation, environment);
    await configureIssuer(fixture.issuer.url, environment.pki.ca, { otpField: 'otp' });
    const env = { ...asAlice(fixture), OS_USERNAME: otto.name, OS_PASSWORD: otto.password, OS_IDP_OTP_KEY: 'otp' };
    await t.test('the passcode is valid', async (t) => {
      await checkFederatedLogin(t, fixture, {
        env: { ...env, OS_PASSCODE: otto.otp },
        expected: expectDemoMember(otto.email),
      });
    });
    await t.test('the passcode is wrong or missing, or has no field', async (t) => {
      const refused = [DISCOVERY_REQUEST, 'POST /token 400'];
      await checkFederatedFailure(t, fixture, {
        env: { ...env, OS_PASSCODE: '111111' },
        says: ['invalid_grant'],
        issuer: refused,
      });
      await checkFederatedFailure(t, fixture, {
        env,
        status: EXIT_STATUS.interaction,
        says: ['passcode is not set', 'OS_PASSCODE'],
        issuer: [],
      });
      await checkFederatedFailure(t, fixture, {
        env: { ...env, OS_IDP_OTP_KEY: 'grant_type', OS_PASSCODE: otto.otp },
        status: EXIT_STATUS.config,
        says: ['OS_IDP_OTP_KEY must not be "grant_type"'],
        issuer: [DISCOVERY_REQUEST],
      });
    });
  },
);

testWithFederation('v3oidcpassword reports why a login is rejected', async (t, federation, environment) => {
  const { clients, users } = federation;
  const fixture = setUpFederation(t, federation, environment);
  const alice = asAlice(fixture);
  const fed = federatedAuthPath(federation);
  const refusals: Readonly<Record<string, FederatedFailure>> = {
    'the password is wrong': {
      env: { ...alice, OS_PASSWORD: 'canary-wrong' },
      says: ['the identity provider refused alice', 'invalid_grant invalid user credentials', 'check the credentials'],
      issuer: [DISCOVERY_REQUEST, 'POST /token 400'],
    },
    'the client secret is wrong': {
      env: { ...alice, OS_CLIENT_ID: clients.confidential.id, OS_CLIENT_SECRET: 'canary-wrong' },
      says: ['it does not know this client, or its secret is wrong', 'OS_CLIENT_ID and OS_CLIENT_SECRET'],
      issuer: [DISCOVERY_REQUEST, 'POST /token 401'],
    },
    'no mapping matches the user': {
      env: { ...alice, OS_USERNAME: users.stranger.name, OS_PASSWORD: users.stranger.password },
      says: ["Keystone refused the provider's token for stranger", 'its mapping does not match the user'],
      issuer: [DISCOVERY_REQUEST, TOKEN_REQUEST],
      keystone: [`POST ${fed} 401`],
    },
    'Keystone does not know the provider': {
      env: { ...alice, OS_IDENTITY_PROVIDER: 'nonsense' },
      says: [
        'no identity provider "nonsense" with the protocol "openid"',
        'check OS_IDENTITY_PROVIDER and OS_PROTOCOL',
      ],
      issuer: [DISCOVERY_REQUEST, TOKEN_REQUEST],
      keystone: [`POST ${federatedAuthPath({ ...federation, provider: 'nonsense' })} 404`],
    },
    'the user has no role in the project': {
      env: { ...alice, OS_PROJECT_ID: environment.tenancy.projects.other.id },
      says: ['Keystone accepted the login, but not for alice of identity provider acme-idp on project'],
      issuer: [DISCOVERY_REQUEST, TOKEN_REQUEST],
      keystone: [`POST ${fed} 201`, 'POST /v3/auth/tokens?nocatalog=true 401'],
    },
    'only a user is set': {
      env: {
        OS_AUTH_TYPE: 'v3oidcpassword',
        OS_DISCOVERY_ENDPOINT: '',
        OS_IDENTITY_PROVIDER: '',
        OS_USERNAME: 'alice',
      },
      status: EXIT_STATUS.interaction,
      says: ['OS_IDENTITY_PROVIDER', 'OS_DISCOVERY_ENDPOINT', 'OS_CLIENT_ID', 'OS_PASSWORD'],
      issuer: [],
    },
  };
  for (const [name, refusal] of Object.entries(refusals)) {
    await t.test(name, (t) => checkFederatedFailure(t, fixture, refusal));
  }
});

testWithFederation('v3oidcpassword renews the token without a password', async (t, federation, environment) => {
  const fixture = setUpFederation(t, federation, environment);
  const { ca } = environment.pki;
  const alice = fixture.user.with(asAlice(fixture));
  const withoutPassword = alice.with({ OS_PASSWORD: undefined });
  checkSuccess(t, await alice.run());
  t.strictSame(listIssuerRequests(fixture), [DISCOVERY_REQUEST, TOKEN_REQUEST]);

  // Without a password and a terminal. The provider replaces the refresh token of a public client each time.
  for (const times of [2, 3]) {
    checkSuccess(t, await withoutPassword.run('--force-refresh'));
    t.strictSame(
      listIssuerRequests(fixture),
      Array(times).fill([DISCOVERY_REQUEST, TOKEN_REQUEST]).flat(),
      'refreshed',
    );
    t.equal((await listKeystoneRequests(fixture, 2 * times)).length, 2 * times);
  }

  await configureIssuer(fixture.issuer.url, ca, { refreshTokenSeconds: 1 });
  checkSuccess(t, await withoutPassword.run('--force-refresh'));
  // The provider counts whole seconds.
  const expired = Math.floor(Date.now() / 1000) + 2;
  await waitUntil('the end of the refresh token', () => Date.now() > expired * 1000 || undefined);
  const before = listIssuerRequests(fixture).length;
  const without = await withoutPassword.run('--force-refresh', '-v');
  t.equal(without.status, EXIT_STATUS.interaction, without.stderr);
  t.match(without.stderr, /the last login cannot be renewed: .*invalid_grant/);
  t.match(without.stderr, /password is not set .*OS_PASSWORD/);
  t.strictSame(listIssuerRequests(fixture).slice(before), [DISCOVERY_REQUEST, 'POST /token 400'], 'once');
  checkSuccess(t, await alice.run('--force-refresh'));
});

testWithFederation('nothing is stored when the cache is disabled', async (t, federation, environment) => {
  const fixture = setUpFederation(t, federation, environment);
  const alice = fixture.user.with({ ...asAlice(fixture), CLIENT_KEYSTONE_AUTH_CACHE_STORAGE: 'none' });
  checkSuccess(t, await alice.run());
  checkFailure(t, await alice.with({ OS_PASSWORD: undefined }).run(), EXIT_STATUS.interaction, {
    says: ['password is not set'],
  });
});

testWithFederation("the provider's access token is printed without Keystone", async (t, federation, environment) => {
  const fixture = setUpFederation(t, federation, environment);
  const settings = {
    ...fixture.providerSettings,
    ...asAlice(fixture),
    CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'access_token',
  };
  const user = setUp(t, { settings });
  const first = await user.run();
  t.match(checkSuccess(t, first).token, /^[\w-]{43}$/, 'the token has the format of the provider');
  t.strictSame(listIssuerRequests(fixture), [DISCOVERY_REQUEST, TOKEN_REQUEST]);
  t.strictSame(await user.run(), { ...first, stderr: '' }, 'the cache returns the same token');
  t.equal(listIssuerRequests(fixture).length, 2);
  t.strictSame(await listKeystoneRequests(fixture, 0), []);

  const startedAt = Date.now();
  const { expirationTimestamp } = checkSuccess(t, await setUp(t, { settings }).run());
  // The lifetime is the one that the provider reports. A timestamp has whole seconds.
  const issuedAt = Date.parse(expirationTimestamp) - 3_600_000;
  t.ok(issuedAt > startedAt - 1_000 && issuedAt <= Date.now(), `${issuedAt - startedAt} ms after the start`);
});
