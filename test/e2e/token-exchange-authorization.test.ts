// What users of a token exchange may do: kubectl → the plugin → Keystone → the issuer → kube-apiserver with the documented
// files → RBAC on groups, and the policy of the webhook on roles and projects. And what they can do while Keystone is down.
// Skipped by name if no API server is built, except in CI.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { writeIssuerFlags } from '../../scripts/kubernetes/issuer-flags.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { allowReading, chooseClusterPlace, startCluster, testOnEachKubernetes } from '../support/cluster.ts';
import type { Cluster } from '../support/cluster.ts';
import { makeKeyFile } from '../support/issuer.ts';
import { makeIssuerCommandLine } from '../support/issuer-settings.ts';
import { asUser, onProject } from '../support/login-settings.ts';
import type { LoginSettings } from '../support/login-settings.ts';
import { PLUGIN_PATH, runPlugin } from '../support/run-plugin.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { readClaims } from '../support/stand-in-exchange.ts';
import { PATIENT } from '../support/stress.ts';
import { startSwitchedKeystone } from '../support/switched-keystone.ts';
import { waitUntil } from '../support/wait-until.ts';
import { startServerProcess, startWebhookProcess } from '../support/webhook-process.ts';

const AUDIENCE = 'cluster-a';

/** The shortest one, so that a test can wait for its end. */
const LIFETIME_SECONDS = 60;

const AUDIENCES = {
  audiences: [
    { name: AUDIENCE, 'lifetime-seconds': LIFETIME_SECONDS, allow: [{ roles: ['member'] }, { roles: ['reader'] }] },
  ],
};

/** Each resource needs another role or project. */
const POLICY = [
  { users: { projects: ['demo'], roles: ['member'] }, resource_permissions: { 'web/pods': ['list'] } },
  { users: { projects: ['demo'], roles: ['reader'] }, resource_permissions: { 'web/configmaps': ['list'] } },
  { users: { projects: ['other'], roles: ['reader'] }, resource_permissions: { 'web/services': ['list'] } },
  { users: { projects: ['other'], roles: ['member'] }, resource_permissions: { 'web/limitranges': ['list'] } },
];
const RESOURCES = ['pods', 'configmaps', 'services', 'limitranges'] as const;

interface UserInfo {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

type Kubectl = (...args: readonly string[]) => Promise<RunResult>;

/** Lists what a user may list in the namespace web, as kubectl finds out by listing it. */
async function listAllowed(kubectl: Kubectl): Promise<readonly string[]> {
  const allowed: string[] = [];
  for (const resource of RESOURCES) {
    const { status, stderr } = await kubectl('get', resource, '-n', 'web');
    if (status === 0) allowed.push(resource);
    else if (!stderr.includes('Forbidden') && !stderr.includes('forbidden')) throw new Error(stderr);
  }
  return allowed;
}

async function readUserInfo(t: Test, kubectl: Kubectl): Promise<UserInfo> {
  const { status, stdout, stderr } = await kubectl('auth', 'whoami', '-o', 'json');
  t.equal(status, 0, stderr);
  return (JSON.parse(stdout) as { status: { userInfo: UserInfo } }).status.userInfo;
}

async function allowImpersonation({ create }: Cluster, name: string, rule: object): Promise<void> {
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  await create(`${rbac}/clusterroles`, { metadata: { name }, rules: [{ verbs: ['impersonate'], ...rule }] });
  await create(`${rbac}/clusterrolebindings`, {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'bob' }],
  });
}

