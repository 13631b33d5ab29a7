// ConfigMaps that change while the webhook runs, and the synchronization of projects with the cluster. Runs against
// stand-ins for the cluster and for Keystone.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { parseSyncConfig, DEFAULT_SYNC_CONFIG } from '../../src/webhook/sync/sync-config.ts';
import { chooseNamespace, planRoleBindings } from '../../src/webhook/sync/synchronizer.ts';
import type { TokenOwner } from '../../src/webhook/authn/token-owner.ts';
import { startStandInCluster } from '../support/stand-in-cluster.ts';
import type { StandInCluster } from '../support/stand-in-cluster.ts';
import { requestStandInToken, startStandInKeystone } from '../support/stand-in-keystone.ts';
import { recordedUsers } from '../support/stand-in-keystone/users.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import type { StandInUser } from '../support/stand-in-keystone/users.ts';
import { makeTestFolder, makeTestPki, startWebhookProcess } from '../support/webhook-process.ts';
import type { WebhookProcess } from '../support/webhook-process.ts';

t.setTimeout(170_000);

const pki = await makeTestPki(t);
const WEB = 'c8e48b74036546c5b12bfc798932c4e2';
const ALICE = '97b785ee1b534333bc6bd72787eed648';

interface SyncFixture {
  readonly cluster: StandInCluster;
  readonly keystone: StandInKeystone;
  readonly webhook: WebhookProcess;
  readonly folder: string;
}

async function setUp(
  t: Test,
  args: (folder: string) => readonly string[],
  prepare: (cluster: StandInCluster) => void = () => undefined,
  users?: readonly StandInUser[],
): Promise<SyncFixture> {
  const [cluster, keystone] = await Promise.all([
    startStandInCluster(t),
    startStandInKeystone(users === undefined ? {} : { users }),
  ]);
  t.teardown(() => keystone.close());
  const folder = makeTestFolder(t);
  const kubeconfig = join(folder, 'kubeconfig');
  cluster.writeKubeconfig(kubeconfig);
  prepare(cluster);
  const allArgs = ['--kubeconfig', kubeconfig, ...args(folder)];
  const webhook = await startWebhookProcess(t, { keystoneUrl: `${keystone.url}/v3`, pki, args: allArgs });
  return { cluster, keystone, webhook, folder };
}

const review = {
  kind: 'SubjectAccessReview',
  apiVersion: 'authorization.k8s.io/v1',
  spec: {
    user: 'alice',
    extra: { 'alpha.kubernetes.io/identity/project/name': ['demo'] },
    resourceAttributes: { verb: 'get', resource: 'pods', namespace: 'web' },
  },
};
const policyFor = (namespace: string): string =>
  JSON.stringify([{ resource_permissions: { [`${namespace}/pods`]: ['get'] } }]);

async function isAllowed(webhook: WebhookProcess): Promise<boolean> {
  const { body } = await webhook.postReview(review);
  return (body as { status: { allowed: boolean } }).status.allowed;
}

/** Polls until the condition is met; fails the test after 10 s. */
async function waitUntil(t: Test, condition: string, isMet: () => boolean | Promise<boolean>): Promise<void> {
  const startedAt = performance.now();
  while (!(await isMet())) {
    if (performance.now() - startedAt > 10_000) {
      t.fail(`${condition}: not within 10 s`);
      return;
    }
    await sleep(20);
  }
  t.pass(`${condition} after ${Math.round(performance.now() - startedAt)} ms`);
}

