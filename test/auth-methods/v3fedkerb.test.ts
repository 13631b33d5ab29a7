// Against: a real Keystone with a mapping, behind Apache that checks tickets of a real KDC, and the system's curl.

import { dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { startKerberosFederation } from '../../scripts/federation/kerberos-federation.ts';
import type { KeystoneWithProvider } from '../../scripts/federation/federated-keystone.ts';
import { checkSuccess, EXIT_STATUS, startKeystoneForTest } from '../support/check-run.ts';
import { federatedAuthPath, waitForRequests } from '../support/federation.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import { makeTestHome } from '../support/home.ts';
import type { EnvVars } from '../support/home.ts';
import { startKerberosRealm } from '../support/kerberos-realm.ts';
import type { Realm } from '../support/kerberos-realm.ts';
import { checkFailedLogin } from '../support/log-in-twice.ts';
import { skipBecause } from '../support/missing-tools.ts';
import { describeRequest, watchRequests } from '../support/request-log.ts';
import { validateToken } from '../support/tenancy.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

const RESCOPE = 'POST /v3/auth/tokens?nocatalog=true';

interface FederationFixture {
  readonly realm: Realm;
  readonly federation: KeystoneWithProvider;
  /** The name of the file with the tickets. */
  readonly tickets: string;
  /** Makes someone with an openrc as CERN offers it, a new home and a new count of requests. */
  readonly makeUser: (t: Test, settings?: EnvVars) => { user: Fixture; list: (count: number) => Promise<string[]> };
}

async function setUpFederation(t: Test, environment: TestEnvironment): Promise<FederationFixture | undefined> {
  const { http, pki, tenancy } = environment;
  const dir = makeTestHome(t).path;
  const skip = async (missing: string): Promise<undefined> => {
    await t.test('a real KDC and Apache are needed', { skip: missing.replaceAll(/\s+/g, ' ') }, () => undefined);
    return undefined;
  };
  const realm = await startKerberosRealm(join(dir, 'realm'), ['alice', 'bob', 'stranger']);
  if ('missing' in realm) return skip(realm.missing);
  t.teardown(() => realm.stop());
  const federation = await startKerberosFederation({
    ...{ dataDir: dirname(http.accessLog), home: http, pki, tenancy, realm },
    users: ['alice', 'bob'],
  });
  if ('missing' in federation) return skip(skipBecause(federation.missing));
  t.teardown(() => federation.stop());
  const tickets = `FILE:${join(dir, 'tickets')}`;
  const openrc = {
    OS_AUTH_TYPE: 'v3fedkerb',
    OS_IDENTITY_API_VERSION: '3',
    OS_IDENTITY_PROVIDER: federation.provider,
    OS_MUTUAL_AUTH: 'disabled',
    OS_PROJECT_DOMAIN_ID: tenancy.domain.id,
    OS_PROJECT_NAME: tenancy.projects.demo.name,
    OS_PROTOCOL: federation.protocol,
    OS_REGION_NAME: 'cern',
    OS_TENANT_NAME: tenancy.projects.demo.name,
    OS_USERNAME: 'somebody',
  };
  const settings = {
    ...openrc,
    ...realm.env,
    OS_CACERT: pki.ca,
    KRB5CCNAME: tickets,
    PATH: `${realm.bin}:${process.env['PATH'] ?? ''}`,
  };
  return {
    realm,
    federation,
    tickets,
    makeUser(t, changes = {}) {
      const keystone = watchRequests(federation.keystone);
      const user = setUp(t, { keystone, settings: { ...settings, ...changes } });
      const log = { address: keystone, ca: pki.ca };
      return { user, list: async (count) => (await waitForRequests(log, count)).map(describeRequest) };
    },
  };
}

testWithKeystone("v3fedkerb logs in with CERN's kind of openrc", async (t, environment) => {
  const fixture = await setUpFederation(t, environment);
  if (fixture === undefined) return;
  const { realm, federation, tickets, makeUser } = fixture;
  const login = `GET ${federatedAuthPath(federation)}`;
  // With this method alone, curl sends the ticket without a challenge.
  const success = [`${login} 201`, `${RESCOPE} 201`];

  await t.test('the token has the project, and is cached per principal', async (t) => {
    const { user, list } = makeUser(t);
    await realm.kinit('alice', tickets);
    const { token } = checkSuccess(t, await user.run());
    t.strictSame(await list(2), success, 'only the first request has the ticket');
    t.match(await validateToken(environment.http, token), {
      user: { name: `alice@${realm.name}` },
      project: { name: 'demo' },
      roles: ['member', 'reader'],
      methods: ['kerberos', 'token'],
    });
    t.equal(checkSuccess(t, await user.run()).token, token);
    t.strictSame(await list(2), success, 'the cache answers the second run');

    await realm.kinit('bob', tickets);
    const other = checkSuccess(t, await user.run());
    t.match(await validateToken(environment.http, other.token), { user: { name: `bob@${realm.name}` } });
    t.strictSame(await list(4), [...success, ...success]);
    await realm.kinit('alice', tickets);
    t.equal(checkSuccess(t, await user.run()).token, token);
  });

  await t.test('a login without a project needs no second request', async (t) => {
    const { user, list } = makeUser(t, { OS_PROJECT_NAME: undefined, OS_TENANT_NAME: undefined, OS_UNSCOPED: 'true' });
    await realm.kinit('alice', tickets);
    const { token } = checkSuccess(t, await user.run(), [/the token has no scope/]);
    t.match(await validateToken(environment.http, token), { methods: ['kerberos'] });
    t.strictSame(await list(1), success.slice(0, 1));
  });

  await t.test('a login is refused with the reason', async (t) => {
    const fails = async (name: string, changes: EnvVars, count: number, says: string | RegExp): Promise<void> => {
      const { user, list } = makeUser(t, changes);
      const result = await user.run();
      t.match(result, { status: EXIT_STATUS.refused, stdout: '', stderr: says }, name);
      t.match(result.stderr, /^client-keystone-auth: [^\n]*\n$/, `${name}: one line`);
      const requests = await list(count);
      t.equal(requests.length, count, `${name}: ${requests.join(', ')}`);
    };
    await realm.kdestroy(tickets);
    await fails('no ticket', {}, 1, /refused the Kerberos login.*run "kinit"/);
    await realm.kinit('stranger', tickets);
    await fails('no mapping', {}, 1, /refused the Kerberos login for stranger@.*a mapping that does not match/);
    await realm.kinit('alice', tickets);
    await fails('no provider', { OS_IDENTITY_PROVIDER: 'other' }, 1, /has no identity provider "other"/);
    const { name } = environment.tenancy.projects.other;
    await fails('no role', { OS_PROJECT_NAME: name }, 2, /accepted the login, but not for alice@/);
  });
});

/** Someone with the settings of v3fedkerb at a stand-in, without a ticket. */
async function setUpStandIn(t: Test, settings: EnvVars = {}): Promise<{ user: Fixture; login: string }> {
  const keystone = await startKeystoneForTest(t);
  const changes = { OS_IDENTITY_PROVIDER: 'sssd', OS_PROTOCOL: 'kerberos', OS_UNSCOPED: 'true', ...settings };
  const user = setUp(t, {
    keystone,
    settings: { OS_AUTH_TYPE: 'v3fedkerb', PATH: process.env['PATH'], KRB5CCNAME: 'FILE:/nowhere', ...changes },
  });
  keystone.answerAlways((_, response) => void response.writeHead(302, { location: 'https://evil.example/' }).end());
  return { user, login: 'GET /v3/OS-FEDERATION/identity_providers/sssd/protocols/kerberos/auth' };
}

void t.test('v3fedkerb follows no redirect with the ticket', async (t) => {
  const { user, login } = await setUpStandIn(t);
  await checkFailedLogin(t, user, {
    requests: [login],
    status: EXIT_STATUS.protocol,
    says: ['redirects to https://evil.example'],
  });
});

void t.test('what curl cannot check is refused, and what is missing is named', async (t) => {
  for (const [settings, status, says] of [
    [{ OS_MUTUAL_AUTH: 'required' }, EXIT_STATUS.config, 'which curl cannot check; set OS_MUTUAL_AUTH to disabled'],
    [{ OS_MUTUAL_AUTH: 'nonsense' }, EXIT_STATUS.config, 'OS_MUTUAL_AUTH must be disabled or optional'],
    [{ OS_IDENTITY_PROVIDER: undefined }, EXIT_STATUS.interaction, 'OS_IDENTITY_PROVIDER'],
    [{ OS_PROTOCOL: undefined }, EXIT_STATUS.interaction, 'OS_PROTOCOL'],
  ] as const) {
    const { user } = await setUpStandIn(t, settings);
    await checkFailedLogin(t, user, { requests: [], status, says: [says] });
    if (!('OS_MUTUAL_AUTH' in settings)) continue;
    const kerberos = user.onNewMachine().with({ OS_AUTH_TYPE: 'v3kerberos' });
    await checkFailedLogin(t, kerberos, { requests: [], status, says: [says] });
  }
});
