// Against a real Keystone: the users of tokens, tokens that a cluster cannot use, and the number of requests to
// Keystone.

import type { Test } from 'tap';
import type { KeystoneAddress } from '../../scripts/keystone/keystone.ts';
import { damageEnd } from '../support/damaged-token.ts';
import { callKeystone, findId, logIn, logInAsAdmin, listRoles, revokeToken } from '../support/tenancy.ts';
import { watchRequests, listRequests } from '../support/request-log.ts';
import type { WatchedAddress } from '../support/request-log.ts';
import { getTlsKeystone } from '../support/keystone-tls.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';
import { startWebhook } from '../support/webhook.ts';
import type { TestWebhook } from '../support/webhook.ts';

async function start(
  t: Test,
  environment: TestEnvironment,
  args: readonly string[] = [],
): Promise<{ keystone: WatchedAddress; webhook: TestWebhook }> {
  const keystone = watchRequests(environment.http);
  return {
    keystone,
    webhook: await startWebhook(t, { keystone, pki: environment.pki, args }),
  };
}

const describeRequests = (keystone: WatchedAddress): string[] =>
  listRequests(keystone).map(({ method, path, status }) => `${method} ${path} ${status}`);

testWithKeystone('the user of a token is found in both versions, with two requests', async (t, environment) => {
  const { users, projects, domain } = environment.tenancy;
  const { keystone, webhook } = await start(t, environment);
  const token = await logIn(environment.http, users.alice, { project: { id: projects.demo.id } });
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
  t.notOk(JSON.stringify(first.body).includes(token), 'the response does not contain the token');
  for (const version of ['v1', 'v1beta1'] as const) {
    const status = await webhook.reviewToken(token, version);
    t.match(status, { authenticated: true, user });
    const { groups, extra } = status['user'] as { groups: string[]; extra: Record<string, string[]> };
    t.ok(groups.includes(projects.demo.id));
    t.strictSame(extra['alpha.kubernetes.io/identity/roles']?.toSorted(), ['member', 'reader']);
  }
  t.strictSame(describeRequests(keystone), [
    'GET /v3/auth/tokens?nocatalog=true 200',
    `GET /v3/users/${users.alice.id}/groups 200`,
  ]);
  t.equal(await webhook.stop(), 0);
  t.notOk(webhook.readOutput().includes(token), 'the log does not contain the token');
});

testWithKeystone(
  'Keystone groups are mapped, and names that Kubernetes reserves are dropped',
  async (t, environment) => {
    const { users, projects, domain } = environment.tenancy;
    const admin = await logInAsAdmin(environment.http);
    for (const name of ['devs', 'system:masters']) {
      const { group } = (await callKeystone(environment.http, '/v3/groups', {
        method: 'POST',
        token: admin,
        body: { group: { name, domain_id: domain.id } },
      })) as { group: { id: string } };
      t.teardown(() => callKeystone(environment.http, `/v3/groups/${group.id}`, { method: 'DELETE', token: admin }));
      await callKeystone(environment.http, `/v3/groups/${group.id}/users/${users.bob.id}`, {
        method: 'PUT',
        token: admin,
      });
    }
    const formats = ['--username-format', '%D:%n', '--group-format', '%n@%d'];
    const [plain, qualified] = await Promise.all([start(t, environment), start(t, environment, formats)]);
    const token = await logIn(environment.http, users.bob, { project: { id: projects.demo.id } });
    t.match(await plain.webhook.reviewToken(token), { user: { username: 'bob', groups: ['devs', projects.demo.id] } });
    t.match(plain.webhook.readOutput(), /"names":\["system:masters"\].*were dropped/);
    t.match(await qualified.webhook.reviewToken(token), {
      user: { username: 'My Domain:bob', groups: [`devs@${domain.id}`, projects.demo.id] },
    });
  },
);

testWithKeystone('tokens that a cluster cannot use are refused with a reason', async (t, environment) => {
  const { users, domain, projects } = environment.tenancy;
  const { keystone, webhook } = await start(t, environment);
  const scopes = {
    'no scope': undefined,
    'for a domain': { domain: { id: domain.id } },
    'for the system': { system: { all: true } },
  };
  for (const [reason, scope] of Object.entries(scopes)) {
    const token = await logIn(environment.http, users.alice, scope);
    t.strictSame(await webhook.reviewToken(token), { authenticated: false }, reason);
    t.match(webhook.readOutput(), new RegExp(`${reason}.*must be for a project`));
  }
  t.equal(describeRequests(keystone).length, 3);
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
  t.equal(describeRequests(keystone).length, 3, 'no request for what cannot be a token');
  const validToken = await logIn(environment.http, users.alice, { project: { id: projects.demo.id } });
  const changedToken = damageEnd(validToken);
  for (let round = 0; round < 3; round += 1)
    t.strictSame(await webhook.reviewToken(changedToken), { authenticated: false });
  t.equal(describeRequests(keystone).length, 4, 'one request for a refused token');
});

