// The whole chain with real programs: kubectl → the plugin → Keystone → kube-apiserver → the webhook → Keystone.
// Skipped by name if no API server is built, except in CI.

import { makeIssuerKey, signJwt, startStandInIssuer } from '../support/stand-in-issuer.ts';
import { chooseClusterPlace, makeConfigMap, startCluster, testOnEachKubernetes } from '../support/cluster.ts';
import { findCheck } from '../support/doctor.ts';
import type { DoctorCheck } from '../support/doctor.ts';
import { runPlugin } from '../support/run-plugin.ts';
import { logIn, revokeToken } from '../support/tenancy.ts';
import { waitUntil } from '../support/wait-until.ts';
import { startWebhookProcess } from '../support/webhook-process.ts';
import { PATIENT_REVIEWS } from '../support/webhook-settings.ts';

const TTL_SECONDS = 2;

await testOnEachKubernetes(
  'kubectl reaches a cluster through the plugin, Keystone, kube-apiserver and the webhook',
  async (t, environment, programs) => {
    const { domain, projects, users } = environment.tenancy;
    const place = await chooseClusterPlace(t, environment);
    const key = makeIssuerKey('first');
    const issuer = await startStandInIssuer(t, environment.pki, [key]);
    const webhook = await startWebhookProcess(t, {
      keystone: environment.http,
      issuer,
      pki: environment.pki,
      args: [
        ...['--kubeconfig', place.kubeconfig, '--cache-ttl', String(TTL_SECONDS), ...PATIENT_REVIEWS],
        ...['--oidc-username-prefix', 'oidc:', '--oidc-groups-claim', 'groups', '--oidc-groups-prefix', 'oidc:'],
      ],
      env: { KEYSTONE_POLICY_CONFIGMAP_NAME: 'keystone-policy', KEYSTONE_SYNC_CONFIGMAP_NAME: 'keystone-sync' },
    });
    const cluster = await startCluster(t, environment, programs, {
      place,
      webhookPort: webhook.port,
      cacheSeconds: TTL_SECONDS,
    });
    const { create, env, home, kubeconfig, kubectl: run, kubectlAuthenticated: runAuthenticated } = cluster;
    const canGet = cluster.canGetPods;

    for (const name of ['web', 'db']) await create('/api/v1/namespaces', { metadata: { name } });
    await waitUntil(
      'kube-system exists',
      async () => (await cluster.request('/api/v1/namespaces/kube-system')).status === 200,
    );
    const maps = '/api/v1/namespaces/kube-system/configmaps';
    const v2 = [
      { users: { projects: ['demo'], roles: ['member'] }, resource_permissions: { 'web/pods': ['get', 'list'] } },
    ];
    await create(maps, makeConfigMap('keystone-policy', { policies: JSON.stringify(v2) }));

    await waitUntil('version 2 of the policy applies, by ConfigMap', () => canGet('web'));
    const forbidden = await runAuthenticated('get', 'pods', '-n', 'db');
    t.equal(forbidden.status, 1);
    t.match(
      forbidden.stderr,
      /Forbidden.*User "alice" cannot list resource "pods".*namespace "db".*no entry of the Keystone policy allows it/s,
    );
    t.match(await runAuthenticated('auth', 'can-i', 'create', 'pods/exec', '-n', 'web'), {
      status: 1,
      stdout: /^no/,
    });

    // RBAC by the group of the project.
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    await create(`${rbac}/namespaces/db/roles`, {
      metadata: { name: 'see' },
      rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] }],
    });
    await create(`${rbac}/namespaces/db/rolebindings`, {
      metadata: { name: 'project' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'see' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: projects.demo.id }],
    });
    await waitUntil('RBAC applies to the group of the project', () => canGet('db'));
    // Kubernetes 1.20 is too old for SelfSubjectReview, but its refusal names the user.
    const doctor = await runPlugin({ home, args: ['doctor', '--kubeconfig', kubeconfig, '-o', 'json'], env });
    t.equal(doctor.status, 0, doctor.stdout);
    t.match(findCheck(JSON.parse(doctor.stdout) as DoctorCheck[], 'API server'), {
      result: 'good',
      found: 'authenticates you as alice',
    });
    const token = await logIn(environment.http, users.alice, { project: { id: projects.demo.id } });
    /** Sends a review to the API server until the webhook could answer it, and returns the body of the response. */
    const ask = async (path: string, body: object, isAnswered: (body: unknown) => boolean, bearer?: string) => {
      let response = await cluster.request(path, {
        method: 'POST',
        body,
        ...(bearer === undefined ? {} : { token: bearer }),
      });
      await waitUntil(`an answer to POST ${path}`, async () => {
        const isDone = response.status === 201 && isAnswered(response.body);
        if (!isDone)
          response = await cluster.request(path, {
            method: 'POST',
            body,
            ...(bearer === undefined ? {} : { token: bearer }),
          });
        return isDone;
      });
      return response.body;
    };
    const isAuthenticated = (body: unknown): boolean =>
      (body as { status: { authenticated?: boolean } }).status.authenticated === true;

    // The user as the API server sees her, in each version that it serves.
    for (const version of programs.minor < 22 ? ['v1', 'v1beta1'] : ['v1']) {
      const tokenReview = { spec: { token } };
      const body = await ask(`/apis/authentication.k8s.io/${version}/tokenreviews`, tokenReview, isAuthenticated);
      const { user } = (body as { status: { user: { groups: string[]; extra: Record<string, string[]> } } }).status;
      const extra = 'alpha.kubernetes.io/identity';
      t.match(user, {
        username: 'alice',
        uid: users.alice.id,
        extra: {
          [`${extra}/project/id`]: [projects.demo.id],
          [`${extra}/project/name`]: ['demo'],
          [`${extra}/user/domain/id`]: [domain.id],
          [`${extra}/user/domain/name`]: ['My Domain'],
        },
      });
      t.strictSame(user.groups.toSorted(), [projects.demo.id, 'system:authenticated'].toSorted());
      t.strictSame(user.extra[`${extra}/roles`]?.toSorted(), ['member', 'reader']);
      t.equal(Object.keys(user.extra).length, 5, 'no other extra');
    }
    const review = { spec: { resourceAttributes: { verb: 'list', resource: 'pods', namespace: 'web' } } };
    const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
    const isDecided = (): boolean => true;
    t.match(await ask(path, review, isDecided, token), {
      status: { allowed: true, reason: 'entry 1 of the Keystone policy' },
    });
    const getAccess = async (namespace: string, verb: string): Promise<unknown> => {
      const resourceAttributes = { verb, resource: 'pods', namespace };
      const body = await ask(path, { spec: { resourceAttributes } }, isDecided, token);
      return (body as { status: unknown }).status;
    };
    t.match(await getAccess('db', 'list'), { allowed: true, reason: /RBAC: allowed by RoleBinding "project\/db"/ });
    t.match(await getAccess('db', 'delete'), { allowed: false, reason: /no entry of the Keystone policy allows it/ });
    t.match(await getAccess('web', 'delete'), {
      allowed: false,
      reason: /no entry of the Keystone policy allows it/,
    });

    // Version 1 of the policy, without a restart.
    const v1 = [
      {
        resource: { verbs: ['list'], resources: ['configmaps'], version: '', namespace: 'web' },
        match: [{ type: 'role', values: ['reader'] }],
      },
    ];
    await cluster.request(`${maps}/keystone-policy`, {
      method: 'PUT',
      body: makeConfigMap('keystone-policy', { policies: JSON.stringify(v1) }),
    });
    await waitUntil('version 1 of the policy applies', async () => {
      const { status, stderr } = await run('get', 'pods', '-n', 'web');
      return status !== 0 && stderr.includes('Forbidden');
    });
    t.equal((await runAuthenticated('get', 'configmaps', '-n', 'web')).status, 0);

    // A namespace for the project, and RoleBindings for the roles.
    const hasNamespace = async (): Promise<boolean> =>
      (await cluster.request(`/api/v1/namespaces/${projects.demo.id}`)).status === 200;
    await create(
      maps,
      makeConfigMap('keystone-sync', {
        syncConfig:
          'data-types-to-sync: [projects, role_assignments]\n' +
          'role-mappings:\n- keystone-role: member\n  groups: [builders]\n',
      }),
    );
    await waitUntil(
      'the project has a namespace',
      async () => (await run('get', 'configmaps', '-n', 'web')).status === 0 && hasNamespace(),
    );
    const listRoleBindings = async (): Promise<string[]> => {
      const { body } = await cluster.request(`${rbac}/namespaces/${projects.demo.id}/rolebindings`);
      return (body as { items: { metadata: { name: string } }[] }).items.map(({ metadata }) => metadata.name);
    };
    await waitUntil('the user has RoleBindings', async () => (await listRoleBindings()).length >= 2);
    t.strictSame((await listRoleBindings()).toSorted(), [`${users.alice.id}_member`, `${users.alice.id}_reader`]);

    // A revoked token.
    const configMapsPath = `/api/v1/namespaces/web/configmaps`;
    await waitUntil(
      'the token is accepted',
      async () => (await cluster.request(configMapsPath, { token })).status === 200,
    );
    await revokeToken(environment.http, token);
    // validate-token.test.ts says when. Here both caches end with the time of the machine.
    await waitUntil('Keystone refuses the revoked token, and not only for lack of an answer', async () => {
      const { status } = await cluster.request(configMapsPath, { token });
      return status === 401 && webhook.readOutput().includes('Keystone does not accept the token');
    });
    t.equal((await cluster.request(configMapsPath, { token: 'junk' })).status, 401);
    t.equal((await cluster.request(configMapsPath)).status, 200, 'the token of the administrator needs no webhook');
    t.notOk(webhook.readOutput().includes(token));

    // A token of the OpenID Connect issuer.
    const claims = { iss: issuer.url, sub: 'u-1', aud: 'kubernetes', exp: Math.floor(Date.now() / 1000) + 3_600 };
    const jwtReview = { spec: { token: signJwt({ ...claims, groups: ['devs'] }, key) } };
    t.match(await ask('/apis/authentication.k8s.io/v1/tokenreviews', jwtReview, isAuthenticated), {
      status: { authenticated: true, user: { username: 'oidc:u-1', groups: ['oidc:devs', 'system:authenticated'] } },
    });
    const forgedToken = signJwt(claims, { ...makeIssuerKey('forged'), kid: key.kid });
    t.equal((await cluster.request(configMapsPath, { token: forgedToken })).status, 401);
    t.equal(await webhook.stop(), 0, 'the webhook ran all the time');
  },
);
