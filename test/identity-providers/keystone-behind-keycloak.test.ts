// The whole chain of a cloud whose users log in at Keycloak: a real kubectl, the built plugin, a real Keycloak, a real
// Keystone behind Apache, and the webhook, which says who is at the API server.

import { dirname } from 'node:path';
import type { Test } from 'tap';
import { startKeycloakFederation } from '../../scripts/federation/keycloak-federation.ts';
import { objectAt, textAt } from '../../src/shared/base/json.ts';
import { startBrowserLogin } from '../support/browser-login-in-process.ts';
import { checkFailure, EXIT_STATUS } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import type { EnvVars } from '../support/home.ts';
import { ALICE, ROBOT, testWithKeycloak } from '../support/keycloak.ts';
import type { Realm } from '../support/keycloak.ts';
import { GET_PODS_ARGS, POD_LINE, setUpKubectl } from '../support/kubectl-fixture.ts';
import type { KubectlFixture } from '../support/kubectl-fixture.ts';
import { requireKubectl, skipBecause } from '../support/missing-tools.ts';
import { asPasswordUser, PUBLIC_CLIENT } from '../support/provider-user.ts';
import { runBundles } from '../support/run-bundles.ts';
import { PLUGIN_PATH } from '../support/run-plugin.ts';
import { browse } from '../support/scripted-browser.ts';
import { findTestEnvironment } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';
import { startWebhook } from '../support/webhook.ts';
import { makeTestFolder } from '../support/webhook-settings.ts';

const APACHE = { id: 'apache', secret: 'secret-of-the-client-apache' };

const kubectl = await requireKubectl('new');
const environment = findTestEnvironment();

interface Chain {
  /** Makes someone with a new home, whose settings are also those of their kubectl. */
  makeUser(env: EnvVars): Promise<{ readonly user: Fixture; readonly kubectl: KubectlFixture; readonly env: EnvVars }>;
}

async function setUpChain(
  t: Test,
  realm: Realm,
  { http, pki, tenancy }: TestEnvironment,
  program: string,
): Promise<Chain | { missing: string }> {
  await realm.admin('/clients', {
    json: { clientId: APACHE.id, secret: APACHE.secret, publicClient: false, standardFlowEnabled: false },
  });
  const federation = await startKeycloakFederation({
    ...{ dir: makeTestFolder(t), dataDir: dirname(http.accessLog), home: http, pki, tenancy },
    ...{ issuer: realm.issuer, client: APACHE, admitted: ['^alice$', `^service-account-${ROBOT.id}$`] },
  });
  if ('missing' in federation) return federation;
  t.teardown(() => federation.stop());
  const webhook = await startWebhook(t, { keystone: http, pki });
  const authenticate = async (token: string): Promise<string | undefined> =>
    textAt(objectAt(await webhook.reviewToken(token), 'user'), 'username');
  return {
    async makeUser(env) {
      const fixture = await setUpKubectl(t, { http, pki, tenancy }, { program, authenticate });
      await fixture.writeKubeconfig({ command: PLUGIN_PATH });
      const settings = {
        ...{ OS_AUTH_URL: `${federation.keystone.url}/v3`, OS_CACERT: pki.ca },
        ...{ OS_IDENTITY_PROVIDER: federation.provider, OS_PROTOCOL: federation.protocol },
        ...{ OS_PROJECT_ID: tenancy.projects.demo.id, OS_CLIENT_ID: PUBLIC_CLIENT },
        OS_DISCOVERY_ENDPOINT: `${realm.issuer}/.well-known/openid-configuration`,
        ...env,
      };
      const user = setUp(t, { home: fixture.home, settings, runner: runBundles });
      return { user, kubectl: fixture, env: settings };
    },
  };
}

testWithKeycloak('a cluster of a cloud whose users log in at Keycloak', async (t, realm) => {
  if ('missing' in environment) {
    t.plan(0, 'there is no Keystone');
    return;
  }
  if ('missing' in kubectl) {
    t.plan(0, kubectl.missing);
    return;
  }
  const chain = await setUpChain(t, realm, environment, kubectl.path);
  if ('missing' in chain) {
    t.plan(0, skipBecause(chain.missing));
    return;
  }
  const { access_token: accessToken } = await realm.requestTokens({
    ...{ grant_type: 'password', client_id: PUBLIC_CLIENT, scope: 'openid' },
    ...{ username: ALICE.name, password: ALICE.password },
  });

  const logins: Readonly<Record<string, { readonly env: EnvVars; readonly name?: string }>> = {
    v3oidcpassword: { env: asPasswordUser(ALICE) },
    v3oidcclientcredentials: {
      env: { OS_CLIENT_ID: ROBOT.id, OS_CLIENT_SECRET: ROBOT.secret },
      name: `service-account-${ROBOT.id}`,
    },
    v3oidcaccesstoken: { env: { OS_ACCESS_TOKEN: String(accessToken) } },
  };
  for (const [method, { env, name = ALICE.name }] of Object.entries(logins))
    await t.test(method, async (t) => {
      const { kubectl, env: settings } = await chain.makeUser({ OS_AUTH_TYPE: method, ...env });
      t.match(await kubectl.kubectl(GET_PODS_ARGS, { env: settings }), { status: 0, stdout: POD_LINE, stderr: '' });
      t.equal(kubectl.api.requests.at(-1)?.user, name);
    });

  const browserLogins: Readonly<Record<string, EnvVars>> = {
    v3oidcauthcode: {},
    v3oidcdeviceauthz: { OS_CODE_CHALLENGE_METHOD: 'S256' },
  };
  for (const [method, env] of Object.entries(browserLogins))
    await t.test(method, async (t) => {
      const { user, kubectl, env: settings } = await chain.makeUser({ OS_AUTH_TYPE: method, ...env });
      const login = startBrowserLogin(user);
      const { callback } = await browse(await login.address, ALICE, realm.ca);
      await callback?.send();
      const { status, stderr } = await login.ended;
      t.equal(status, 0, stderr);
      t.match(stderr, 'Keystone knows you as alice');
      t.match(await kubectl.kubectl(GET_PODS_ARGS, { env: settings }), { status: 0, stdout: POD_LINE, stderr: '' });
      t.equal(kubectl.api.requests.at(-1)?.user, ALICE.name);
    });

  await t.test('the mapping of Keystone does not admit the user', async (t) => {
    await realm.admin('/users', {
      json: {
        ...{ username: 'stranger', enabled: true, email: 's@elsewhere.example', firstName: 's', lastName: 's' },
        credentials: [{ type: 'password', value: 'stranger-password' }],
      },
    });
    const { user } = await chain.makeUser(asPasswordUser({ name: 'stranger', password: 'stranger-password' }));
    checkFailure(t, await user.run(), EXIT_STATUS.refused, {
      says: [/Keystone refused the provider's token for stranger of .*: its mapping does not match the user/],
    });
  });

  await t.test('Apache asks Keycloak, which has ended the session of the token', async (t) => {
    await realm.logOut(ALICE.name);
    const { user } = await chain.makeUser({ OS_AUTH_TYPE: 'v3oidcaccesstoken', OS_ACCESS_TOKEN: String(accessToken) });
    checkFailure(t, await user.run(), EXIT_STATUS.refused, { says: ["Keystone refused the provider's token"] });
  });
});