testWithKeystone(
  'tokens of application credentials with access rules are refused, unless they are accepted by an option',
  async (t, environment) => {
    const { users, projects, applicationCredentials } = environment.tenancy;
    const [accepting, refusing] = await Promise.all([
      start(t, environment, ['--access-rules', 'accept']),
      start(t, environment),
    ]);
    const token = await logInByCredential(environment.http, applicationCredentials.valid);
    t.match(await accepting.webhook.reviewToken(token), { authenticated: true, user: { uid: users.alice.id } });
    t.match(await refusing.webhook.reviewToken(token), { authenticated: true });

    const aliceToken = await logIn(environment.http, users.alice, { project: { id: projects.demo.id } });
    const roles = [{ id: findId(await listRoles(environment.http, await logInAsAdmin(environment.http)), 'member') }];
    const rule = { service: 'compute', method: 'GET', path: '/v2.1/servers' };
    const { application_credential: credential } = (await callKeystone(
      environment.http,
      `/v3/users/${users.alice.id}/application_credentials`,
      {
        method: 'POST',
        token: aliceToken,
        body: { application_credential: { name: 'ruled', roles, access_rules: [rule] } },
      },
    )) as { application_credential: { id: string; secret: string } };
    const restrictedToken = await logInByCredential(environment.http, credential);
    t.match(await accepting.webhook.reviewToken(restrictedToken), {
      authenticated: true,
      user: { uid: users.alice.id },
    });
    t.strictSame(await refusing.webhook.reviewToken(restrictedToken), { authenticated: false }, 'refused by default');
    t.match(refusing.webhook.readOutput(), /access rules restrict/);
  },
);

testWithKeystone(
  'a token of a trust with impersonation is refused, and the refusal is remembered',
  async (t, environment) => {
    const { users, projects } = environment.tenancy;
    const { keystone, webhook } = await start(t, environment);
    const { trust } = (await callKeystone(environment.http, '/v3/OS-TRUST/trusts', {
      method: 'POST',
      token: await logIn(environment.http, users.alice, { project: { id: projects.demo.id } }),
      body: {
        trust: {
          trustor_user_id: users.alice.id,
          trustee_user_id: users.bob.id,
          project_id: projects.demo.id,
          impersonation: true,
          roles: [{ name: 'member' }],
        },
      },
    })) as { trust: { id: string } };
    const token = await logIn(environment.http, users.bob, { 'OS-TRUST:trust': { id: trust.id } });
    for (let round = 0; round < 3; round += 1) t.strictSame(await webhook.reviewToken(token), { authenticated: false });
    t.strictSame(describeRequests(keystone), ['GET /v3/auth/tokens?nocatalog=true 403']);
  },
);

testWithKeystone('a revoked token is refused after its time in the cache', async (t, environment) => {
  const { users, projects } = environment.tenancy;
  const { webhook } = await start(t, environment, ['--cache-ttl', '1']);
  const token = await logIn(environment.http, users.alice, { project: { id: projects.other.id } });
  t.match(await webhook.reviewToken(token), { authenticated: true });
  await revokeToken(environment.http, token);
  t.match(await webhook.reviewToken(token), { authenticated: true }, 'it is still cached');
  await webhook.clock.advance(1_000);
  t.strictSame(await webhook.reviewToken(token), { authenticated: false });
});

testWithKeystone(
  'Keystone is found by discovery, and reached only over TLS that is trusted',
  async (t, environment) => {
    const { users, projects } = environment.tenancy;
    const { pki } = environment;
    const keystone = watchRequests(getTlsKeystone());
    const args = ['--keystone-url', keystone.url];
    const webhook = await startWebhook(t, { keystone, pki, args });
    const token = await logIn(environment.http, users.bob, { project: { id: projects.demo.id } });
    t.match(await webhook.reviewToken(token), { authenticated: true, user: { username: 'bob' } });
    const untrusted = [...args, '--keystone-ca-file', pki.untrusted.ca];
    const distrusting = await startWebhook(t, { keystone, pki, args: untrusted });
    const before = listRequests(keystone).length;
    t.match(await distrusting.reviewToken(token), { authenticated: false, error: /certificate is not trusted/ });
    t.equal(listRequests(keystone).length, before, 'the token is not sent');
  },
);

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
