// The API of a real Krake, with tokens of the plugin. Krake asks a real Keystone or a real Keycloak about them.

import { checkSuccess } from '../support/check-run.ts';
import { damageEnd } from '../support/damaged-token.ts';
import { setUp } from '../support/fixture.ts';
import type { EnvVars } from '../support/home.ts';
import { ALICE } from '../support/keycloak.ts';
import type { Realm } from '../support/keycloak.ts';
import { getMutualTlsKeystone } from '../support/keystone-mutual-tls.ts';
import { askWhoIAm, testWithKrake } from '../support/krake.ts';
import type { KrakeFixture } from '../support/krake.ts';
import { asUser, onProject } from '../support/login-settings.ts';
import { asPasswordUser, setUpProviderUser } from '../support/provider-user.ts';
import { runBundles } from '../support/run-bundles.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

type Strategies = Parameters<KrakeFixture['start']>[0]['strategy'];

const askKeystone = ({ http }: TestEnvironment): Strategies => ({
  keystone: { enabled: true, endpoint: `${http.url}/v3` },
});

const askKeycloak = ({ keycloak, name }: Realm): Strategies => ({
  keycloak: { enabled: true, endpoint: new URL(keycloak.url).origin, realm: name },
});

const asBobOnDemo = ({ tenancy: { users, projects, domain } }: TestEnvironment): EnvVars => ({
  ...asUser(users.bob, domain),
  ...onProject(projects.demo, domain),
});

testWithKrake('Krake accepts a Keystone token without a scheme', async (t, { environment, start }) => {
  const { http, pki, tenancy } = environment;
  const krake = await start({ strategy: askKeystone(environment) });
  const bob = setUp(t, {
    runner: runBundles,
    settings: { OS_AUTH_URL: `${http.url}/v3`, ...asBobOnDemo(environment) },
  });
  const { token } = checkSuccess(t, await bob.run());
  t.equal((await bob.run('token')).stdout, `${token}\n`);
  const raw = await bob.run('token', '--raw-authorization');
  t.equal(raw.stdout, `Authorization: ${token}\n`);
  const { user } = JSON.parse((await bob.run('whoami', '-o', 'json')).stdout) as { user: { name: string } };
  t.equal(user.name, tenancy.users.bob.name);
  const answer = await askWhoIAm(krake, pki, { header: raw.stdout });
  t.strictSame(answer, { status: 200, body: { user: user.name, roles: [] } }, 'Krake knows the user that whoami shows');

  const bearer = (await bob.run('token', '--header', 'authorization')).stdout;
  for (const header of [bearer, `Authorization: ${damageEnd(token)}`])
    t.match(await askWhoIAm(krake, pki, { header }), { status: 401, body: { title: 'INVALID_KEYSTONE_TOKEN' } });
  t.match(await askWhoIAm(krake, pki, {}), { status: 401 });
  await bob.run('logout');
  t.match(await askWhoIAm(krake, pki, { header: raw.stdout }), { status: 401 }, 'after the logout');
});

testWithKrake(
  'Krake accepts an access token of Keycloak without a scheme',
  async (t, { environment, realm, start }) => {
    const { pki } = environment;
    const krake = await start({ strategy: askKeycloak(realm) });
    const alice = setUpProviderUser(t, realm, { env: asPasswordUser(ALICE) });
    const header = (await alice.run('token', '--raw-authorization')).stdout;
    t.strictSame(await askWhoIAm(krake, pki, { header }), { status: 200, body: { user: 'alice', roles: [] } });

    const idToken = alice.with({ CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'id_token' });
    const other = (await idToken.run('token', '--raw-authorization')).stdout;
    t.match(await askWhoIAm(krake, pki, { header: other }), {
      status: 401,
      body: { title: 'INVALID_KEYCLOAK_TOKEN' },
    });
    await realm.logOut(ALICE.name);
    t.match(await askWhoIAm(krake, pki, { header }), { status: 401 }, 'after the end of the session');
  },
);

testWithKrake(
  'Krake asks Keystone alone if it is configured, and accepts a certificate of who shows no token',
  async (t, { environment, realm, start }) => {
    const { pki } = environment;
    const strategy = { ...askKeystone(environment), ...askKeycloak(realm) };
    const krake = await start({ strategy, hasTls: true });
    // This Keystone requires the certificate too.
    const bob = setUp(t, {
      runner: runBundles,
      settings: {
        ...{ OS_AUTH_URL: `${getMutualTlsKeystone().url}/v3`, OS_CACERT: pki.ca },
        ...asBobOnDemo(environment),
      },
    });
    const certificate = pki.client;
    const raw = await bob.run('token', '--raw-authorization', '--cert', certificate.cert, '--key', certificate.key);
    t.equal(raw.status, 0, raw.stderr);
    t.match(await askWhoIAm(krake, pki, { header: raw.stdout }), { status: 200, body: { user: 'bob' } });
    t.match(
      await askWhoIAm(krake, pki, { header: raw.stdout, certificate }),
      { status: 200, body: { user: 'bob' } },
      'the token comes before the certificate',
    );
    t.match(await askWhoIAm(krake, pki, { certificate }), { status: 200, body: { user: 'alice' } });
    t.match(
      await askWhoIAm(krake, pki, { header: 'Authorization: wrong', certificate }),
      { status: 401 },
      'the certificate does not help a wrong token',
    );
    const ofKeycloak = setUpProviderUser(t, realm, { env: asPasswordUser(ALICE) });
    const header = (await ofKeycloak.run('token', '--raw-authorization')).stdout;
    t.match(
      await askWhoIAm(krake, pki, { header }),
      { status: 401, body: { title: 'INVALID_KEYSTONE_TOKEN' } },
      'Keycloak is not asked',
    );
  },
);