void t.test('the ConfigMap of the policy', async (t) => {
  const { cluster, webhook } = await setUp(t, () => ['--policy-configmap-name', 'keystone-policy']);
  await waitUntil(
    t,
    'ready without a ConfigMap',
    async () => (await webhook.sendRequest({ path: '/readyz' })).status === 200,
  );
  t.notOk(await isAllowed(webhook), 'nothing is allowed without a ConfigMap');
  cluster.setConfigMap('another', { policies: policyFor('web') });
  cluster.setConfigMap('keystone-policy', { policies: policyFor('web') });
  await waitUntil(t, 'a new ConfigMap is applied', () => isAllowed(webhook));
  cluster.setConfigMap('keystone-policy', { policies: 'nonsense' });
  await waitUntil(t, 'invalid content is reported', () => /"what":"policy".*reload failed/.test(webhook.readOutput()));
  t.ok(await isAllowed(webhook), 'the last valid policy stays in force');
  cluster.setConfigMap('keystone-policy', { policies: policyFor('db') });
  await waitUntil(t, 'a change is applied', async () => !(await isAllowed(webhook)));
  cluster.endWatches();
  cluster.setConfigMap('keystone-policy', { policies: policyFor('web') });
  await waitUntil(t, 'a change between two watches is applied', () => isAllowed(webhook));
  cluster.failWith(500);
  cluster.endWatches();
  await waitUntil(t, 'an error of the API server is reported', () =>
    webhook.readOutput().includes('the API server answered 500'),
  );
  t.ok(await isAllowed(webhook), 'an error of the API server changes nothing');
  cluster.failWith(undefined);
  cluster.setConfigMap('keystone-policy', undefined);
  await waitUntil(t, 'nothing is allowed after the ConfigMap is deleted', async () => !(await isAllowed(webhook)));
  t.equal(await webhook.stop(), 0);
  t.notOk(webhook.readOutput().includes('cluster-token'));
});

void t.test('a policy file always takes precedence over the ConfigMap', async (t) => {
  const { cluster, webhook } = await setUp(t, (folder) => {
    const file = join(folder, 'policy.json');
    writeFileSync(file, policyFor('web'));
    return ['--keystone-policy-file', file, '--policy-configmap-name', 'keystone-policy'];
  });
  t.ok(await isAllowed(webhook));
  cluster.setConfigMap('keystone-policy', { policies: policyFor('db') });
  await sleep(1_500);
  t.ok(await isAllowed(webhook));
  t.match(webhook.readOutput(), /the ConfigMap keystone-policy is ignored because the file takes precedence/);
});

void t.test('the webhook is not ready before it has read the ConfigMap', async (t) => {
  const { cluster, webhook } = await setUp(
    t,
    () => ['--policy-configmap-name', 'keystone-policy'],
    (cluster) => {
      cluster.failWith(503);
    },
  );
  t.match(await webhook.sendRequest({ path: '/readyz' }), {
    status: 503,
    body: /kube-system\/keystone-policy has not been read yet/,
  });
  t.match(await webhook.sendRequest({ path: '/healthz' }), { status: 200 });
  cluster.failWith(undefined);
  await waitUntil(t, 'ready', async () => (await webhook.sendRequest({ path: '/readyz' })).status === 200);
});

