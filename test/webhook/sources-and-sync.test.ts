// ConfigMaps that change while the webhook runs, and the synchronization of projects with the cluster. Runs against
// stand-ins for the cluster and for Keystone.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { parseSyncConfig, DEFAULT_SYNC_CONFIG } from '../../src/webhook/sync/sync-config.ts';
import { chooseNamespace, makeSynchronizer, planRoleBindings } from '../../src/webhook/sync/synchronizer.ts';
import type { TokenOwner } from '../../src/webhook/authn/token-owner.ts';
import { findRecordedUser } from '../support/stand-in-keystone/users.ts';
import { startStandInCluster } from '../support/stand-in-cluster.ts';
import type { StandInCluster } from '../support/stand-in-cluster.ts';
import { makeVirtualClock } from '../support/virtual-clock.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeAccessReview } from '../support/webhook-client.ts';
import { issueToken, startTestKeystone } from '../support/webhook-keystone.ts';
import { makeTestFolder } from '../support/webhook-settings.ts';
import { failToStart, startWebhook } from '../support/webhook.ts';
import type { TestWebhook } from '../support/webhook.ts';
import { OWNER } from '../support/token-owner.ts';

const WEB = 'c8e48b74036546c5b12bfc798932c4e2';
const { id: ALICE } = findRecordedUser('alice');
const { id: BOB } = findRecordedUser('bob');

const ACCESS_REVIEW = makeAccessReview();
const policyFor = (namespace: string): string =>
  JSON.stringify([{ resource_permissions: { [`${namespace}/pods`]: ['get'] } }]);

const SYNC_ALL = 'data-types-to-sync: [projects, role_assignments]\n';

const CONFIG_MAPS = 'GET /api/v1/namespaces/kube-system/configmaps';
const countConfigMapRequests = ({ requests }: StandInCluster): number =>
  requests.filter((request) => request === CONFIG_MAPS).length;

/**
 * Lets time pass until the condition is met, so that watches start again. Not for what a review waits for: the time would
 * pass its deadline on a slow machine.
 */
async function passTimeUntil(
  { clock }: TestWebhook,
  what: string,
  isMet: () => boolean | Promise<boolean>,
): Promise<void> {
  await waitUntil(what, async () => {
    if (await isMet()) return true;
    await clock.advance(500);
    return false;
  });
}

const isReady = async (webhook: TestWebhook): Promise<boolean> =>
  (await webhook.sendRequest({ path: '/readyz' })).status === 200;

void t.test('the policy follows its ConfigMap, through invalid content, ended watches and errors', async (t) => {
  const cluster = await startStandInCluster(t);
  const webhook = await startWebhook(t, { cluster, args: ['--policy-configmap-name', 'keystone-policy'] });
  const isAllowed = (): Promise<boolean> => webhook.isAllowed(ACCESS_REVIEW);
  await waitUntil('the webhook is ready without a ConfigMap', () => isReady(webhook));
  t.notOk(await isAllowed(), 'nothing is allowed without a ConfigMap');
  cluster.setConfigMap('another', { policies: policyFor('web') });
  cluster.setConfigMap('keystone-policy', { policies: policyFor('web') });
  await waitUntil('a new ConfigMap is applied', isAllowed);
  cluster.setConfigMap('keystone-policy', { policies: 'nonsense' });
  await waitUntil('invalid content is reported', () => /"what":"policy".*reload failed/.test(webhook.readOutput()));
  t.ok(await isAllowed(), 'the last valid policy stays in force');
  cluster.setConfigMap('keystone-policy', { policies: policyFor('db') });
  await waitUntil('a change is applied', async () => !(await isAllowed()));
  cluster.endWatches();
  cluster.setConfigMap('keystone-policy', { policies: policyFor('web') });
  await passTimeUntil(webhook, 'a change between two watches is applied', isAllowed);
  cluster.failWith(500);
  cluster.endWatches();
  await passTimeUntil(webhook, 'an error of the API server is reported', () =>
    webhook.readOutput().includes('the API server answered 500'),
  );
  t.ok(await isAllowed(), 'an error of the API server changes nothing');
  cluster.failWith(undefined);
  cluster.setConfigMap('keystone-policy', undefined);
  await passTimeUntil(webhook, 'nothing is allowed after the ConfigMap is deleted', async () => !(await isAllowed()));
  t.equal(await webhook.stop(), 0);
  t.notOk(webhook.readOutput().includes('cluster-token'), 'the log does not contain the credential of the cluster');
});

