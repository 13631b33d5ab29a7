// Against a real Keystone: whose token it is, which tokens are no use to a cluster, and how often Keystone is asked.

import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import type { KeystoneAddress } from '../../scripts/keystone/keystone.ts';
import { callKeystone, findId, logIn, logInAsAdmin, listRoles, revokeToken } from '../support/tenancy.ts';
import { watchRequests, listRequests, testWithKeystone } from '../support/test-environment.ts';
import type { WatchedAddress, TestEnvironment } from '../support/test-environment.ts';
import { startWebhookProcess } from '../support/webhook-process.ts';
import type { WebhookProcess } from '../support/webhook-process.ts';

t.setTimeout(120_000);

async function start(
  t: Test,
  world: TestEnvironment,
  args: readonly string[] = [],
): Promise<{ mark: WatchedAddress; webhook: WebhookProcess }> {
  const mark = watchRequests(world.http);
  return { mark, webhook: await startWebhookProcess(t, { keystoneUrl: `${mark.url}/v3`, pki: world.pki, args }) };
}

const asked = (mark: WatchedAddress): string[] =>
  listRequests(mark).map(({ method, path, status }) => `${method} ${path} ${status}`);

testWithKeystone('whose token it is, in both versions, with two requests', async (t, world) => {
  const { users, projects, domain } = world.tenancy;
  const { mark, webhook } = await start(t, world);
  const token = await logIn(world.http, users.alice, { project: { id: projects.demo.id } });
  const user = {
    username: 'alice',
    uid: users.alice.id,
    extra: {
      'alpha.kubernetes.io/identity/project/id': [projects.demo.id],
      'alpha.kubernetes.io/identity/project/name': ['demo'],
      'alpha.kubernetes.io/identity/user/domain/id': [domain.id],
      'alpha.kubernetes.io/identity/user/domain/name': ['My Domain'],
    },
  };
  const first = await webhook.postReview({
    kind: 'TokenReview',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { creationTimestamp: null },
    spec: { token, audiences: ['https://127.0.0.1:6443'] },
    status: { user: {} },
  });
  t.match(first, { status: 200, body: { kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1' } });
  t.notOk(JSON.stringify(first.body).includes(token), 'the token is not echoed');
  for (const version of ['v1', 'v1beta1'] as const) {
    const status = await webhook.reviewToken(token, version);
    t.match(status, { authenticated: true, user });
    const { groups, extra } = status['user'] as { groups: string[]; extra: Record<string, string[]> };
    t.ok(groups.includes(projects.demo.id));
    t.strictSame(extra['alpha.kubernetes.io/identity/roles']?.toSorted(), ['member', 'reader']);
  }
  t.strictSame(asked(mark), ['GET /v3/auth/tokens?nocatalog=true 200', `GET /v3/users/${users.alice.id}/groups 200`]);
  t.equal(await webhook.stop(), 0);
  t.notOk(webhook.readOutput().includes(token), 'no log holds the token');
});

testWithKeystone("groups of Keystone's; Kubernetes' own are dropped", async (t, world) => {
  const { users, projects, domain } = world.tenancy;
  const admin = await logInAsAdmin(world.http);
  for (const name of ['devs', 'system:masters']) {
    const { group } = (await callKeystone(world.http, '/v3/groups', {
      method: 'POST',
      token: admin,
      body: { group: { name, domain_id: domain.id } },
    })) as { group: { id: string } };
    t.teardown(() => callKeystone(world.http, `/v3/groups/${group.id}`, { method: 'DELETE', token: admin }));
    await callKeystone(world.http, `/v3/groups/${group.id}/users/${users.bob.id}`, { method: 'PUT', token: admin });
  }
  const formats = ['--username-format', '%D:%n', '--group-format', '%n@%d'];
  const [plain, qualified] = await Promise.all([start(t, world), start(t, world, formats)]);
  const token = await logIn(world.http, users.bob, { project: { id: projects.demo.id } });
  t.match(await plain.webhook.reviewToken(token), { user: { username: 'bob', groups: ['devs', projects.demo.id] } });
  t.match(plain.webhook.readOutput(), /"names":\["system:masters"\].*were dropped/);
  t.match(await qualified.webhook.reviewToken(token), {
    user: { username: 'My Domain:bob', groups: [`devs@${domain.id}`, projects.demo.id] },
  });
});

testWithKeystone('tokens that no cluster can use are refused with a reason', async (t, world) => {
  const { users, domain, projects } = world.tenancy;
  const { mark, webhook } = await start(t, world);
  const scopes = {
    'no scope': undefined,
    'for a domain': { domain: { id: domain.id } },
    'for the system': { system: { all: true } },
  };
  for (const [says, scope] of Object.entries(scopes)) {
    const token = await logIn(world.http, users.alice, scope);
    t.strictSame(await webhook.reviewToken(token), { authenticated: false }, says);
    t.match(webhook.readOutput(), new RegExp(`${says}.*must be for a project`));
  }
  t.equal(asked(mark).length, 3);
  const junk = [
    'x',
    'admintoken',
    'a.b.c',
    'Bearer',
    '\u0000',
    'gAAAAABnonsense',
    'x'.repeat(100_000),
    projects.demo.id,
  ];
  for (const token of junk) t.strictSame(await webhook.reviewToken(token), { authenticated: false });
  t.equal(asked(mark).length, 3, 'Keystone is not asked about what cannot be a token');
  const changed = `${(await logIn(world.http, users.alice, { project: { id: projects.demo.id } })).slice(0, -4)}AAAA`;
  for (let round = 0; round < 3; round += 1) t.strictSame(await webhook.reviewToken(changed), { authenticated: false });
  t.equal(asked(mark).length, 4, 'a refused token is asked about once');
});

testWithKeystone('application credentials, with access rules too', async (t, world) => {
  const { users, projects, applicationCredentials } = world.tenancy;
  const [loose, strict] = await Promise.all([start(t, world, ['--access-rules', 'accept']), start(t, world)]);
  const plain = await logInByCredential(world.http, applicationCredentials.valid);
  t.match(await loose.webhook.reviewToken(plain), { authenticated: true, user: { uid: users.alice.id } });
  t.match(await strict.webhook.reviewToken(plain), { authenticated: true });

  const hers = await logIn(world.http, users.alice, { project: { id: projects.demo.id } });
  const roles = [{ id: findId(await listRoles(world.http, await logInAsAdmin(world.http)), 'member') }];
  const rule = { service: 'compute', method: 'GET', path: '/v2.1/servers' };
  const { application_credential: made } = (await callKeystone(
    world.http,
    `/v3/users/${users.alice.id}/application_credentials`,
    { method: 'POST', token: hers, body: { application_credential: { name: 'ruled', roles, access_rules: [rule] } } },
  )) as { application_credential: { id: string; secret: string } };
  const ruled = await logInByCredential(world.http, made);
  t.match(await loose.webhook.reviewToken(ruled), { authenticated: true, user: { uid: users.alice.id } });
  t.strictSame(await strict.webhook.reviewToken(ruled), { authenticated: false }, 'refused unless accepted');
  t.match(strict.webhook.readOutput(), /access rules restrict/);
});

testWithKeystone('a revoked token is refused when its time in the cache is over', async (t, world) => {
  const { users, projects } = world.tenancy;
  const { webhook } = await start(t, world, ['--cache-ttl', '1']);
  const token = await logIn(world.http, users.alice, { project: { id: projects.other.id } });
  t.match(await webhook.reviewToken(token), { authenticated: true });
  await revokeToken(world.http, token);
  const revokedAt = performance.now();
  let status = await webhook.reviewToken(token);
  while (status['authenticated'] === true && performance.now() - revokedAt < 10_000) {
    await sleep(50);
    status = await webhook.reviewToken(token);
  }
  t.strictSame(status, { authenticated: false });
  t.comment(`refused ${Math.round(performance.now() - revokedAt)} ms after it was revoked, with --cache-ttl 1`);
});

testWithKeystone('over TLS, by discovery', async (t, world) => {
  const { users, projects } = world.tenancy;
  const mark = watchRequests(world.tls);
  const args = ['--keystone-ca-file', world.pki.ca];
  const webhook = await startWebhookProcess(t, { keystoneUrl: mark.url, pki: world.pki, args });
  const token = await logIn(world.http, users.bob, { project: { id: projects.demo.id } });
  t.match(await webhook.reviewToken(token), { authenticated: true, user: { username: 'bob' } });
  const untrusting = await startWebhookProcess(t, {
    keystoneUrl: mark.url,
    pki: world.pki,
    args: ['--keystone-ca-file', world.pki.untrusted.ca],
  });
  const before = listRequests(mark).length;
  t.match(await untrusting.reviewToken(token), { authenticated: false, error: /certificate is not trusted/ });
  t.equal(listRequests(mark).length, before, 'and the token is not sent');
});

async function logInByCredential(
  server: KeystoneAddress,
  { id, secret }: { id: string; secret: string },
): Promise<string> {
  const identity = { methods: ['application_credential'], application_credential: { id, secret } };
  const response = await fetch(`${server.url}/v3/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ auth: { identity } }),
  });
  return response.headers.get('x-subject-token') ?? `no token: ${response.status}`;
}