void t.test(
  'the ConfigMap of the synchronization, set by its variable: role mappings, namespaces and RoleBindings',
  async (t) => {
    const alice = recordedUsers.find(({ name }) => name === 'alice');
    const { cluster, keystone, folder } = await setUp(t, () => []);
    const webhook = await startWebhookProcess(t, {
      keystoneUrl: `${keystone.url}/v3`,
      pki,
      args: ['--cache-ttl', '1'],
      env: { KEYSTONE_SYNC_CONFIGMAP_NAME: 'keystone-sync', KEYSTONE_KUBECONFIG_FILE: join(folder, 'kubeconfig') },
    });
    cluster.setConfigMap('keystone-sync', {
      syncConfig: 'namespace-format: "%n-%i"\nrole-mappings:\n  - keystone-role: member\n    groups: [mapped]\n',
    });
    await waitUntil(t, 'the ConfigMap is read', () =>
      /"what":"synchronisation".*"reloaded"/.test(webhook.readOutput()),
    );
    const token = await requestStandInToken(keystone);
    t.match(await webhook.reviewToken(token), { user: { username: 'alice', groups: [WEB, 'mapped'] } });
    const namespace = `web-${WEB}`;
    t.strictSame([...cluster.namespaces.keys()], [namespace], 'created before the response');
    t.match(cluster.namespaces.get(namespace), {
      metadata: { annotations: { 'keystone.openstack.org/project-name': 'web' } },
    });
    t.strictSame([...cluster.roleBindings.keys()].toSorted(), [
      `${namespace}/${ALICE}_member`,
      `${namespace}/${ALICE}_reader`,
    ]);
    t.match(cluster.roleBindings.get(`${namespace}/${ALICE}_member`), {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'member' },
      subjects: [{ kind: 'User', name: 'alice', apiGroup: 'rbac.authorization.k8s.io' }],
    });

    // Bindings of others stay; outdated bindings of the user are deleted.
    const binding = (name: string, username: string, role = 'x'): Parameters<typeof cluster.roleBindings.set> => [
      `${namespace}/${name}`,
      {
        metadata: { name },
        roleRef: { kind: 'ClusterRole', name: role },
        subjects: [{ kind: 'User', name: username }],
      },
    ];
    cluster.roleBindings.set(...binding('by-hand', 'alice'));
    cluster.roleBindings.set(...binding('f711c8f92ef941f8a1c1c3e41d7b86fa_member', 'bob', 'member'));
    cluster.roleBindings.set(...binding(`${ALICE}_admin`, 'alice', 'admin'));
    cluster.roleBindings.set(...binding(`${ALICE}_reader`, 'old-name', 'reader'));
    t.ok(alice);
    await sleep(1_100);
    t.match(await webhook.reviewToken(token), { authenticated: true });
    t.strictSame([...cluster.roleBindings.keys()].toSorted(), [
      `${namespace}/${ALICE}_member`,
      `${namespace}/${ALICE}_reader`,
      `${namespace}/by-hand`,
      `${namespace}/f711c8f92ef941f8a1c1c3e41d7b86fa_member`,
    ]);
    t.match(cluster.roleBindings.get(`${namespace}/${ALICE}_reader`), { subjects: [{ name: 'alice' }] });

    cluster.setConfigMap('keystone-sync', undefined);
    await waitUntil(t, 'the deletion is noticed', () => webhook.readOutput().includes('the ConfigMap does not exist'));
    await sleep(1_100);
    const status = await webhook.reviewToken(token);
    t.strictSame((status['user'] as { groups: string[] }).groups, [WEB], 'the role mapping no longer applies');
    t.ok(cluster.namespaces.has(WEB), 'the default format makes the namespace');

    cluster.failWith(403);
    await sleep(1_100);
    t.match(
      await webhook.reviewToken(token),
      { authenticated: true },
      'an error of the cluster does not affect authentication',
    );
    t.match(webhook.readOutput(), /a project was not synchronized/);
  },
);

void t.test('role mappings in a file need no cluster', async (t) => {
  const keystone = await startStandInKeystone();
  t.teardown(() => keystone.close());
  const file = join(makeTestFolder(t), 'sync.yaml');
  writeFileSync(file, 'role-mappings:\n  - {keystone-role: reader, username: mapped}\n');
  const webhook = await startWebhookProcess(t, {
    keystoneUrl: `${keystone.url}/v3`,
    pki,
    env: { KEYSTONE_SYNC_CONFIG_FILE: file },
  });
  t.match(webhook.readOutput(), /nothing is synchronized/);
  const token = await requestStandInToken(keystone);
  t.match(await webhook.reviewToken(token), { user: { username: 'mapped' } });
  writeFileSync(file, 'role-mappings: nonsense\n');
  await waitUntil(t, 'invalid content is reported', () =>
    /"what":"synchronisation".*reload failed/.test(webhook.readOutput()),
  );
  t.match(await webhook.reviewToken(token), { user: { username: 'mapped' } });
  writeFileSync(file, 'role-mappings:\n  - {keystone-role: reader, username: again}\n');
  await waitUntil(t, 'valid content is applied, for cached tokens too', async () => {
    const { user } = await webhook.reviewToken(token);
    return (user as { username: string }).username === 'again';
  });
});