void t.test('a policy file always takes precedence over the ConfigMap, which is never read', async (t) => {
  const cluster = await startStandInCluster(t);
  cluster.setConfigMap('keystone-policy', { policies: policyFor('db') });
  const file = join(makeTestFolder(t), 'policy.json');
  writeFileSync(file, policyFor('web'));
  const args = ['--keystone-policy-file', file, '--policy-configmap-name', 'keystone-policy'];
  const webhook = await startWebhook(t, { cluster, args });
  t.ok(await webhook.isAllowed(ACCESS_REVIEW));
  await webhook.clock.advance(60_000);
  t.ok(await webhook.isAllowed(ACCESS_REVIEW));
  t.equal(cluster.requests.length, 0);
  t.match(webhook.readOutput(), /the ConfigMap keystone-policy is ignored because the file takes precedence/);
});

void t.test('the webhook is not ready before it has read the ConfigMap', async (t) => {
  const cluster = await startStandInCluster(t);
  cluster.failWith(503);
  const webhook = await startWebhook(t, { cluster, args: ['--policy-configmap-name', 'keystone-policy'] });
  t.match(await webhook.sendRequest({ path: '/readyz' }), {
    status: 503,
    body: /kube-system\/keystone-policy has not been read yet/,
  });
  t.match(await webhook.sendRequest({ path: '/healthz' }), { status: 200 });
  await waitUntil('the failure is reported', () => webhook.readOutput().includes('the API server answered 503'));
  cluster.failWith(undefined);
  await passTimeUntil(webhook, 'the webhook is ready', () => isReady(webhook));
});

const readAge = async (webhook: TestWebhook): Promise<number> => {
  const { body } = await webhook.sendRequest({ path: '/metrics' });
  return Number(/^keystone_auth_policy_age_seconds (\S+)$/m.exec(String(body))?.[1]);
};

void t.test(
  'a connection that dies in a list delays the policy by about ten seconds, and the log says so',
  async (t) => {
    const cluster = await startStandInCluster(t);
    cluster.setConfigMap('keystone-policy', { policies: policyFor('web') });
    cluster.isLost = () => true;
    const webhook = await startWebhook(t, { cluster, args: ['--policy-configmap-name', 'keystone-policy'] });
    await waitUntil('the list is requested', () => countConfigMapRequests(cluster) === 1);
    cluster.isLost = () => false;
    await webhook.clock.advance(9_999);
    t.match(await webhook.sendRequest({ path: '/readyz' }), { status: 503, body: /has not been read yet/ });
    t.equal(await readAge(webhook), 9.999, 'the age grows');
    await webhook.clock.advance(1);
    await waitUntil('the log says so', () =>
      webhook.readOutput().includes('the API server did not answer within 10 s'),
    );
    await webhook.clock.advance(1_000);
    await waitUntil('the policy applies', () => webhook.isAllowed(ACCESS_REVIEW));
    t.equal(webhook.clock.monotonicMs(), 11_000);
    t.ok(await isReady(webhook));
    t.equal(await readAge(webhook), 0);
  },
);

