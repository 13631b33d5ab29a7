// The issuer of the chart on a real kube-apiserver: helm installs it, and two replicas run in the folders of pods, with the
// arguments, the ConfigMap, the Secrets and the rights of what was installed. Alice uses the cluster with kubectl and the
// plugin through them, also while the key is rotated. No kubelet runs pods here, so the test starts the built program.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { CHART } from '../../scripts/kubernetes/find-helm.ts';
import { writeIssuerFlags } from '../../scripts/kubernetes/issuer-flags.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import type { Pki } from '../../scripts/lib/pki.ts';
import { readKeyId, readTokens, removeJwts } from '../support/cached-tokens.ts';
import { WEBHOOK_COMMAND } from '../support/built-programs.ts';
import { allowReading, chooseClusterPlace, startCluster, testOnEachKubernetes } from '../support/cluster.ts';
import type { Cluster, ClusterPrograms } from '../support/cluster.ts';
import { runIssuerCommand } from '../support/issuer.ts';
import { checkRotation } from '../support/key-rotation.ts';
import { startLoadBalancer } from '../support/load-balancer.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { mountVolumes, VOLUMES_FOLDER } from '../support/mounted-volumes.ts';
import { findPodSpec, helmIn, skipWithoutHelm } from '../support/rendered-chart.ts';
import type { KubernetesObject, PodSpec } from '../support/rendered-chart.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { TestEnvironment } from '../support/test-environment.ts';
import { PATIENT } from '../support/stress.ts';
import { pickSize } from '../support/test-size.ts';
import { waitUntil } from '../support/wait-until.ts';
import { startServerProcess } from '../support/webhook-process.ts';
import type { WebhookProcess } from '../support/webhook-process.ts';
import { WITHOUT_WEBHOOK } from '../support/without-webhook.ts';

const NAMESPACE = 'identity';
const RELEASE = 'keystone';
const NAME = `${RELEASE}-issuer`;
const KEYS = 'signing-keys';
const KEYS_PATH = `/api/v1/namespaces/${NAMESPACE}/secrets/${KEYS}`;
const DATA_KEY = 'signing-keys.json';
const AUDIENCE = 'cluster-a';
const ISSUER_PATH = '/keystone';

/** Parallel loops of kubectl while the key changes. */
const LOOPS = pickSize(20, 3);

/** How long both replicas have published a new key before it signs, in ms: the API server reads it within 1 s. */
const WAITS_MS = 10_000;

const MOUNT_NAMESPACE = ['--map-root-user', '--mount'];
const skip = skipWithoutHelm || skipWithout('a mount namespace', () => canRun('unshare', ...MOUNT_NAMESPACE, 'true'));

/** Runs a program where a pod has the files of its service account. */
const IN_POD = `mount -t tmpfs tmpfs /run
folder=/var/run/secrets/kubernetes.io/serviceaccount
mkdir -p "$folder"
cp "$1"/* "$folder"
shift
exec "$@"`;

/** Where the objects of the issuer are; in Kubernetes 1.20, a PodDisruptionBudget is not yet in v1. */
const listPlaces = (minor: number): readonly string[] => [
  `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`,
  `/api/v1/namespaces/${NAMESPACE}/services`,
  `/api/v1/namespaces/${NAMESPACE}/configmaps`,
  `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`,
  `/apis/networking.k8s.io/v1/namespaces/${NAMESPACE}/networkpolicies`,
  `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}/roles`,
  `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}/rolebindings`,
  `/apis/policy/${minor < 21 ? 'v1beta1' : 'v1'}/namespaces/${NAMESPACE}/poddisruptionbudgets`,
];

async function listObjects(cluster: Cluster, minor: number): Promise<readonly string[]> {
  const lists = await Promise.all(
    listPlaces(minor).map(async (path) => {
      const { items = [] } = (await cluster.request(path)).body as { items?: readonly KubernetesObject[] };
      return items.map(({ metadata }) => `${path.split('/').at(-1) ?? ''}/${metadata.name}`);
    }),
  );
  return lists
    .flat()
    .filter((name) => name.endsWith(`/${NAME}`))
    .toSorted();
}

const encode = (data: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]));

function makeValues(keystoneUrl: string, url: string, audiences: readonly object[]): object {
  return {
    image: { repository: 'registry.example.com/k8s-keystone-auth' },
    keystone: { url: `${keystoneUrl}/v3` },
    tls: { secretName: 'webhook-tls' },
    pod: { priorityClassName: '' },
    networkPolicy: { apiServerCidrs: ['192.0.2.0/24'], keystoneCidrs: ['198.51.100.0/24'] },
    issuer: {
      ...{ enabled: true, url, tlsSecretName: 'tokens-tls', signingKeysSecret: KEYS, jwksMaxAgeSeconds: 1 },
      ...{ keystoneTimeoutSeconds: 30, clientCidrs: ['203.0.113.0/24'], audiences },
    },
  };
}

const allow = [{ roles: ['member'] }];

