// Clusters whose users log in at a real Dex: the webhook's --oidc-… settings, and a service that sends kubeconfigs, as
// Kyma's.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { objectAt, textAt } from '../../src/shared/base/json.ts';
import { checkBrowserSuccess, startBrowserLogin } from '../support/browser-login-in-process.ts';
import { checkSuccess } from '../support/check-run.ts';
import { damageEnd } from '../support/damaged-token.ts';
import { ALICE, AS_CONFIDENTIAL, testWithDex, USERS_OF_CONNECTOR } from '../support/dex.ts';
import type { TestDex } from '../support/dex.ts';
import { makeEnvironment } from '../support/home.ts';
import type { EnvVars } from '../support/home.ts';
import { listenForTest } from '../support/listen-for-test.ts';
import { requireKubectl } from '../support/missing-tools.ts';
import { asPasswordUser, PUBLIC_CLIENT, setUpProviderUser } from '../support/provider-user.ts';
import { PLUGIN_PATH } from '../support/run-plugin.ts';
import { browse } from '../support/scripted-browser.ts';
import { startStandInApiServer } from '../support/stand-in-api-server.ts';
import { waitUntil } from '../support/wait-until.ts';
import { startWebhook } from '../support/webhook.ts';
import type { TestWebhook } from '../support/webhook.ts';
import { shareTestPki } from '../support/webhook-settings.ts';

const run = promisify(execFile);

const SCOPE = 'openid email groups offline_access';
const ID_TOKEN: EnvVars = { OS_OPENID_SCOPE: SCOPE, CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'id_token' };

function startDexWebhook(t: Test, { issuer, ca }: TestDex): Promise<TestWebhook> {
  return startWebhook(t, {
    args: [
      ...['--oidc-issuer-url', issuer, '--oidc-client-id', PUBLIC_CLIENT, '--oidc-ca-file', ca],
      ...['--oidc-username-claim', 'email', '--oidc-groups-claim', 'groups', '--oidc-groups-prefix', 'dex:'],
      ...['--authenticators', 'oidc'],
    ],
  });
}

testWithDex('the webhook accepts ID tokens of Dex', async (t, dex) => {
  const webhook = await startDexWebhook(t, dex);
  const alice = setUpProviderUser(t, dex, { env: { ...asPasswordUser(ALICE), ...ID_TOKEN } });
  const { token } = checkSuccess(t, await alice.run());
  t.strictSame(await webhook.reviewToken(token), {
    authenticated: true,
    user: { username: ALICE.name, uid: '', groups: [], extra: {} },
  });
  t.strictSame(await webhook.reviewToken(damageEnd(token)), { authenticated: false });
});

testWithDex(
  'the webhook accepts ID tokens of Dex with groups',
  async (t, dex) => {
    const webhook = await startDexWebhook(t, dex);
    const login = startBrowserLogin(
      setUpProviderUser(t, dex, { env: { OS_AUTH_TYPE: 'v3oidcauthcode', ...ID_TOKEN } }),
    );
    const { callback } = await browse(await login.address, ALICE, dex.ca);
    await callback?.send();
    const { token } = await checkBrowserSuccess(t, login);
    t.match(await webhook.reviewToken(token), {
      authenticated: true,
      user: { username: 'kilgore@kilgore.trout', groups: ['dex:authors'] },
    });
  },
  USERS_OF_CONNECTOR,
);

testWithDex('the webhook follows a Dex that has new keys after a restart', async (t, dex) => {
  const webhook = await startDexWebhook(t, dex);
  const alice = setUpProviderUser(t, dex, { env: { ...asPasswordUser(ALICE), ...ID_TOKEN } });
  const { token: first } = checkSuccess(t, await alice.run());
  t.match(await webhook.reviewToken(first), { authenticated: true });
  await dex.stop();
  t.match(await webhook.reviewToken(first), { authenticated: true }, 'the known keys count for an hour');
  await dex.start();
  // The refresh token is one that Dex has forgotten.
  const { token: second } = checkSuccess(t, await alice.run('--force-refresh'));
  await webhook.clock.advance(11_000);
  await waitUntil('the new key', async () => (await webhook.reviewToken(second))['authenticated'] === true);
  t.not((await webhook.reviewToken(first))['authenticated'], true, 'the old key is not published any more');
});

/** Starts a service that sends a kubeconfig to everyone whom the webhook accepts, as Kyma's IAM Kubeconfig Service does. */
async function startKubeconfigService(t: Test, webhook: TestWebhook, server: string): Promise<string> {
  const pki = await shareTestPki();
  const cluster = { 'certificate-authority-data': readFileSync(pki.ca, 'base64'), server };
  const tls = { cert: readFileSync(pki.server.cert), key: readFileSync(pki.server.key) };
  const service = createServer(tls, (request, response) => {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    const kubeconfig = {
      ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'kyma' },
      clusters: [{ name: 'kyma', cluster }],
      contexts: [{ name: 'kyma', context: { cluster: 'kyma', user: 'OIDCUser' } }],
      users: [{ name: 'OIDCUser', user: { token } }],
    };
    void webhook.reviewToken(token).then(({ authenticated }) => {
      if (authenticated === true) response.end(JSON.stringify(kubeconfig));
      else response.writeHead(401).end();
    });
  });
  return `https://127.0.0.1:${await listenForTest(t, service)}/kube-config`;
}

const kubectl = await requireKubectl('new');

testWithDex('a service as in Kyma gives a kubeconfig for an ID token of Dex', async (t, dex) => {
  if ('missing' in kubectl) {
    t.plan(0, kubectl.missing);
    return;
  }
  const webhook = await startDexWebhook(t, dex);
  const readUser = async (token: string): Promise<string | undefined> =>
    textAt(objectAt(await webhook.reviewToken(token), 'user'), 'username');
  const api = await startStandInApiServer({ ...(await shareTestPki()).server, authenticate: readUser });
  t.teardown(() => api.close());
  const url = await startKubeconfigService(t, webhook, api.url);
  const alice = setUpProviderUser(t, dex, { env: { ...asPasswordUser(ALICE), ...ID_TOKEN } });
  const file = join(alice.home.path, 'kubeconfig');
  const fetch = ['kubeconfig', 'fetch', url, '--kubeconfig', file, '--command', PLUGIN_PATH];
  const refused = await alice.with({ ...AS_CONFIDENTIAL, OS_OPENID_SCOPE: 'openid' }).run(...fetch);
  t.match(refused, { status: 5, stdout: '', stderr: /answered 401 instead of a kubeconfig/ }, 'for another client');

  const fetched = await alice.run(...fetch);
  t.equal(fetched.status, 0, fetched.stderr);
  const { token } = checkSuccess(t, await alice.run());
  t.notOk(readFileSync(file, 'utf8').includes(token), 'the token that the service sends is not written');
  const env = makeEnvironment(alice.home, { PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}` });
  const { stdout } = await run(kubectl.path, ['--kubeconfig', file, 'auth', 'whoami'], { env });
  t.match(stdout, ALICE.name);
  t.equal(api.requests.at(-1)?.tokenSha256, createHash('sha256').update(token).digest('hex'), 'with the cached token');
});
