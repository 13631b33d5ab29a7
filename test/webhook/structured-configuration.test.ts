// A kube-apiserver that reads the configuration files of the documents instead of flags.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { allowReading, chooseClusterPlace, startCluster, testOnEachKubernetes } from '../support/cluster.ts';
import {
  copyExample,
  copyWebhookKubeconfig,
  indentPem,
  readFlags,
  SITE_FOLDER,
} from '../support/configuration-examples.ts';
import { makeIssuerKey, signJwt, startStandInIssuer } from '../support/stand-in-issuer.ts';
import { waitUntil } from '../support/wait-until.ts';
import { startWebhookProcess } from '../support/webhook-process.ts';
import { PATIENT_REVIEWS } from '../support/webhook-settings.ts';

/** The oldest minor version that has both files in the form of the examples. */
const OLDEST = 34;

/** The configuration files replace these flags. */
const REPLACED_FLAGS = {
  'authorization-mode': undefined,
  'authorization-webhook-config-file': undefined,
  'authorization-webhook-version': undefined,
  'authorization-webhook-cache-authorized-ttl': undefined,
  'authorization-webhook-cache-unauthorized-ttl': undefined,
};

const WEB = '/api/v1/namespaces/web';

const POLICY = JSON.stringify([
  {
    users: { projects: ['demo'], roles: ['member'] },
    resource_permissions: { 'web/*': ['get', 'list'], '*/users': ['impersonate'] },
  },
]);

interface Answer {
  readonly status: number;
  readonly body: string;
}

interface Authorizer {
  readonly name: string;
  readonly webhook?: object;
}

interface AuthorizationConfiguration {
  readonly authorizers: readonly Authorizer[];
}

/** Sends a request without a token. */
function getAnonymously(url: string, ca: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request(url, { ca: readFileSync(ca), agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .once('error', reject)
      .end();
  });
}

