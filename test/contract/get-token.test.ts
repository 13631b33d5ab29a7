// Logins at a real Keystone that do not depend on the auth method: names and URLs, TLS, and the cache. The requests are
// counted at the server: one login too many can lock an account, one too few can hand out another user's token.

import { appendFileSync, copyFileSync, mkdirSync, readFileSync, readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { serializeRecord, parseRecord } from '../../src/plugin/cache/token-record.ts';
import { setUpAlice } from '../support/alice.ts';
import { checkLogins, LOGIN_REQUEST, member, memberAndReader, reader, summarizeToken } from '../support/check-login.ts';
import type { ExpectedToken } from '../support/check-login.ts';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import type { EnvVars } from '../support/home.ts';
import { asAliceOnDemo, asApplicationCredential, asUser, onProject } from '../support/login-settings.ts';
import { listRequests, watchRequests } from '../support/request-log.ts';
import { runPlugin } from '../support/run-plugin.ts';
import { stopClock } from '../support/stopped-clock.ts';
import { logIn, validateToken } from '../support/tenancy.ts';
import { getTlsKeystone } from '../support/keystone-tls.ts';
import { getMutualTlsKeystone } from '../support/keystone-mutual-tls.ts';
import { testWithKeystone } from '../support/test-environment.ts';

/** The plugin runs as users run it. */
const AS_PROCESS = { runner: runPlugin };

testWithKeystone(
  "keystoneauth's names for the methods work at URLs with and without a version",
  async (t, environment) => {
    const { applicationCredentials, domain, projects, users } = environment.tenancy;
    const env = asAliceOnDemo(environment.tenancy);
    const expected = { user: 'alice', project: 'demo', ...memberAndReader };
    const byToken = { ...expected, methods: ['password', 'token'] };
    const existingToken = await logIn(environment.http, users.alice);
    const withToken = { ...onProject(projects.demo, domain), OS_TOKEN: existingToken };
    const byCredential = { ...expected, methods: ['application_credential'], ...member };
    await checkLogins(t, environment, {
      'v3password does not ask for versions': { env: { ...env, OS_AUTH_TYPE: 'v3password' }, path: '', expected },
      'v3token does not ask for versions': {
        env: { ...withToken, OS_AUTH_TYPE: 'v3token' },
        path: '',
        expected: byToken,
      },
      'v3applicationcredential does not ask for versions': {
        env: { ...asApplicationCredential(applicationCredentials.valid), OS_AUTH_TYPE: 'v3applicationcredential' },
        path: '',
        expected: byCredential,
      },
      'password asks for versions': {
        env: { ...env, OS_AUTH_TYPE: 'password' },
        path: '',
        requests: ['GET  300', LOGIN_REQUEST],
        expected,
      },
      'token asks for versions': {
        env: { ...withToken, OS_AUTH_TYPE: 'token' },
        path: '/',
        requests: ['GET  300', LOGIN_REQUEST],
        expected: byToken,
      },
      'the auth type is not set, and a slash follows the version': { env, path: '/v3/', expected },
      'the URL has an old version': { env, path: '/v2.0', expected },
    });
  },
);

testWithKeystone('a login uses a private certificate authority and a client certificate', async (t, environment) => {
  const { pki, tenancy } = environment;
  const tls = getTlsKeystone();
  const mutualTls = getMutualTlsKeystone();
  const own = { OS_CERT: pki.client.cert, OS_KEY: pki.client.key };
  const env = { ...asAliceOnDemo(tenancy), OS_CACERT: pki.ca };
  const expected = { user: 'alice', project: 'demo', ...memberAndReader };
  await checkLogins(t, environment, {
    'there is no client certificate': { server: tls, env, expected },
    'the client certificate is optional': { server: tls, env: { ...env, ...own }, expected },
    'the client certificate is required': { server: mutualTls, env: { ...env, ...own }, expected },
    'Keystone is asked for its versions': {
      server: tls,
      path: '',
      env,
      requests: ['GET  300', LOGIN_REQUEST],
      expected,
    },
  });
  await t.test('the client certificate and its key are in one file', async (t) => {
    const keystone = watchRequests(mutualTls);
    const alice = setUp(t, { ...AS_PROCESS, keystone, settings: { ...env, OS_CERT: '~/both.pem' } });
    alice.writeFile('both.pem', readFileSync(pki.client.cert, 'utf8') + readFileSync(pki.client.key, 'utf8'));
    checkSuccess(t, await alice.run());
    t.match(listRequests(keystone), [{ method: 'POST', status: 201, clientName: 'alice' }]);
  });
  await t.test('an unchecked certificate causes a warning on each run', async (t) => {
    const settings = { ...env, OS_CACERT: pki.untrusted.ca, OS_INSECURE: 'true' };
    const alice = setUp(t, { ...AS_PROCESS, keystone: watchRequests(tls), settings });
    const tokens: string[] = [];
    for (const run of [1, 2]) {
      tokens.push(checkSuccess(t, await alice.run(), [/certificate is not checked/]).token);
      t.equal(alice.countRequests(), 1, `run ${run}`);
    }
    t.equal(tokens[0], tokens[1]);
  });
});

/** Runs the plugin, and returns its token and the number of its requests. */
async function count(t: Test, user: Fixture, ...args: readonly string[]): Promise<{ token: string; requests: number }> {
  const before = user.countRequests();
  const { token } = checkSuccess(t, await user.run(...args));
  return { token, requests: user.countRequests() - before };
}

testWithKeystone('many logins share a cache, and no login gets the token of another', async (t, environment) => {
  const { domain, projects, users } = environment.tenancy;
  const alice = setUpAlice(t, environment, AS_PROCESS);
  const elsewhere = watchRequests(environment.http);
  const variants: Record<string, { env: EnvVars; expected: ExpectedToken }> = {
    'alice on demo': { env: {}, expected: { user: 'alice', project: 'demo', ...memberAndReader } },
    'another user': { env: asUser(users.bob, domain), expected: { user: 'bob', project: 'demo', ...memberAndReader } },
    'another project': {
      env: onProject(projects.other, domain),
      expected: { user: 'alice', project: 'other', ...reader },
    },
    'the domain': {
      env: { OS_PROJECT_NAME: undefined, OS_PROJECT_DOMAIN_NAME: undefined, OS_DOMAIN_NAME: domain.name },
      expected: { user: 'alice', domain: domain.name, ...reader },
    },
    'another URL': {
      env: { OS_AUTH_URL: `${elsewhere.url}/v3` },
      expected: { user: 'alice', project: 'demo', ...memberAndReader },
    },
  };
  const tokens = new Map<string, string>();
  for (const [name, { env, expected }] of Object.entries(variants)) {
    const { token, requests } = await count(t, alice.with(env));
    t.equal(requests, name === 'another URL' ? 0 : 1, `${name} logs in`);
    const details = await validateToken(environment.http, token);
    t.strictSame(summarizeToken(details), { methods: ['password'], ...expected });
    tokens.set(name, token);
  }
  t.equal(new Set(tokens.values()).size, tokens.size, 'each login has its own token');
  t.strictSame(elsewhere.listRequests(), [LOGIN_REQUEST], 'the other URL was used once');
  for (const [name, { env }] of Object.entries(variants)) {
    const { token, requests } = await count(t, alice.with(env));
    t.equal(requests, 0, `${name} needs no login`);
    t.equal(token, tokens.get(name), `${name} gets its own token`);
  }
  t.equal(elsewhere.listRequests().length, 1);
});

testWithKeystone('a wrong password after a correct one sends no request', async (t, environment) => {
  // A user who can read the cache has the token anyway, and a changed password must not cause a login.
  const alice = setUpAlice(t, environment, AS_PROCESS);
  const { token } = await count(t, alice);
  t.match(await count(t, alice.with({ OS_PASSWORD: 'another' })), { token, requests: 0 });
});

testWithKeystone('--force-refresh logs in, and later runs use its token', async (t, environment) => {
  const alice = setUpAlice(t, environment, AS_PROCESS);
  const first = await count(t, alice);
  const second = await count(t, alice, '--force-refresh');
  t.not(second.token, first.token);
  t.equal(second.requests, 1);
  t.match(await count(t, alice), { token: second.token, requests: 0 });
});

testWithKeystone('another folder or another spelling needs no login', async (t, environment) => {
  const alice = setUpAlice(t, environment, AS_PROCESS);
  const { token } = await count(t, alice);
  const folder = join(alice.home.path, 'elsewhere');
  mkdirSync(folder);
  t.match(await count(t, alice.inFolder(folder)), { token, requests: 0 });
  t.match(await count(t, alice, '--project-name', 'demo'), { token, requests: 0 });
  t.match(await count(t, alice.with({ OS_AUTH_URL: `${alice.url}/v3/` })), { token, requests: 0 });
});

testWithKeystone('a change of the CA file needs a new login', async (t, environment) => {
  const { pki, tenancy } = environment;
  const tls = getTlsKeystone();
  const alice = setUp(t, { ...AS_PROCESS, keystone: watchRequests(tls), settings: asAliceOnDemo(tenancy) });
  const ca = alice.writeFile('ca.pem', readFileSync(pki.ca, 'utf8'));
  const trusting = alice.with({ OS_CACERT: ca });
  const run = async (): Promise<string> => checkSuccess(t, await trusting.run()).token;
  const first = await run();
  t.equal(alice.countRequests(), 1);

  utimesSync(ca, new Date(), new Date(Date.now() - 60_000));
  t.equal(await run(), first, 'a new modification time alone changes nothing');
  t.equal(alice.countRequests(), 1);

  appendFileSync(ca, readFileSync(pki.untrusted.ca));
  const second = await run();
  t.not(second, first, 'another certificate authority needs a new login');
  t.equal(alice.countRequests(), 2);
  t.equal(await run(), second);
  t.equal(alice.countRequests(), 2);

  copyFileSync(pki.untrusted.ca, ca);
  checkFailure(t, await trusting.run(), EXIT_STATUS.unreachable, {
    says: ['certificate is not trusted', 'OS_CACERT'],
  });
  t.equal(alice.countRequests(), 2, 'the password is not sent to a server that is not trusted');
});

testWithKeystone('a token that is about to expire is replaced', async (t, environment) => {
  const person = setUpAlice(t, environment, AS_PROCESS);
  const alice = person.with(stopClock(person.home));
  const first = await count(t, alice);
  const { cache } = alice.home;
  const [file = '', ...more] = readdirSync(cache).filter((name) => name.endsWith('.token'));
  t.strictSame(more, [], 'one record');
  const key = file.replace('.token', '');
  const setAge = (receivedMs: number, leftMs: number): void => {
    const record = parseRecord(key, readFileSync(join(cache, file), 'utf8'));
    t.equal(record?.token, first.token);
    // A run may start much later on a busy machine.
    stopClock(alice.home);
    const now = Date.now();
    const times = { receivedAt: now - receivedMs, expiresAt: now + leftMs };
    const endpoint = `${alice.url}/v3`;
    alice.writeFile(join(cache, file), serializeRecord(key, { token: first.token, endpoint, ...times }));
  };
  setAge(3_400_000, 200_000);
  t.match(await count(t, alice), { token: first.token, requests: 0 }, 'more than two minutes left');
  setAge(3_490_000, 110_000);
  const second = await count(t, alice);
  t.not(second.token, first.token, 'the last two minutes are not used');
  t.equal(second.requests, 1);
  t.match(await count(t, alice), { token: second.token, requests: 0 });
});
