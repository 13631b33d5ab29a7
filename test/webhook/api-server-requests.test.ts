// Requests of a kind that an API server treats in its own way, through the whole chain, with the flags of the documents
// and two replicas of the webhook.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import {
  allowReading,
  chooseClusterPlace,
  makeConfigMap,
  startCluster,
  testOnEachKubernetes,
} from '../support/cluster.ts';
import type { Cluster } from '../support/cluster.ts';
import { copyWebhookKubeconfig, readFlags } from '../support/configuration-examples.ts';
import { startLoadBalancer } from '../support/load-balancer.ts';
import { runPlugin } from '../support/run-plugin.ts';
import { addPod, KUBELET_MESSAGE, startStandInKubelet } from '../support/stand-in-kubelet.ts';
import { createApplicationCredential, logIn, revokeToken, validateToken } from '../support/tenancy.ts';
import type { TestEnvironment } from '../support/test-environment.ts';
import { waitUntil } from '../support/wait-until.ts';
import { startWatch } from '../support/watch.ts';
import type { WebhookClient } from '../support/webhook-client.ts';
import { startWebhookProcess } from '../support/webhook-process.ts';
import type { WebhookProcess } from '../support/webhook-process.ts';
import { PATIENT_REVIEWS } from '../support/webhook-settings.ts';

const WEB = '/api/v1/namespaces/web';
const CLIENTS = 8;

/** The pause of each client between two requests, which leaves the processors to the replica that starts. */
const PAUSE_MS = 100;

const POLICY = JSON.stringify([
  {
    users: { projects: ['demo'], roles: ['member'] },
    resource_permissions: {
      "web/['pods', 'configmaps']": ['get', 'list', 'watch'],
      "web/['pods/exec', 'pods/portforward']": ['get', 'create'],
      'db/pods': ['get'],
      '*/users': ['impersonate'],
    },
  },
]);

