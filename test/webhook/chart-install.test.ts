// The chart on a real kube-apiserver: install, upgrade, uninstall, and a webhook that runs from what was installed. No
// kubelet runs pods here, so the test itself mounts the ConfigMaps and the Secret, and starts the built program.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { CHART } from '../../scripts/kubernetes/find-helm.ts';
import { findCustomResources } from '../../scripts/kubernetes/find-custom-resources.ts';
import { findEachKubernetes } from '../../scripts/kubernetes/find-kubernetes.ts';
import type { KubernetesPrograms } from '../../scripts/kubernetes/find-kubernetes.ts';
import { makeAdminToken, renderKubeconfig, startKubeApiserver } from '../../scripts/kubernetes/kube-apiserver.ts';
import { readMinor } from '../../scripts/kubernetes/versions.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { skipBecause } from '../support/missing-tools.ts';
import { mountVolumes, VOLUMES_FOLDER } from '../support/mounted-volumes.ts';
import { findPodSpec, helmIn, readObjects, skipWithoutHelm, VALUES_FILES } from '../support/rendered-chart.ts';
import type { KubernetesObject } from '../support/rendered-chart.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeAccessReview } from '../support/webhook-client.ts';
import { issueToken, startTestKeystone } from '../support/webhook-keystone.ts';
import { startWebhookProcess } from '../support/webhook-process.ts';
import { makeTestFolder, PATIENT_REVIEWS, shareTestPki } from '../support/webhook-settings.ts';

const NAMESPACE = 'identity';
const NAME = 'keystone';

/** Where objects of the chart are; a cluster without the kind has none of it. */
const LISTS = [
  `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`,
  `/apis/apps/v1/namespaces/${NAMESPACE}/daemonsets`,
  `/api/v1/namespaces/${NAMESPACE}/services`,
  `/api/v1/namespaces/${NAMESPACE}/configmaps`,
  `/api/v1/namespaces/${NAMESPACE}/secrets`,
  `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`,
  `/apis/networking.k8s.io/v1/namespaces/${NAMESPACE}/networkpolicies`,
  '/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles',
  '/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings',
  '/apis/rbac.authorization.k8s.io/v1/clusterroles',
  '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
];

const VALUES = {
  image: { repository: 'registry.example.com/k8s-keystone-auth' },
  tls: { source: 'values' },
  pod: { priorityClassName: '' },
  networkPolicy: { apiServerCidrs: ['192.0.2.0/24'], keystoneCidrs: ['198.51.100.0/24'] },
  policy: { source: 'values', entries: [{ resource_permissions: { 'web/pods': ['get'] } }] },
  sync: { source: 'values', roleMappings: [{ 'keystone-role': 'member', groups: ['from-a-mapping'] }] },
};

for (const kubernetes of await findEachKubernetes(() => undefined)) {
  const title = `kube-apiserver ${kubernetes.version}: helm installs, upgrades and removes the chart, and the webhook runs from it`;
  const skip = 'missing' in kubernetes ? skipBecause(kubernetes.missing) : skipWithoutHelm;
  void t.test(title, { skip }, (t) => ('missing' in kubernetes ? Promise.resolve() : checkChart(t, kubernetes)));
}