void t.test('an invalid or missing kubeconfig', async (t) => {
  const folder = makeTestFolder(t);
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, '{}');
  const args = ['--policy-configmap-name', 'x', '--kubeconfig', kubeconfig];
  const invalid = startWebhookProcess(t, { keystoneUrl: 'http://127.0.0.1:9/v3', pki, args });
  await t.rejects(invalid, { message: /kubeconfig does not say how to reach a cluster/ });
  const missing = startWebhookProcess(t, { keystoneUrl: 'http://127.0.0.1:9/v3', pki, args: args.slice(0, 2) });
  await t.rejects(missing, { message: /does not run in a pod and has no kubeconfig; set --kubeconfig/ });
});

const OWNER: TokenOwner = {
  user: { id: 'u1', name: 'alice' },
  userDomain: { id: 'd1', name: 'acme' },
  project: { id: 'p1', name: 'web' },
  projectDomain: { id: 'd2', name: 'other' },
  roles: ['member', 'a/b', 'system:masters', '', 'x%y'],
};

void t.test('names of namespaces and RoleBindings', async (t) => {
  const choose = (format: string, owner: Partial<TokenOwner> = {}) => chooseNamespace({ ...OWNER, ...owner }, format);
  t.equal(choose('%i'), 'p1');
  t.equal(choose('%d-%n-%i'), 'd2-web-p1');
  t.equal(choose(`%n-%i`, { project: { id: 'p1', name: 'x'.repeat(80) } }), 'p1', 'longer than 63 characters: the ID');
  t.equal(choose(`%n-%i`, { project: { id: 'p1', name: 'Web Shop' } }), 'p1', 'not a valid name: the ID');
  t.equal(choose(`%n-%i`, { project: { id: 'p1', name: 'kube' } }), 'p1', 'a name of the cluster itself: the ID');
  t.equal(choose(`%i`, { project: { id: 'kube-system', name: 'x' } }), undefined);
  t.equal(choose(`%i`, { project: { id: 'A', name: 'x' } }), undefined);
  t.strictSame(planRoleBindings(OWNER, 'al'), {
    bindings: [{ name: 'u1_member', role: 'member', username: 'al' }],
    skippedRoles: ['a/b', 'system:masters', '', 'x%y'],
  });
});

void t.test('the content of a configuration', async (t) => {
  t.strictSame(parseSyncConfig('', 'f'), DEFAULT_SYNC_CONFIG);
  t.strictSame(
    parseSyncConfig(
      [
        'data_types_to_sync: [role_assignments]',
        'namespace_format: "%n-%i"',
        'projects-blacklist: [a]',
        'projects_name_blacklist: ["b"]',
        'role-mappings:',
        '- keystone-role: r',
        '  username: u',
        '  groups: [g, 7]',
        '- {keystone_role: s}',
      ].join('\n'),
      'f',
    ),
    {
      syncsProjects: false,
      syncsRoleAssignments: true,
      namespaceFormat: '%n-%i',
      excludedProjectIds: ['a'],
      excludedProjectNames: ['b'],
      roleMappings: [
        { role: 'r', username: 'u', groups: ['g', '7'] },
        { role: 's', username: undefined, groups: [] },
      ],
    },
  );
  const invalid: Readonly<Record<string, RegExp>> = {
    'data-types-to-sync: [secrets]': /supports projects and role_assignments, not "secrets"/,
    'data-types-to-sync: projects': /must be a list of strings/,
    'namespace-format: "%n"': /must contain %i/,
    'namespace-format: [x]': /must be a string/,
    'role-mappings: x': /role_mappings must be a list/,
    'role-mappings: [x]': /must be a mapping/,
    'role-mappings: [{groups: [x]}]': /lacks keystone-role/,
    'role-mappings: [{keystone-role: r, group: x}]': /the key "group" is unknown/,
    'role_mapping: []': /the key "role_mapping" is unknown/,
    '- x': /not a mapping/,
    'a: "': /not valid YAML/,
  };
  for (const [text, message] of Object.entries(invalid)) t.throws(() => parseSyncConfig(text, 'f'), { message }, text);
});