/** Logs in alice with a credential, and thus a token, that ends after this time. */
async function logInShortly({ http, tenancy }: TestEnvironment, lifeMs: number): Promise<string> {
  const { alice } = tenancy.users;
  const { id, secret } = await createApplicationCredential(http, {
    token: await logIn(http, alice, { project: { id: tenancy.projects.demo.id } }),
    userId: alice.id,
    name: `for a watch ${randomUUID()}`,
    roles: [{ name: 'member' }],
    lifeMs,
  });
  const body = {
    auth: { identity: { methods: ['application_credential'], application_credential: { id, secret } } },
  };
  const answer = await fetch(`${http.url}/v3/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const token = answer.headers.get('x-subject-token');
  if (token === null) throw new Error(`Keystone answered ${answer.status}: ${await answer.text()}`);
  return token;
}

/**
 * Logs in alice with a token that ends soon, and starts a watch with it. A token that ends too soon on a busy machine is
 * replaced by one with twice the time.
 */
async function watchWithShortToken(
  t: Test,
  environment: TestEnvironment,
  { url }: Cluster,
): Promise<{ readonly token: string; readonly watch: Awaited<ReturnType<typeof startWatch>> }> {
  const { http, pki } = environment;
  for (let lifeMs = 8_000; lifeMs < 300_000; lifeMs *= 2) {
    const startedAt = Date.now();
    try {
      const token = await logInShortly(environment, lifeMs);
      // On a busy machine, Keystone may be too slow for the webhook.
      do {
        const watch = await startWatch(t, { url, pki, token, path: `${WEB}/configmaps` });
        if (watch.status === 200) return { token, watch };
      } while ((await validateToken(http, token)) !== undefined);
    } catch (error) {
      // Keystone counts whole seconds. A credential that has ended already is refused.
      if (Date.now() < startedAt + lifeMs - 1_000) throw error;
    }
  }
  throw new Error('no token lives long enough for a watch');
}

/** Counts the policies that a replica has applied. */
async function countReloads(replica: WebhookClient): Promise<number> {
  const { body } = await replica.sendRequest({ path: '/metrics' });
  return Number(/^keystone_auth_reloads_total\{what="policy",result="ok"\} (\d+)$/m.exec(String(body))?.[1] ?? 0);
}

await testOnEachKubernetes(
  'users are named, impersonate, run programs, watch and lose their tokens',
  async (t, environment, programs) => {
    const { pki, tenancy, http } = environment;
    const { alice } = tenancy.users;
    const place = await chooseClusterPlace(t, environment);
    const replicaSettings = {
      keystone: http,
      pki,
      // In the grace time, the load balancer must notice that a replica is about to stop.
      args: ['--kubeconfig', place.kubeconfig, '--cache-ttl', '2', '--shutdown-grace', '10', ...PATIENT_REVIEWS],
      env: { KEYSTONE_POLICY_CONFIGMAP_NAME: 'keystone-policy' },
    };
    const startReplica = (port: number): Promise<WebhookProcess> =>
      startWebhookProcess(t, {
        ...replicaSettings,
        args: [...replicaSettings.args, '--listen', `127.0.0.1:${port}`],
      });
    const replicas = [await startReplica(await findFreePort()), await startReplica(await findFreePort())];
    const balancer = await startLoadBalancer(
      t,
      replicas.map(({ port }) => port),
    );
    copyWebhookKubeconfig(place.folder, { port: balancer.port, ca: pki.ca });
    const cluster = await startCluster(t, environment, programs, {
      place,
      webhookPort: balancer.port,
      cacheSeconds: 2,
      flags: {
        ...readFlags('flags.conf', place.folder),
        // Shorter than in the documents, so that the tests do not wait, and every request is a question.
        'authentication-token-webhook-cache-ttl': '1s',
        'authorization-webhook-cache-authorized-ttl': '0s',
        'authorization-webhook-cache-unauthorized-ttl': '0s',
      },
    });
    for (const name of ['web', 'db', 'ops']) await cluster.create('/api/v1/namespaces', { metadata: { name } });
    await waitUntil(
      'kube-system exists',
      async () => (await cluster.request('/api/v1/namespaces/kube-system')).status === 200,
    );
    const policies = makeConfigMap('keystone-policy', { policies: POLICY });
    await cluster.create('/api/v1/namespaces/kube-system/configmaps', policies);
    const kubelet = await startStandInKubelet(t, pki);
    await addPod(cluster, kubelet, { namespace: 'web', name: 'web-0' });
    await allowReading(cluster, 'ops', { kind: 'User', name: 'bob' });
    for (const { port } of replicas) await waitUntil('each replica is ready', () => balancer.isReady(port));
    for (const replica of replicas)
      await waitUntil('each replica has the policy', async () => (await countReloads(replica)) > 0);
    await waitUntil('the policy applies', () => cluster.canGetPods('web'));

    await t.test('kubectl auth whoami names the user', async (t) => {
      const whoami = await cluster.kubectlAuthenticated('auth', 'whoami', '-o', 'json');
      if (programs.minor < 26) {
        t.match(whoami, { status: 1, stderr: /API is not enabled|could not find the requested resource/ });
        return;
      }
      t.equal(whoami.status, 0, whoami.stderr);
      const extra = 'alpha.kubernetes.io/identity';
      t.match(JSON.parse(whoami.stdout), {
        status: {
          userInfo: {
            username: 'alice',
            uid: alice.id,
            groups: [tenancy.projects.demo.id, 'system:authenticated'],
            extra: { [`${extra}/project/name`]: ['demo'] },
          },
        },
      });
    });

    await t.test('the policy decides who impersonates whom', async (t) => {
      t.match(await cluster.kubectlAuthenticated('get', 'pods', '-n', 'ops'), { status: 1, stderr: 'User "alice"' });
      const asBob = await cluster.kubectlAuthenticated('get', 'pods', '-n', 'ops', '--as', 'bob');
      t.equal(asBob.status, 0, asBob.stderr);
      // The policy is for users of Keystone: an impersonated name has no project and no roles.
      t.match(await cluster.kubectlAuthenticated('get', 'pods', '-n', 'web', '--as', 'carol'), {
        status: 1,
        stderr: /User "carol" cannot list resource "pods"/,
      });
      t.match(
        await cluster.kubectlAuthenticated('get', 'pods', '-n', 'web', '--as', 'bob', '--as-group', 'system:masters'),
        { status: 1, stderr: /User "alice" cannot impersonate resource "groups"/ },
      );
    });

    await t.test('exec and port-forward reach the kubelet only if the policy allows them', async (t) => {
      const exec = () => cluster.kubectlAuthenticated('exec', '-n', 'web', 'web-0', '--', 'id');
      const forward = () => cluster.kubectlAuthenticated('port-forward', '-n', 'web', 'web-0', ':80');
      t.match(await exec(), { status: 0, stdout: `${KUBELET_MESSAGE}\n` });
      const forwarded = { stdout: /^Forwarding from 127\.0\.0\.1:\d+ -> 80$/m, stderr: 'lost connection to pod' };
      t.match(await forward(), forwarded);
      const paths = ['/exec/web/web-0/web', '/portForward/web/web-0'];
      for (const path of paths) t.ok(kubelet.requests.includes(`GET ${path}`), kubelet.requests.join());

      // SPDY begins with another method, and another verb. The stand-in does not speak it.
      kubelet.acceptsWebSockets = false;
      t.match(await exec(), { status: 1, stderr: KUBELET_MESSAGE });
      t.match(await forward(), { status: 1, stderr: KUBELET_MESSAGE });
      for (const path of paths) t.ok(kubelet.requests.includes(`POST ${path}`), kubelet.requests.join());

      const before = kubelet.requests.length;
      const reloads = await Promise.all(replicas.map(countReloads));
      const policy = POLICY.replace("web/['pods/exec', 'pods/portforward']", 'db/services');
      await cluster.request('/api/v1/namespaces/kube-system/configmaps/keystone-policy', {
        method: 'PUT',
        body: makeConfigMap('keystone-policy', { policies: policy }),
      });
      for (const [index, replica] of replicas.entries())
        await waitUntil(
          'the replica has the policy',
          async () => (await countReloads(replica)) > (reloads[index] ?? 0),
        );
      const refused = [await exec(), await exec()];
      for (const { stderr } of refused) t.match(stderr, /User "alice" cannot (?:create|get) resource "pods\/exec"/);
      t.match((await forward()).stderr, /Forbidden|forbidden/);
      t.notOk(kubelet.requests.slice(before).some((request) => request.includes('/portForward/')));
      t.match(
        await cluster.kubectlAuthenticated('get', 'pods', '-n', 'web'),
        { status: 0 },
        'and nothing else changed',
      );
    });

    await t.test('a watch continues after its token has expired, and the token opens no other', async (t) => {
      const { token, watch } = await watchWithShortToken(t, environment, cluster);
      await waitUntil(
        'the token has expired',
        async () => (await cluster.request(`${WEB}/configmaps`, { token })).status === 401,
      );
      await cluster.create(`${WEB}/configmaps`, makeConfigMap('after-expiry', {}));
      await waitUntil('the watch reports a new object', () => watch.listNames().includes('after-expiry'));
      t.notOk(watch.hasEnded(), 'the API server checks a token only when a request begins');
    });

    await t.test('after a revocation the token is refused, and kubectl gets a new one', async (t) => {
      const token = async (): Promise<string> => {
        const { stdout } = await runPlugin({ home: cluster.home, args: ['get-token'], env: cluster.env });
        return (JSON.parse(stdout) as { status: { token: string } }).status.token;
      };
      t.match(await cluster.kubectlAuthenticated('get', 'pods', '-n', 'web'), { status: 0 });
      const revoked = await token();
      // On a busy machine, Keystone may be too slow for the webhook.
      const watch = await waitUntil('the watch begins', async () => {
        const begun = await startWatch(t, { url: cluster.url, pki, token: revoked, path: `${WEB}/configmaps` });
        return begun.status === 200 && begun;
      });
      await revokeToken(http, revoked);
      await waitUntil(
        'the token is refused',
        async () => (await cluster.request(`${WEB}/configmaps`, { token: revoked })).status === 401,
      );
      await cluster.create(`${WEB}/configmaps`, makeConfigMap('after-revocation', {}));
      await waitUntil('the watch reports a new object', () => watch.listNames().includes('after-revocation'));
      // The first command can fail, because kubectl does not repeat a request that was answered with 401.
      await waitUntil('kubectl has a new token', () => cluster.canGetPods('web'));
      t.not(await token(), revoked);
    });

    await t.test('two replicas that are restarted in turn refuse no request', async (t) => {
      const token = await logIn(http, alice, { project: { id: tenancy.projects.demo.id } });
      // A replica asks Keystone about a token that it does not know.
      const path = `${WEB}/configmaps/none`;
      await waitUntil('the token is accepted', async () => (await cluster.request(path, { token })).status === 404);
      const statuses: number[] = [];
      let isOver = false;
      t.teardown(() => (isOver = true));
      const sendRequests = async (): Promise<void> => {
        while (!isOver) {
          statuses.push((await cluster.request(path, { token })).status);
          await sleep(PAUSE_MS);
        }
      };
      const clients = Promise.all(Array.from({ length: CLIENTS }, sendRequests));
      const waitForRequests = (count: number): Promise<true> => {
        const goal = statuses.length + count;
        return waitUntil(`${count} requests`, () => statuses.length >= goal);
      };
      for (const replica of replicas) {
        await waitForRequests(10 * CLIENTS);
        t.equal(await replica.stop(), 0);
        await startReplica(replica.port);
        await waitUntil('the load balancer notices', () => balancer.isReady(replica.port));
      }
      await waitForRequests(10 * CLIENTS);
      isOver = true;
      await clients;
      t.strictSame([...new Set(statuses)], [404], `${statuses.length} requests: allowed, and no such object`);
    });
  },
);