async function checkChart(t: Test, programs: KubernetesPrograms): Promise<void> {
  const [folder, pki, port, token] = [makeTestFolder(t), await shareTestPki(), await findFreePort(), makeAdminToken()];
  const keystone = await startTestKeystone(t);
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, renderKubeconfig(`https://127.0.0.1:${port}`, pki.ca, token), { mode: 0o600 });
  // Nobody listens where the webhook would be: the administrator has another authenticator.
  const settings = { programs, dir: join(folder, 'cluster'), pki, port, webhookPort: 9, cacheSeconds: 1 };
  const cluster = await startKubeApiserver(settings, token);
  t.teardown(() => cluster.stop());
  const get = async (path: string): Promise<KubernetesObject> => (await cluster.request(path)).body as KubernetesObject;
  const listNames = async (): Promise<readonly string[]> => {
    const lists = await Promise.all(
      LISTS.map(async (path) => {
        const { items = [] } = (await cluster.request(path)).body as { items?: readonly KubernetesObject[] };
        return items
          .map(({ metadata }) => `${path.split('/').at(-1) ?? ''}/${metadata.name}`)
          .filter((name) => name.includes(`/${NAME}`));
      }),
    );
    return lists.flat().toSorted();
  };
  const values = join(folder, 'values.json');
  writeFileSync(values, JSON.stringify({ ...VALUES, keystone: { url: `${keystone.url}/v3` } }));
  const runHelm = (namespace: string, ...args: readonly string[]) =>
    helmIn(folder, ...args, '--kubeconfig', kubeconfig, '--namespace', namespace);
  const helm = async (...args: readonly string[]): Promise<void> => {
    const { status, stdout, stderr } = await runHelm(NAMESPACE, ...args);
    t.equal(status, 0, `helm ${args[0] ?? ''}: ${stdout}${stderr}`);
  };
  const tls = ['--set-file', `tls.certificate=${pki.server.cert}`, '--set-file', `tls.key=${pki.server.key}`];

  await helm('install', NAME, CHART, '--create-namespace', '--values', values, ...tls);
  t.strictSame(await listNames(), [
    `configmaps/${NAME}-policy`,
    `configmaps/${NAME}-sync`,
    `deployments/${NAME}`,
    `networkpolicies/${NAME}`,
    `secrets/${NAME}-tls`,
    `serviceaccounts/${NAME}`,
    `services/${NAME}`,
  ]);

  const deployment = await get(`/apis/apps/v1/namespaces/${NAMESPACE}/deployments/${NAME}`);
  const podSpec = findPodSpec([deployment]);
  const mounts = join(folder, 'mounts');
  await mountVolumes(podSpec, mounts, (kind, name) => get(`/api/v1/namespaces/${NAMESPACE}/${kind}/${name}`));
  t.ok(readFileSync(join(mounts, 'tls/tls.key')).length > 0);
  const args = podSpec.containers[0].args
    .filter((argument) => !/^--(listen|log-level|shutdown-grace)=/.test(argument))
    .map((argument) => argument.replace(VOLUMES_FOLDER, mounts));
  const webhook = await startWebhookProcess(t, { keystone, args: [...args, ...PATIENT_REVIEWS] });
  t.match(await webhook.sendRequest({ path: '/readyz' }), { status: 200 });
  t.match(await webhook.reviewToken(issueToken(keystone)), { authenticated: true, user: { username: 'alice' } });
  t.ok(await webhook.isAllowed(makeAccessReview({ namespace: 'web' })), 'the policy of the values allows it');
  t.notOk(await webhook.isAllowed(makeAccessReview({ namespace: 'db' })));

  await checkPodSecurity();
  await checkCustomResources();

  const policy = JSON.stringify({ source: 'watch', configMapName: 'keystone-policy', entries: [] });
  const watching = ['--set-json', `policy=${policy}`];
  await helm('upgrade', NAME, CHART, '--values', values, ...tls, ...watching);
  t.match(await get(`/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles/${NAME}`), {
    rules: [{ resources: ['configmaps'], resourceNames: ['keystone-policy'], verbs: ['get', 'list', 'watch'] }],
  });
  t.notOk((await listNames()).includes(`configmaps/${NAME}-policy`));
  // Both would have a Role of this name in kube-system.
  const second = ['install', NAME, CHART, '--create-namespace', '--values', values, ...tls, ...watching];
  const refused = await runHelm('other', ...second);
  t.not(refused.status, 0);
  t.match(refused.stderr, /Role "keystone" in namespace "kube-system" exists and cannot be imported/);
  t.match(await cluster.request('/apis/apps/v1/namespaces/other/deployments'), { body: { items: { length: 0 } } });

  const controlPlane = VALUES_FILES.get('control-plane') ?? '';
  await helm('upgrade', NAME, CHART, '--values', controlPlane);
  t.strictSame(
    await listNames(),
    [`daemonsets/${NAME}`, `serviceaccounts/${NAME}`],
    'rights end with what needed them',
  );
  await helm('uninstall', NAME);
  t.strictSame(await listNames(), [], 'nothing is left');

  /** Asks the admission of the API server itself, where it has one. */
  async function checkPodSecurity(): Promise<void> {
    if (readMinor(programs.version) < 25) {
      t.comment(`Kubernetes ${programs.version} has no pod security admission`);
      return;
    }
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await cluster.request('/api/v1/namespaces', {
      method: 'POST',
      body: { kind: 'Namespace', apiVersion: 'v1', metadata: { name: 'restricted', labels } },
    });
    const create = (spec: object) =>
      cluster.request('/api/v1/namespaces/restricted/pods?dryRun=All', {
        method: 'POST',
        body: { kind: 'Pod', apiVersion: 'v1', metadata: { name: 'webhook' }, spec },
      });
    t.match(await create(podSpec), { status: 201 }, 'restricted');
    t.match(await create({ ...podSpec, hostNetwork: true }), { status: 403 }, 'the check can fail');
  }

  /** Asks the API server about the objects for operators, with the definitions that the operators' projects publish. */
  async function checkCustomResources(): Promise<void> {
    if (readMinor(programs.version) < 25) {
      t.comment(`Kubernetes ${programs.version} has no strict validation`);
      return;
    }
    const found = await findCustomResources();
    if ('missing' in found) {
      t.pass(skipBecause(found.missing));
      return;
    }
    const paths = new Map<string, string>();
    for (const definition of found.definitions) {
      const { metadata, spec } = definition;
      const created = await cluster.request('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
        method: 'POST',
        body: definition,
      });
      t.equal(created.status, 201, metadata.name);
      const path = `/apis/${spec.group}/v1/namespaces/${NAMESPACE}/${spec.names.plural}`;
      paths.set(spec.names.kind, path);
      await waitUntil(`${path} is served`, async () => (await cluster.request(path)).status === 200);
    }
    const validate = (path: string, body: object) =>
      cluster.request(`${path}?dryRun=All&fieldValidation=Strict`, { method: 'POST', body });
    const validated = new Set<string>();
    for (const [name, file] of VALUES_FILES) {
      const { stdout } = await helmIn(folder, 'template', NAME, CHART, '--namespace', NAMESPACE, '--values', file);
      for (const object of readObjects(stdout)) {
        const path = paths.get(object.kind);
        if (path === undefined) continue;
        validated.add(object.kind);
        const { status, body } = await validate(path, object);
        t.equal(status, 201, `${name}: ${object.kind}: ${JSON.stringify(body)}`);
        const misspelled = await validate(path, { ...object, spec: { ...object.spec, selecter: {} } });
        t.equal(misspelled.status, 400, `${name}: the check of a ${object.kind} can fail`);
      }
    }
    t.strictSame([...validated].toSorted(), [...paths.keys()].toSorted());
  }
}