await testOnEachKubernetes(
  'the configuration files of the documents connect it to Keystone and to an issuer',
  async (t, environment, programs) => {
    const { pki, http } = environment;
    const place = await chooseClusterPlace(t, environment);
    const key = makeIssuerKey('first');
    const issuer = await startStandInIssuer(t, pki, [key]);
    const policyFile = join(place.folder, 'policy.json');
    writeFileSync(policyFile, POLICY);
    const webhook = await startWebhookProcess(t, {
      keystone: http,
      pki,
      args: ['--keystone-policy-file', policyFile, '--cache-ttl', '2', ...PATIENT_REVIEWS],
    });
    copyWebhookKubeconfig(place.folder, { port: webhook.port, ca: pki.ca });
    copyExample(place.folder, 'authentication-configuration.yaml', {
      'https://issuer.example.com': issuer.url,
      ISSUER_CA_CERTIFICATE: indentPem(pki.ca, 8),
    });
    const authorizationFile = copyExample(place.folder, 'authorization-configuration.yaml', {
      [SITE_FOLDER]: place.folder,
    });
    const cluster = await startCluster(t, environment, programs, {
      place,
      webhookPort: webhook.port,
      cacheSeconds: 2,
      flags: { ...REPLACED_FLAGS, ...readFlags('structured-flags.conf', place.folder) },
    });
    for (const name of ['web', 'db']) await cluster.create('/api/v1/namespaces', { metadata: { name } });

    /** Reads a sum of counters of the webhook. */
    const count = async (metric: string): Promise<number> => {
      const { body } = await webhook.sendRequest({ path: '/metrics' });
      return [...String(body).matchAll(new RegExp(`^keystone_auth_${metric}\\{[^}]*\\} (\\d+)$`, 'gm'))]
        .map(([, value]) => Number(value))
        .reduce((sum, value) => sum + value, 0);
    };
    const countAccessReviews = (): Promise<number> => count('access_reviews_total');
    const get = async (path: string, token: string): Promise<Answer> => {
      const { status, body } = await cluster.request(path, { token });
      return { status, body: JSON.stringify(body) };
    };

    await waitUntil('alice can get pods', () => cluster.canGetPods('web'));
    const whoami = await cluster.kubectlAuthenticated('auth', 'whoami', '-o', 'json');
    t.equal(whoami.status, 0, whoami.stderr);
    const alice = (JSON.parse(whoami.stdout) as { status: { userInfo: { username: string } } }).status.userInfo;
    /** Asks the authorizers of the API server about alice, or about somebody else. */
    const mayList = async (namespace: string, resource = 'pods', user: object = alice): Promise<object> => {
      const { username, ...others } = user as { username: string };
      const spec = { user: username, ...others, resourceAttributes: { verb: 'list', resource, namespace } };
      const { body } = await cluster.request('/apis/authorization.k8s.io/v1/subjectaccessreviews', {
        method: 'POST',
        body: { kind: 'SubjectAccessReview', apiVersion: 'authorization.k8s.io/v1', spec },
      });
      return (body as { status: object }).status;
    };

    await t.test('kubectl logs in with the plugin, and the policy decides', async (t) => {
      t.match(alice, { username: 'alice' });
      t.match(await cluster.kubectlAuthenticated('get', 'pods', '-n', 'db'), {
        status: 1,
        stderr: /User "alice" cannot list resource "pods".*no entry of the Keystone policy allows it/s,
      });
    });

    await t.test('the policy decides about impersonation, and RBAC about the impersonated user', async (t) => {
      await allowReading(cluster, 'db', { kind: 'User', name: 'bob' });
      await waitUntil('RBAC applies to bob', async () => {
        const { status } = await cluster.kubectlAuthenticated('get', 'pods', '-n', 'db', '--as', 'bob');
        return status === 0;
      });
      const asCarol = await cluster.kubectlAuthenticated('get', 'pods', '-n', 'web', '--as', 'carol');
      t.match(asCarol, { status: 1, stderr: /User "carol" cannot list resource "pods"/ });
      t.notMatch(asCarol.stderr, 'Keystone policy', 'the webhook is not asked: she is no user of Keystone');
      t.match(await cluster.kubectlAuthenticated('get', 'pods', '-n', 'db', '--as', 'bob', '--as-group', 'devs'), {
        status: 1,
        stderr: /User "alice" cannot impersonate resource "groups"/,
      });
    });

    await t.test('the API server itself accepts tokens of the issuer', async (t) => {
      const claims = { iss: issuer.url, aud: 'kubernetes', exp: Math.floor(Date.now() / 1000) + 3_600 };
      const sign = (sub: string, others: object = {}): string => signJwt({ ...claims, sub, ...others }, key);
      const dev = sign('u-1', { groups: ['devs'] });
      const accessReviews = await countAccessReviews();
      const refused = await waitUntil('the keys of the issuer are read', async () => {
        const answer = await get(`${WEB}/pods`, dev);
        return answer.status !== 401 && answer;
      });
      t.match(refused, { status: 403, body: /User \\"oidc:u-1\\" cannot list resource/ });
      const tokenReviews = await count('token_reviews_total');
      await allowReading(cluster, 'web', { kind: 'Group', name: 'oidc:devs' });
      const other = sign('u-2', { groups: ['devs'] });
      await waitUntil('RBAC applies to them', async () => (await get(`${WEB}/pods`, other)).status === 200);
      t.equal((await get(`${WEB}/pods`, sign('u-3'))).status, 403, 'without the group');
      t.equal(await countAccessReviews(), accessReviews, 'the first condition is false');
      t.equal(await count('token_reviews_total'), tokenReviews, 'the API server asks only about other tokens');
      for (const [what, jwt] of [
        ['another key', signJwt({ ...claims, sub: 'u-1' }, { ...makeIssuerKey('forged'), kid: key.kid })],
        ['another audience', sign('u-1', { aud: 'another' })],
        ['another issuer', sign('u-1', { iss: 'https://issuer.example.com' })],
        ['the past', sign('u-1', { exp: claims.exp - 7_200 })],
      ] as const)
        t.equal((await get(`${WEB}/pods`, jwt)).status, 401, what);
    });

    await t.test('without a token, only the paths of health can be read', async (t) => {
      for (const path of ['/livez', '/readyz', '/healthz'])
        t.equal(await getAnonymously(cluster.url + path, pki.ca), 200, path);
      for (const path of ['/version', '/metrics', '/api', '/openid/v1/jwks', `${WEB}/pods`])
        t.equal(await getAnonymously(cluster.url + path, pki.ca), 401, path);
    });

    await t.test('a condition keeps requests from the webhook', async (t) => {
      t.match(await mayList('web', 'configmaps'), { allowed: true, reason: /Keystone policy/ });
      const before = await countAccessReviews();
      const secrets = await mayList('web', 'secrets');
      t.match(secrets, { allowed: false });
      t.notMatch(JSON.stringify(secrets), 'Keystone policy', 'which allows it');
      t.equal(await countAccessReviews(), before);
    });

    await t.test('the API server remembers answers', async (t) => {
      for (const [namespace, allowed] of [
        ['web', true],
        ['db', false],
      ] as const) {
        const before = await countAccessReviews();
        for (let each = 0; each < 5; each += 1)
          t.match(await mayList(namespace, 'services'), { allowed, reason: /Keystone policy/ });
        // A busy machine may need longer than the times in the file.
        t.ok((await countAccessReviews()) < before + 5, namespace);
      }
    });

    await t.test('without the webhook, failurePolicy decides', async (t) => {
      await allowReading(cluster, 'db', { kind: 'User', name: 'alice' });
      await waitUntil('RBAC applies to alice', async () => JSON.stringify(await mayList('db')).includes('RBAC'));
      await webhook.stop();
      t.match(await mayList('db'), { allowed: true, reason: /RBAC/ }, 'RBAC is first');
      t.match(await mayList('kube-public'), { allowed: false });

      const readCounter = async (): Promise<number> => {
        const { body } = await cluster.request('/metrics');
        const found =
          /^apiserver_authorization_config_controller_automatic_reloads_total\{[^}]*status="success"\} (\d+)$/m.exec(
            String(body),
          );
        return Number(found?.[1] ?? 0);
      };
      const example = load(readFileSync(authorizationFile, 'utf8')) as AuthorizationConfiguration;
      /** Gives the API server a file in which the webhook is the first authorizer. */
      const asFirst = async (failurePolicy: 'Deny' | 'NoOpinion'): Promise<void> => {
        const before = await readCounter();
        const authorizers = example.authorizers
          .toSorted((a, b) => Number(b.webhook !== undefined) - Number(a.webhook !== undefined))
          .map(({ webhook, ...others }) =>
            webhook === undefined ? others : { ...others, webhook: { ...webhook, failurePolicy } },
          );
        writeFileSync(`${authorizationFile}.new`, JSON.stringify({ ...example, authorizers }));
        renameSync(`${authorizationFile}.new`, authorizationFile);
        await waitUntil('the API server has read the file', async () => (await readCounter()) > before);
      };
      await asFirst('NoOpinion');
      t.match(await mayList('db'), { allowed: true, reason: /RBAC/ }, 'RBAC is asked next');
      await asFirst('Deny');
      t.match(await mayList('db'), { allowed: false, denied: true }, 'RBAC is not asked');
      t.match(await mayList('db', 'pods', { username: 'bob' }), { allowed: true }, 'no condition applies to him');
      t.match(await cluster.request(`${WEB}/pods`), { status: 200 }, 'nor to the administrator');
    });
  },
  { oldest: OLDEST },
);