await testOnEachKubernetes(
  'users of a token exchange have the rights of their roles, projects and groups',
  async (t, environment, programs) => {
    const { pki, http, tenancy } = environment;
    const { users, projects, domain } = tenancy;
    // The flags of older versions set no extra keys, to which the policy of the webhook applies.
    const hasExtra = programs.minor >= 34;
    const place = await chooseClusterPlace(t, environment);
    const keystone = await startSwitchedKeystone(t, http);
    const policyFile = join(place.folder, 'policy.json');
    writeFileSync(policyFile, JSON.stringify(POLICY));
    const webhook = await startWebhookProcess(t, { keystone: http, pki, args: ['--keystone-policy-file', policyFile] });
    const [port, keyFile] = [await findFreePort(), await makeKeyFile(t)];
    const url = `https://127.0.0.1:${port}`;
    const settings = { keystone, keyFile, url, port, pki, audiences: AUDIENCES };
    await startServerProcess(t, await makeIssuerCommandLine(t, { ...settings, args: ['--keystone-timeout', '30'] }));
    const cluster = await startCluster(t, environment, programs, {
      place,
      webhookPort: webhook.port,
      cacheSeconds: 1,
      flags: {
        ...writeIssuerFlags({ minor: programs.minor, url, caFile: pki.ca, folder: place.folder }),
        'authentication-token-webhook-config-file': undefined,
      },
    });
    for (const name of ['web', 'db']) await cluster.create('/api/v1/namespaces', { metadata: { name } });
    await allowReading(cluster, 'db', { kind: 'Group', name: projects.demo.id });

    const kubeconfig = join(cluster.home.path, 'exchange');
    const addContext = async (name: string, login: LoginSettings): Promise<Kubectl> => {
      const add = await runPlugin({
        home: cluster.home,
        env: { ...login, OS_AUTH_URL: `${keystone.url}/v3`, PATH: cluster.env['PATH'] },
        args: [
          ...['kubeconfig', 'add', `--kubeconfig=${kubeconfig}`, `--name=${name}`, `--server=${cluster.url}`],
          ...[`--certificate-authority=${pki.ca}`, `--command=${PLUGIN_PATH}`, '--with-secrets'],
          ...[
            `--token-exchange-url=${url}`,
            `--token-exchange-audience=${AUDIENCE}`,
            `--token-exchange-cacert=${pki.ca}`,
            ...PATIENT,
          ],
        ],
      });
      t.equal(add.status, 0, add.stderr);
      return (...args) => cluster.kubectl('--kubeconfig', kubeconfig, '--context', name, ...args);
    };
    const alice = await addContext('alice', { ...asUser(users.alice, domain), ...onProject(projects.demo, domain) });
    const aliceOnOther = await addContext('other', {
      ...asUser(users.alice, domain),
      ...onProject(projects.other, domain),
    });
    const bob = await addContext('bob', { ...asUser(users.bob, domain), ...onProject(projects.demo, domain) });
    await waitUntil(
      'the API server has read the keys, and RBAC applies',
      async () => (await alice('get', 'pods', '-n', 'db')).status === 0,
    );

    await t.test('the policy of the webhook applies to the roles and the project of the JWT', async (t) => {
      t.strictSame(await listAllowed(alice), hasExtra ? ['pods', 'configmaps'] : [], 'alice on demo');
      // In Keystone, the role member implies the role reader.
      t.strictSame(await listAllowed(bob), hasExtra ? ['pods', 'configmaps'] : [], 'bob on demo');
      t.strictSame(
        await listAllowed(aliceOnOther),
        hasExtra ? ['services'] : [],
        'on the other project, she is no member',
      );
      t.match(await alice('auth', 'can-i', 'delete', 'pods', '-n', 'web'), { status: 1, stdout: /^no/ });
      t.match(
        await alice('auth', 'can-i', 'list', 'pods', '-n', 'db'),
        { status: 0, stdout: 'yes\n' },
        'RBAC for the group',
      );
      t.match(await aliceOnOther('auth', 'can-i', 'list', 'pods', '-n', 'db'), { status: 1, stdout: /^no/ });
    });

    await t.test('"kubectl auth whoami" shows the user of the JWT', { skip: !hasExtra && 'no such API' }, async (t) => {
      const { extra = {}, ...user } = await readUserInfo(t, alice);
      t.strictSame(user, {
        username: 'alice',
        uid: users.alice.id,
        groups: [projects.demo.id, 'system:authenticated'],
      });
      const {
        'identity.openstack.org/roles': roles = [],
        'authentication.kubernetes.io/credential-id': id,
        ...others
      } = extra;
      t.strictSame(roles.toSorted(), ['member', 'reader']);
      t.match(id, [/^JTI=[\da-f-]{36}$/]);
      t.strictSame(others, {
        'identity.openstack.org/project/id': [projects.demo.id],
        'identity.openstack.org/project/name': ['demo'],
        'identity.openstack.org/user/domain/id': [domain.id],
        'identity.openstack.org/user/domain/name': [domain.name],
      });
      const { username, groups, extra: ofOther } = await readUserInfo(t, aliceOnOther);
      t.strictSame([username, groups], ['alice', [projects.other.id, 'system:authenticated']]);
      t.match(ofOther, {
        'identity.openstack.org/project/name': ['other'],
        'identity.openstack.org/roles': ['reader'],
      });
    });

    await t.test('impersonation gives nobody the roles of somebody else', async (t) => {
      const asAlice = ['--as', 'alice'];
      const forged = [...asAlice, '--as-user-extra', 'identity.openstack.org/roles=reader'];
      const getConfigMaps = (...args: readonly string[]) => bob('get', 'configmaps', '-n', 'web', ...args);
      t.match(await getConfigMaps(...asAlice), { status: 1, stderr: /bob" cannot impersonate/ });
      await allowImpersonation(cluster, 'become-alice', {
        apiGroups: [''],
        resources: ['users'],
        resourceNames: ['alice'],
      });
      await waitUntil('RBAC applies', async () => !(await getConfigMaps(...asAlice)).stderr.includes('impersonate'));
      t.match(
        await getConfigMaps(...asAlice),
        { status: 1, stderr: /alice" cannot list resource "configmaps"/ },
        'without roles',
      );
      t.match(await getConfigMaps(...forged), { status: 1, stderr: /bob" cannot impersonate/ });
      t.match(await bob('get', 'pods', '-n', 'db', ...asAlice), { status: 1 }, 'nor with her groups');
    });

    if (!hasExtra) return;

    await t.test(
      'while Keystone is down, kubectl works until the JWT ends, and then again without a prompt',
      async (t) => {
        const getVersion = (): Promise<RunResult> => alice('get', '--raw', '/version');
        const readEnd = async (): Promise<number> => {
          const run = await runPlugin({
            home: cluster.home,
            env: { PATH: cluster.env['PATH'], KUBECONFIG: kubeconfig },
            args: ['token', '--exchanged', '--context=alice'],
          });
          t.equal(run.status, 0, run.stderr);
          return Number(readClaims(run.stdout.trim())['exp']) * 1_000;
        };
        const logins = keystone.countLogins();
        await readEnd();
        keystone.switch(false);
        const end = await readEnd();
        t.ok(end <= Date.now() + LIFETIME_SECONDS * 1_000);
        let [before, after] = [0, 0];
        while (after < 3) {
          const startedAt = Date.now();
          const { status, stderr } = await getVersion();
          if (Date.now() < end) {
            before += 1;
            t.equal(status, 0, stderr);
            t.match(
              stderr,
              /^$|^client-keystone-auth: warning: the token for the cluster is used until \S+, because[^\n]+\n$/,
            );
          } else if (startedAt >= end) {
            after += 1;
            const [line = '', ...others] = stderr.split('\n').filter((each) => each.startsWith('client-keystone-auth'));
            t.not(status, 0);
            t.match(line, /the issuer failed with status 503 \(temporarily_unavailable: Keystone does not say/);
            t.strictSame(others, [], 'one line');
          }
          // Only the end of the JWT matters, so the commands need not follow each other at once.
          if (after === 0) await sleep(1_000);
        }
        t.comment(`${before} commands before the end of the JWT, ${after} after it`);
        keystone.switch(true);
        await waitUntil('Keystone is asked again', async () => (await getVersion()).status === 0);
        t.equal(keystone.countLogins(), logins, 'renewed without a login');
      },
    );
  },
);