void t.test('a watch whose connection has died is noticed within half a minute', async (t) => {
  const cluster = await startStandInCluster(t);
  cluster.setConfigMap('keystone-policy', { policies: policyFor('db') });
  const webhook = await startWebhook(t, { cluster, args: ['--policy-configmap-name', 'keystone-policy'] });
  await waitUntil('the ConfigMap is watched', () => countConfigMapRequests(cluster) === 2);
  cluster.loseWatches();
  cluster.setConfigMap('keystone-policy', { policies: policyFor('web') });
  await webhook.clock.advance(27_999);
  t.equal(await readAge(webhook), 27.999, 'the age says how old the policy may be');
  t.notOk(await webhook.isAllowed(ACCESS_REVIEW));
  t.ok(await isReady(webhook), 'an API server that is away must not take the webhook with it');
  t.notMatch(webhook.readOutput(), 'the watch of the ConfigMap has failed');
  await webhook.clock.advance(1);
  t.match(webhook.readOutput(), /"its connection has died","msg":"the watch of the ConfigMap has failed/);
  await webhook.clock.advance(1_000);
  await waitUntil('the policy applies', () => webhook.isAllowed(ACCESS_REVIEW));
  t.equal(webhook.clock.monotonicMs(), 29_000);
});

void t.test(
  'a watch that the API server ends with an error confirms nothing, and starts again ever later',
  async (t) => {
    const cluster = await startStandInCluster(t);
    cluster.setConfigMap('keystone-policy', { policies: policyFor('web') });
    const webhook = await startWebhook(t, { cluster, args: ['--policy-configmap-name', 'keystone-policy'] });
    await waitUntil('the ConfigMap is watched', () => countConfigMapRequests(cluster) === 2);
    await webhook.clock.advance(3_000);
    for (const [index, waitMs] of [1_000, 2_000, 4_000, 8_000, 10_000, 10_000].entries()) {
      const count = 2 * (index + 1);
      const age = await readAge(webhook);
      cluster.endWatchesWith(410);
      await waitUntil(
        'the log says so',
        () => webhook.readOutput().match(/"the API server answered 410","msg":"the watch/g)?.length === index + 1,
      );
      t.equal(await readAge(webhook), age, 'the policy is not confirmed');
      await webhook.clock.advance(waitMs - 1);
      t.equal(countConfigMapRequests(cluster), count, `no request for ${waitMs} ms`);
      await webhook.clock.advance(1);
      await waitUntil('it is watched again', () => countConfigMapRequests(cluster) === count + 2);
    }
    t.ok(await webhook.isAllowed(ACCESS_REVIEW));
  },
);

void t.test('a policy file that is broken while the webhook runs ages', async (t) => {
  const file = join(makeTestFolder(t), 'policy.json');
  writeFileSync(file, policyFor('web'));
  const webhook = await startWebhook(t, { args: ['--keystone-policy-file', file] });
  await webhook.clock.advance(10_000);
  t.equal(await readAge(webhook), 0);
  writeFileSync(file, 'nonsense');
  await webhook.clock.advance(10_000);
  t.equal(await readAge(webhook), 10);
  writeFileSync(file, policyFor('db'));
  await webhook.clock.advance(1_000);
  t.equal(await readAge(webhook), 0);
});

for (const [setting, key, valid] of [
  ['--policy-configmap-name', 'policies', policyFor('web')],
  ['--sync-configmap-name', 'syncConfig', SYNC_ALL],
] as const) {
  void t.test(`the webhook is not ready while the ConfigMap of ${setting} is broken from the start`, async (t) => {
    const cluster = await startStandInCluster(t);
    cluster.setConfigMap('broken', { [key]: 'nonsense' });
    const webhook = await startWebhook(t, { cluster, args: [setting, 'broken'] });
    await waitUntil('the log says so', () =>
      /reload failed; (?:the policy allows nothing|nothing is synch)/.test(webhook.readOutput()),
    );
    t.match(await webhook.sendRequest({ path: '/readyz' }), {
      status: 503,
      body: /^ConfigMap kube-system\/broken is invalid\n$/,
    });
    cluster.setConfigMap('broken', { [key]: 'still nonsense' });
    await waitUntil('it is read again', () => webhook.readOutput().match(/reload failed/g)?.length === 2);
    t.notOk(await isReady(webhook));
    cluster.setConfigMap('broken', { [key]: valid });
    await waitUntil('it is ready', () => isReady(webhook));
    cluster.setConfigMap('broken', { [key]: 'nonsense' });
    await waitUntil('it is read again', () => webhook.readOutput().includes('the last valid content stays in force'));
    t.ok(await isReady(webhook), 'the valid content stays in force');
  });
}

void t.test('a request of the synchronization that is lost holds back the next one for ten seconds', async (t) => {
  const cluster = await startStandInCluster(t);
  cluster.setConfigMap('keystone-sync', { syncConfig: SYNC_ALL });
  const { webhook, reviewAgain } = await startSynchronizing(t, cluster);
  await waitUntil('the ConfigMap is read', () => webhook.readOutput().includes('"reloaded"'));
  cluster.isLost = (request) => request !== CONFIG_MAPS;
  const reviewing = reviewAgain();
  await waitUntil('the namespace is requested', () => cluster.requests.some((request) => request !== CONFIG_MAPS));
  cluster.isLost = () => false;
  await webhook.clock.advance(10_000);
  await reviewing;
  await waitUntil('the log says so', () => webhook.readOutput().includes('the API server did not answer within 10 s'));
  await reviewAgain();
  t.ok(cluster.namespaces.has(WEB));
});

void t.test('a ConfigMap that cannot be read is tried again every ten seconds at most', async (t) => {
  const cluster = await startStandInCluster(t);
  cluster.failWith(503);
  const webhook = await startWebhook(t, { cluster, args: ['--policy-configmap-name', 'keystone-policy'] });
  let failureCount = 0;
  for (const waitMs of [0, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
    if (waitMs > 0) {
      await webhook.clock.advance(waitMs - 1);
      t.equal(countConfigMapRequests(cluster), failureCount, `no request for ${waitMs} ms`);
      await webhook.clock.advance(1);
    }
    failureCount += 1;
    await waitUntil(
      'the next failure',
      () => webhook.readOutput().match(/the API server answered 503/g)?.length === failureCount,
    );
    t.equal(countConfigMapRequests(cluster), failureCount);
  }
});

void t.test('a ConfigMap makes role mappings, namespaces and RoleBindings', async (t) => {
  const [cluster, keystone] = [await startStandInCluster(t), await startTestKeystone(t)];
  const webhook = await startWebhook(t, {
    cluster,
    keystone,
    args: ['--cache-ttl', '1'],
    env: { KEYSTONE_SYNC_CONFIGMAP_NAME: 'keystone-sync' },
  });
  cluster.setConfigMap('keystone-sync', {
    syncConfig:
      'data-types-to-sync: [projects, role_assignments]\nnamespace-format: "%n-%i"\nrole-mappings:\n  - keystone-role: member\n    groups: [mapped]\n',
  });
  await waitUntil('the ConfigMap is read', () => /"what":"synchronization".*"reloaded"/.test(webhook.readOutput()));
  const token = issueToken(keystone);
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
  cluster.roleBindings.set(...binding(`${BOB}_member`, 'bob', 'member'));
  cluster.roleBindings.set(...binding(`${ALICE}_admin`, 'alice', 'admin'));
  cluster.roleBindings.set(...binding(`${ALICE}_reader`, 'old-name', 'reader'));
  await webhook.clock.advance(1_000);
  t.match(await webhook.reviewToken(token), { authenticated: true });
  t.strictSame([...cluster.roleBindings.keys()].toSorted(), [
    `${namespace}/${ALICE}_member`,
    `${namespace}/${ALICE}_reader`,
    `${namespace}/by-hand`,
    `${namespace}/${BOB}_member`,
  ]);
  t.match(cluster.roleBindings.get(`${namespace}/${ALICE}_reader`), { subjects: [{ name: 'alice' }] });

  // The webhook may have read the ConfigMap first before it existed.
  const countAbsences = (): number => webhook.readOutput().split('the ConfigMap does not exist').length - 1;
  const before = countAbsences();
  cluster.setConfigMap('keystone-sync', undefined);
  await waitUntil('the deletion is noticed', () => countAbsences() > before);
  await webhook.clock.advance(1_000);
  const status = await webhook.reviewToken(token);
  t.strictSame((status['user'] as { groups: string[] }).groups, [WEB], 'the role mapping no longer applies');
  t.strictSame([...cluster.namespaces.keys()], [namespace], 'nothing is synchronized any more');
  t.match(webhook.readOutput(), /the ConfigMap does not exist: nothing is synchronized/);

  cluster.setConfigMap('keystone-sync', { syncConfig: SYNC_ALL });
  await waitUntil('the ConfigMap is read again', () =>
    /(?:"what":"synchronization"[^]*"reloaded"[^]*){2}/.test(webhook.readOutput()),
  );
  cluster.failWith(500);
  await webhook.clock.advance(1_000);
  t.match(
    await webhook.reviewToken(token),
    { authenticated: true },
    'an error of the cluster does not affect authentication',
  );
  t.match(webhook.readOutput(), /a project was not synchronized/);
});

/** Starts a webhook that synchronizes by a ConfigMap, if that says so. */
async function startSynchronizing(
  t: Test,
  cluster: StandInCluster,
): Promise<{ readonly webhook: TestWebhook; readonly reviewAgain: () => Promise<void> }> {
  const keystone = await startTestKeystone(t);
  const args = ['--sync-configmap-name', 'keystone-sync'];
  const webhook = await startWebhook(t, { cluster, keystone, args });
  const reviewAgain = async (): Promise<void> => {
    t.match(await webhook.reviewToken(issueToken(keystone)), { authenticated: true });
  };
  return { webhook, reviewAgain };
}

void t.test('nothing is synchronized unless the configuration says so', async (t) => {
  for (const [problem, data] of Object.entries({
    'the ConfigMap does not exist: nothing is synchronized': undefined,
    'the ConfigMap has no key \\"syncConfig\\": nothing is synchronized': { syncconfig: SYNC_ALL },
    '"msg":"reloaded"': {
      syncConfig: 'role-mappings: [{keystone-role: member, groups: [x]}]\nprojects-blacklist: [other]\n',
    },
    'an unknown key of the synchronization is ignored': { syncConfig: 'comment: x\n' },
  })) {
    const cluster = await startStandInCluster(t);
    cluster.setConfigMap('keystone-sync', data);
    const { webhook, reviewAgain } = await startSynchronizing(t, cluster);
    await waitUntil(problem, () => webhook.readOutput().includes(problem));
    await reviewAgain();
    t.strictSame([...cluster.namespaces.keys(), ...cluster.roleBindings.keys()], [], problem);
  }
});

void t.test('a ConfigMap that must not be read any more stops the synchronization until it can be read', async (t) => {
  const cluster = await startStandInCluster(t);
  cluster.setConfigMap('keystone-sync', { syncConfig: SYNC_ALL });
  const { webhook, reviewAgain } = await startSynchronizing(t, cluster);
  await waitUntil('the ConfigMap is read', () => webhook.readOutput().includes('"reloaded"'));
  cluster.failWith(403);
  cluster.endWatches();
  await passTimeUntil(webhook, 'the synchronization stops', () =>
    webhook.readOutput().includes('the ConfigMap cannot be read at the moment: nothing is synchronized'),
  );
  const requestCount = cluster.requests.filter((request) => request !== CONFIG_MAPS).length;
  await reviewAgain();
  t.equal(cluster.requests.filter((request) => request !== CONFIG_MAPS).length, requestCount, 'nothing was asked for');
  cluster.failWith(undefined);
  await passTimeUntil(webhook, 'the synchronization starts again', async () => {
    await reviewAgain();
    return cluster.namespaces.has(WEB);
  });
});

void t.test('role mappings in a file need no cluster, and follow the file', async (t) => {
  const keystone = await startTestKeystone(t);
  const file = join(makeTestFolder(t), 'sync.yaml');
  writeFileSync(file, 'role-mappings:\n  - {keystone-role: reader, username: mapped}\n');
  const webhook = await startWebhook(t, { keystone, env: { KEYSTONE_SYNC_CONFIG_FILE: file } });
  t.match(webhook.readOutput(), /nothing is synchronized/);
  const token = issueToken(keystone);
  t.match(await webhook.reviewToken(token), { user: { username: 'mapped' } });
  writeFileSync(file, 'role-mappings: nonsense\n');
  await webhook.clock.advance(1_000);
  await waitUntil('invalid content is reported', () =>
    /"what":"synchronization".*reload failed/.test(webhook.readOutput()),
  );
  t.match(await webhook.reviewToken(token), { user: { username: 'mapped' } });
  writeFileSync(file, 'role-mappings:\n  - {keystone-role: reader, username: again}\n');
  await webhook.clock.advance(1_000);
  await waitUntil('valid content is applied, for cached tokens too', async () => {
    const { user } = await webhook.reviewToken(token);
    return (user as { username: string }).username === 'again';
  });
});

void t.test('a cluster that never answers delays a review by one second', async (t) => {
  const clock = makeVirtualClock();
  let callCount = 0;
  const never = (): Promise<never> => {
    callCount += 1;
    return new Promise(() => undefined);
  };
  const synchronize = makeSynchronizer({
    cluster: {
      watchConfigMap: () => () => undefined,
      ensureNamespace: never,
      listRoleBindings: never,
      ensureRoleBinding: never,
      deleteRoleBinding: never,
    },
    config: () => parseSyncConfig(SYNC_ALL, 'f'),
    clock,
    onSynchronized: () => undefined,
    onFailed: () => undefined,
    onSkipped: () => undefined,
  });
  let isDone = false;
  void synchronize(SYNCHRONIZED, 'alice').then(() => (isDone = true));
  await clock.advance(999);
  t.equal(callCount, 1);
  t.notOk(isDone);
  await clock.advance(1);
  t.ok(isDone);
});

void t.test('an invalid or missing kubeconfig ends the start', async (t) => {
  const kubeconfig = join(makeTestFolder(t), 'kubeconfig');
  writeFileSync(kubeconfig, '{}');
  const args = ['--policy-configmap-name', 'x', '--kubeconfig', kubeconfig];
  t.match(await failToStart(t, { args }), { status: 3, stderr: /kubeconfig does not say how to reach a cluster/ });
  t.match(await failToStart(t, { args: args.slice(0, 2) }), {
    status: 3,
    stderr: /does not run in a pod and has no kubeconfig; set --kubeconfig/,
  });
});

void t.test('a kubeconfig with an http:// server of another machine ends the start', async (t) => {
  const kubeconfig = join(makeTestFolder(t), 'kubeconfig');
  const server = 'http://192.0.2.1:8001';
  const clusters = [{ name: 'c', cluster: { server, 'insecure-skip-tls-verify': true } }];
  const contexts = [{ name: 'c', context: { cluster: 'c', user: 'u' } }];
  const users = [{ name: 'u', user: { token: 'secret-token' } }];
  writeFileSync(kubeconfig, JSON.stringify({ clusters, contexts, users, 'current-context': 'c' }));
  const ended = await failToStart(t, { args: ['--policy-configmap-name', 'x', '--kubeconfig', kubeconfig] });
  t.match(ended, { status: 3, stderr: /the server in .*kubeconfig uses http:\/\/ and is not on this machine/ });
});

const SYNCHRONIZED: TokenOwner = {
  ...OWNER,
  projectDomain: { id: 'd2', name: 'other' },
  roles: ['member', 'a/b', 'system:masters', '', 'x%y'],
};

void t.test('namespaces and RoleBindings get names that Kubernetes accepts', async (t) => {
  const choose = (format: string, owner: Partial<TokenOwner> = {}) =>
    chooseNamespace({ ...SYNCHRONIZED, ...owner }, format);
  t.equal(choose('%i'), 'p1');
  t.equal(choose('%d-%n-%i'), 'd1-web-p1', 'the domain of the user, as in Go');
  t.equal(choose(`%n-%i`, { project: { id: 'p1', name: 'x'.repeat(80) } }), 'p1', 'longer than 63 characters: the ID');
  t.equal(choose(`%n-%i`, { project: { id: 'p1', name: 'Web Shop' } }), 'p1', 'not a valid name: the ID');
  t.equal(choose(`%n-%i`, { project: { id: 'p1', name: 'kube' } }), 'p1', 'a name of the cluster itself: the ID');
  t.equal(choose(`%i`, { project: { id: 'kube-system', name: 'x' } }), undefined);
  t.equal(choose(`%i`, { project: { id: 'A', name: 'x' } }), undefined);
  t.strictSame(planRoleBindings(SYNCHRONIZED, 'al'), {
    bindings: [{ name: 'u1_member', role: 'member', username: 'al' }],
    skippedRoles: ['a/b', 'system:masters', '', 'x%y'],
  });
});

void t.test('the configuration of the synchronization is read, and faults in it are named', async (t) => {
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
  const unknownKeys: string[] = [];
  const text = 'comment: x\nrole-mappings: [{keystone-role: r, description: y}]';
  t.match(
    parseSyncConfig(text, 'f', (key) => unknownKeys.push(key)),
    { roleMappings: [{ role: 'r' }] },
  );
  t.strictSame(unknownKeys, ['comment', 'description']);
  const invalid: Readonly<Record<string, RegExp>> = {
    'data-types-to-sync: [secrets]': /supports projects and role_assignments, not "secrets"/,
    'data-types-to-sync: projects': /must be a list of strings/,
    'namespace-format: "%n"': /must contain %i/,
    'namespace-format: [x]': /must be a string/,
    'namespace-format: "%i-"': /letter or digit at both ends/,
    'namespace-format: "%i %n"': /must consist of/,
    'namespace-format: "%i/%n"': /must consist of/,
    'namespace-format: "%i-%x"': /must consist of/,
    'data-types-to-sync: [role-assignments]': /supports projects and role_assignments, not "role-assignments"/,
    'Projects-Blacklist: [x]': /"Projects_Blacklist" is unknown; did you mean "projects_blacklist"/,
    'project-blacklist: [x]': /did you mean "projects_blacklist"/,
    'excluded-projects: [x]': /the key "excluded_projects" is unknown/,
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