/** Writes what the kubelet would put beside the program, and returns the folder. */
async function writeServiceAccount(cluster: Cluster, account: string, folder: string, pki: Pki): Promise<string> {
  const path = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${account}/token`;
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 7_200 } };
  const answer = await cluster.request(path, { method: 'POST', body });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { token } = (answer.body as { status: { token: string } }).status;
  const files = { token, 'ca.crt': readFileSync(pki.ca, 'utf8'), namespace: NAMESPACE };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
  return folder;
}

/** Starts a replica with the arguments of the pod. Only its address and the folder of its volumes are others. */
async function startReplica(
  t: Test,
  { containers }: PodSpec,
  {
    port,
    mounts,
    account,
    cluster,
    pki,
  }: {
    readonly port: number;
    readonly mounts: string;
    readonly account: string;
    readonly cluster: Cluster;
    readonly pki: Pki;
  },
): Promise<WebhookProcess> {
  const [{ args, env = [] }] = containers;
  const { hostname, port: apiPort } = new URL(cluster.url);
  const variables = Object.fromEntries(env.map(({ name, value }) => [name, value]));
  return startServerProcess(
    t,
    {
      args: args.map((word) =>
        word.startsWith('--listen=') ? `--listen=127.0.0.1:${port}` : word.replace(VOLUMES_FOLDER, mounts),
      ),
      env: { ...variables, KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: apiPort },
      pki,
    },
    ['unshare', ...MOUNT_NAMESPACE, 'sh', '-ec', IN_POD, 'sh', account, ...WEBHOOK_COMMAND],
  );
}

interface KeyDocument {
  readonly keys: { signsFrom: string }[];
}

/** Rotates as on schedule, but without the minutes for which a new key waits. */
async function rotateSoon(cluster: Cluster, kubeconfig: string, replicas: readonly WebhookProcess[]): Promise<void> {
  const reload = (): void => {
    for (const replica of replicas) replica.signal('SIGHUP');
  };
  const place = ['--signing-keys-secret', `${NAMESPACE}/${KEYS}`, '--kubeconfig', kubeconfig];
  await runIssuerCommand('rotate', ...place);
  reload();
  for (const replica of replicas) {
    await waitUntil('a replica publishes the new key', async () => {
      const jwks = (await replica.sendRequest({ path: `${ISSUER_PATH}/jwks` })).body;
      return (jwks as { readonly keys: readonly unknown[] }).keys.length === 2;
    });
  }
  const { body } = await cluster.request(KEYS_PATH);
  const secret = body as { readonly data: Readonly<Record<string, string>> };
  const document = JSON.parse(Buffer.from(secret.data[DATA_KEY] ?? '', 'base64').toString()) as KeyDocument;
  const newest = document.keys.at(-1);
  if (newest !== undefined) newest.signsFrom = new Date(Date.now() + WAITS_MS).toISOString();
  const data = { ...secret.data, ...encode({ [DATA_KEY]: JSON.stringify(document) }) };
  await cluster.request(KEYS_PATH, { method: 'PUT', body: { ...secret, data } });
  reload();
}

async function checkIssuer(t: Test, environment: TestEnvironment, programs: ClusterPrograms): Promise<void> {
  const { minor } = programs;
  const { pki, http, tenancy } = environment;
  const place = await chooseClusterPlace(t, environment);
  const { folder } = place;
  const ports = [await findFreePort(), await findFreePort()];
  const balancer = await startLoadBalancer(t, ports);
  const url = `https://127.0.0.1:${balancer.port}${ISSUER_PATH}`;
  const cluster = await startCluster(t, environment, programs, {
    place,
    webhookPort: 9,
    cacheSeconds: 1,
    flags: { ...WITHOUT_WEBHOOK, ...writeIssuerFlags({ minor, url, caFile: pki.ca, folder }) },
  });
  const get = async (path: string): Promise<KubernetesObject> => (await cluster.request(path)).body as KubernetesObject;
  const values = join(folder, 'values.json');
  const helm = async (verb: string, audiences?: readonly object[]): Promise<void> => {
    const words = audiences === undefined ? [] : [CHART, '--values', values];
    if (audiences !== undefined) writeFileSync(values, JSON.stringify(makeValues(http.url, url, audiences)));
    const options = ['--kubeconfig', place.kubeconfig, '--namespace', NAMESPACE];
    const { status, stdout, stderr } = await helmIn(folder, verb, RELEASE, ...words, ...options);
    t.equal(status, 0, `helm ${verb}: ${stdout}${stderr}`);
  };

  await cluster.create('/api/v1/namespaces', { metadata: { name: NAMESPACE } });
  await cluster.create('/api/v1/namespaces', { metadata: { name: 'web' } });
  await runIssuerCommand(
    ...['rotate', '--create', '--signing-keys-secret', `${NAMESPACE}/${KEYS}`, '--kubeconfig', place.kubeconfig],
  );
  const [certificate, key] = [readFileSync(pki.server.cert, 'utf8'), readFileSync(pki.server.key, 'utf8')];
  await cluster.create(`/api/v1/namespaces/${NAMESPACE}/secrets`, {
    ...{ metadata: { name: 'tokens-tls' }, type: 'kubernetes.io/tls' },
    data: encode({ 'tls.crt': certificate, 'tls.key': key }),
  });
  await helm('install', [{ name: AUDIENCE, allow }]);
  t.strictSame(
    await listObjects(cluster, minor),
    listPlaces(minor)
      .map((path) => `${path.split('/').at(-1) ?? ''}/${NAME}`)
      .toSorted(),
  );

  const deployment = await get(`/apis/apps/v1/namespaces/${NAMESPACE}/deployments/${NAME}`);
  t.match(deployment.spec, { replicas: ports.length });
  const podSpec = findPodSpec([deployment], 'issuer');
  if (minor >= 25) {
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await cluster.create('/api/v1/namespaces', { metadata: { name: 'restricted', labels } });
    const body = { kind: 'Pod', apiVersion: 'v1', metadata: { name: 'issuer' }, spec: podSpec };
    const path = '/api/v1/namespaces/restricted/pods?dryRun=All';
    t.match(await cluster.request(path, { method: 'POST', body }), { status: 201 }, 'it needs no privilege');
  }
  const mounts = join(folder, 'mounts');
  const mount = (): Promise<void> =>
    mountVolumes(podSpec, mounts, (kind, name) => get(`/api/v1/namespaces/${NAMESPACE}/${kind}/${name}`));
  await mount();
  const account = await writeServiceAccount(cluster, podSpec.serviceAccountName, join(folder, 'account'), pki);
  const replicas = await Promise.all(
    ports.map((port) => startReplica(t, podSpec, { port, mounts, account, cluster, pki })),
  );
  await waitUntil('both replicas are ready', () => ports.every((port) => balancer.isReady(port)));

  await allowReading(cluster, 'web', { kind: 'Group', name: tenancy.projects.demo.id });
  const kubeconfig = join(cluster.home.path, 'exchange');
  const add = await runPlugin({
    home: cluster.home,
    env: cluster.env,
    args: [
      ...['kubeconfig', 'add', `--kubeconfig=${kubeconfig}`, '--name=web', `--server=${cluster.url}`],
      ...['--set-current', `--certificate-authority=${pki.ca}`, `--token-exchange-url=${url}`],
      ...[`--token-exchange-cacert=${pki.ca}`, `--token-exchange-audience=${AUDIENCE}`],
      ...['--command=client-keystone-auth-under-test', '--auth-type=password', ...PATIENT],
    ],
  });
  t.equal(add.status, 0, add.stderr);
  const pluginPath = /"?command"?: "?([^",\n]+)"?/.exec(readFileSync(cluster.kubeconfig, 'utf8'))?.[1] ?? '';
  const stanza = readFileSync(kubeconfig, 'utf8').replace('client-keystone-auth-under-test', pluginPath);
  writeFileSync(kubeconfig, stanza, { mode: 0o600 });
  const getPods = (namespace: string) => cluster.kubectl('--kubeconfig', kubeconfig, 'get', 'pods', '-n', namespace);
  await waitUntil('the API server has read the keys', async () => (await getPods('web')).status === 0);
  t.match(await getPods(NAMESPACE), { status: 1, stderr: /Forbidden/ });
  t.match(await cluster.request(KEYS_PATH, { token: readTokens(cluster).jwts[0] ?? '' }), { status: 403 });

  await t.test('a rotation of the key in the Secret refuses nobody', async (t) => {
    const oldKid = readTokens(cluster).jwts.map(readKeyId)[0];
    await checkRotation(t, {
      owner: cluster,
      loops: LOOPS,
      run: () => cluster.kubectl('--kubeconfig', kubeconfig, 'get', 'pods', '-n', 'web'),
      rotate: () => rotateSoon(cluster, place.kubeconfig, replicas),
      isNewKey: (kid) => kid !== oldKid,
      // On a busy machine, a replica is not always ready in time for one of the first commands.
      isCovered: () => replicas.every((replica) => replica.readOutput().includes('"msg":"token issued"')),
    });
  });

  await t.test('an upgrade of the release changes who gets tokens, and its end leaves the keys', async (t) => {
    await helm('upgrade', [{ name: 'cluster-b', allow }]);
    await mount();
    await waitUntil('both replicas have read the audiences', () =>
      replicas.every((replica) => /"what":"audiences"[^\n]*"reloaded"/.test(replica.readOutput())),
    );
    removeJwts(cluster);
    t.match(await getPods('web'), { status: 1, stderr: /audience/ });
    for (const replica of replicas) t.equal(await replica.stop(), 0);
    await helm('uninstall');
    t.strictSame(await listObjects(cluster, minor), []);
    t.match(await cluster.request(KEYS_PATH), { status: 200 });
  });
}

const TITLE = 'helm installs the issuer, and two replicas serve plugins with what was installed';
if (skip === false) await testOnEachKubernetes(TITLE, checkIssuer);
else void t.test(TITLE, { skip }, () => undefined);
