// A kube-apiserver that reads the configuration files of the documents instead of flags.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { chooseClusterPlace, startCluster, testOnEachKubernetes } from '../support/cluster.ts';
import { copyExample, copyWebhookKubeconfig, indentPem, readFlags } from '../support/configuration-examples.ts';
import { makeIssuerKey, signJwt, startStandInIssuer } from '../support/stand-in-issuer.ts';
import { logIn } from '../support/tenancy.ts';
import { waitUntil } from '../support/wait-until.ts';
import { startWebhookProcess } from '../support/webhook-process.ts';

/** The oldest version that has both files in the form of the examples. */
const OLDEST = 34;

const WEB = '/api/v1/namespaces/web';
const RBAC = '/apis/rbac.authorization.k8s.io/v1';

const POLICY = JSON.stringify([
  {
    users: { projects: ['demo'], roles: ['member'] },
    resource_permissions: { 'web/*': ['get', 'list'] },
  },
]);

/** Sends a request without a token. */
function readAnonymously(url: string, ca: string): Promise<number> {
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
    const { pki, tenancy, http } = environment;
    const { alice } = tenancy.users;
    const place = await chooseClusterPlace(t, environment);
    const key = makeIssuerKey('first');
    const issuer = await startStandInIssuer(t, pki, [key]);
    const policyFile = join(place.folder, 'policy.json');
    writeFileSync(policyFile, POLICY);
    const webhook = await startWebhookProcess(t, {
      keystone: http,
      pki,
      args: ['--keystone-policy-file', policyFile, '--cache-ttl', '2', '--keystone-timeout', '4'],
    });
    copyWebhookKubeconfig(place.folder, { port: webhook.port, ca: pki.ca });
    copyExample(place.folder, 'authentication-configuration.yaml', {
      'https://issuer.example.com': issuer.url,
      ISSUER_CA_CERTIFICATE: indentPem(pki.ca, 8),
    });
    const authorization = copyExample(place.folder, 'authorization-configuration.yaml', {
      '/etc/kubernetes/keystone': place.folder,
    });
    const cluster = await startCluster(t, environment, programs, {
      place,
      webhookPort: webhook.port,
      cacheSeconds: 2,
      flags: {
        'authorization-mode': undefined,
        'authorization-webhook-config-file': undefined,
        'authorization-webhook-version': undefined,
        'authorization-webhook-cache-authorized-ttl': undefined,
        'authorization-webhook-cache-unauthorized-ttl': undefined,
        ...readFlags('structured-flags.conf', place.folder),
        'authentication-token-webhook-cache-ttl': '1s',
      },
    });
    for (const name of ['web', 'db']) await cluster.create('/api/v1/namespaces', { metadata: { name } });
    const token = await logIn(http, alice, { project: { id: tenancy.projects.demo.id } });
    const get = async (path: string, bearer = token): Promise<{ status: number; message: string }> => {
      const { status, body } = await cluster.request(path, { token: bearer });
      return { status, message: String((body as { message?: string }).message) };
    };
    const countReviews = async (): Promise<number> => {
      const { body } = await webhook.sendRequest({ path: '/metrics' });
      return [...String(body).matchAll(/^keystone_auth_access_reviews_total\{[^}]*\} (\d+)$/gm)]
        .map(([, count]) => Number(count))
        .reduce((sum, count) => sum + count, 0);
    };

    await t.test('kubectl logs in with the plugin, and the policy decides', async (t) => {
      await waitUntil('alice can get pods', () => cluster.canGetPods('web'));
      t.match(await cluster.kubectlAuthenticated('get', 'pods', '-n', 'db'), {
        status: 1,
        stderr: /User "alice" cannot list resource "pods".*no entry of the Keystone policy allows it/s,
      });
      t.match(await cluster.kubectlAuthenticated('auth', 'whoami'), { status: 0, stdout: /Username +alice/ });
    });

    await t.test('the API server itself accepts tokens of the issuer', async (t) => {
      const claims = { iss: issuer.url, sub: 'u-1', aud: 'kubernetes', exp: Math.floor(Date.now() / 1000) + 3_600 };
      const jwt = signJwt({ ...claims, groups: ['devs'] }, key);
      const before = await countReviews();
      const refused = await waitUntil('the keys of the issuer are read', async () => {
        const answer = await get(`${WEB}/pods`, jwt);
        return answer.status !== 401 && answer;
      });
      t.match(refused, { status: 403, message: /User "oidc:u-1" cannot list resource "pods"/ });
      await cluster.create(`${RBAC}/namespaces/web/rolebindings`, {
        metadata: { name: 'devs' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'oidc:devs' }],
      });
      await waitUntil('RBAC applies to them', async () => (await get(`${WEB}/pods`, jwt)).status === 200);
      t.equal(await countReviews(), before, 'the webhook is not asked about them: the first condition is false');
      const forged = signJwt(claims, { ...makeIssuerKey('forged'), kid: key.kid });
      t.equal((await get(`${WEB}/pods`, forged)).status, 401);
    });

    await t.test('without a token, only the paths of health can be read', async (t) => {
      for (const path of ['/livez', '/readyz', '/healthz'])
        t.equal(await readAnonymously(cluster.url + path, pki.ca), 200, path);
      for (const path of ['/version', '/api', `${WEB}/pods`])
        t.equal(await readAnonymously(cluster.url + path, pki.ca), 401, path);
    });

    await t.test('a condition keeps requests from the webhook', async (t) => {
      t.equal((await get(`${WEB}/configmaps`)).status, 200);
      const before = await countReviews();
      const secrets = await get(`${WEB}/secrets`);
      t.equal(secrets.status, 403);
      t.notMatch(secrets.message, 'Keystone policy', 'the policy would allow it');
      t.equal(await countReviews(), before);
    });

    await t.test('the API server remembers answers for as long as the file says', async (t) => {
      const before = await countReviews();
      const path = `${WEB}/services`;
      t.equal((await get(path)).status, 200);
      const first = await countReviews();
      t.equal(first, before + 1);
      for (let each = 0; each < 5; each += 1) t.equal((await get(path)).status, 200);
      // The answer is good for 30 seconds.
      t.ok((await countReviews()) <= first + 1);
    });

    await t.test('without the webhook, failurePolicy decides', async (t) => {
      await cluster.create(`${RBAC}/namespaces/db/rolebindings`, {
        metadata: { name: 'project' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: tenancy.projects.demo.id }],
      });
      await waitUntil(
        'RBAC applies to the group of the project',
        async () => (await get('/api/v1/namespaces/db/pods')).status === 200,
      );
      // Alice stays authenticated without the webhook, as in an outage of the policy alone.
      const asAlice = async (path: string): Promise<{ status: number; message: string }> => {
        const review = {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SubjectAccessReview',
          spec: {
            user: 'alice',
            groups: [tenancy.projects.demo.id],
            extra: { 'alpha.kubernetes.io/identity/user/domain/id': [tenancy.domain.id] },
            resourceAttributes: { verb: 'list', resource: 'pods', namespace: path },
          },
        };
        const { body } = await cluster.request('/apis/authorization.k8s.io/v1/subjectaccessreviews', {
          method: 'POST',
          body: review,
        });
        const { status } = body as { status: { allowed: boolean; denied?: boolean; reason?: string } };
        return { status: status.allowed ? 200 : 403, message: JSON.stringify(status) };
      };
      await webhook.stop();
      t.match(await asAlice('db'), { status: 200 }, 'RBAC needs no webhook');
      t.match(await asAlice('kube-public'), { status: 403 });

      // The webhook first, and a failure is a denial.
      const text = readFileSync(authorization, 'utf8').replace('failurePolicy: NoOpinion', 'failurePolicy: Deny');
      const [, node = '', keystone = ''] = /authorizers:\n([\s\S]*?)( {2}# After RBAC[\s\S]*)/.exec(text) ?? [];
      writeFileSync(`${authorization}.new`, text.replace(node + keystone, keystone.trimEnd() + '\n' + node));
      renameSync(`${authorization}.new`, authorization);
      await waitUntil('the API server has read the file again', async () => (await asAlice('db')).status === 403);
      t.equal((await cluster.request(`${WEB}/pods`)).status, 200, 'no condition applies to the administrator');
    });
  },
  { oldest: OLDEST },
);
