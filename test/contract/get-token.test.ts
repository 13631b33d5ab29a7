// Logins at a real Keystone that do not depend on the auth method: names and URLs, TLS, and the cache. The requests are
// counted at the server: one login too many can lock an account, one too few can hand out another user's token.

import { appendFileSync, copyFileSync, mkdirSync, readFileSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { serializeRecord, parseRecord } from '../../src/plugin/cache/token-record.ts';
import { LOGIN_REQUEST } from '../support/check-login.ts';
import { checkLogins, countRequests, member, memberAndReader } from '../support/check-login.ts';
import { describeRequest } from '../support/request-log.ts';
import { reader, summarizeToken } from '../support/check-login.ts';
import type { ExpectedToken } from '../support/check-login.ts';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import { runPlugin } from '../support/run-plugin.ts';
import { makeTestHome } from '../support/home.ts';
import type { RunResult } from '../support/run-plugin.ts';
import type { EnvVars } from '../support/home.ts';
import { asApplicationCredential, asUser, onProject } from '../support/login-settings.ts';
import { logIn, validateToken } from '../support/tenancy.ts';
import { watchRequests, listRequests } from '../support/request-log.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(170_000);

testWithKeystone("keystoneauth's names, and URLs with and without a version", async (t, environment) => {
  const { applicationCredentials, domain, projects, users } = environment.tenancy;
  const env = { ...asUser(users.alice, domain), ...onProject(projects.demo, domain) };
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
    'no auth_type, a slash after the version': { env, path: '/v3/', expected },
    'an old version': { env, path: '/v2.0', expected },
  });
});

testWithKeystone('TLS: a private certificate authority and a client certificate', async (t, environment) => {
  const { pki, tenancy } = environment;
  const { domain, projects, users } = tenancy;
  const own = { OS_CERT: pki.client.cert, OS_KEY: pki.client.key };
  const env = { ...asUser(users.alice, domain), ...onProject(projects.demo, domain), OS_CACERT: pki.ca };
  const expected = { user: 'alice', project: 'demo', ...memberAndReader };
  await checkLogins(t, environment, {
    'without a client certificate': { server: 'tls', env, expected },
    'with an optional client certificate': { server: 'tls', env: { ...env, ...own }, expected },
    'with a required client certificate': { server: 'mutualTls', env: { ...env, ...own }, expected },
    'asking for versions': { server: 'tls', path: '', env, requests: ['GET  300', LOGIN_REQUEST], expected },
  });
  await t.test('the client certificate and its key in one file', async (t) => {
    const address = watchRequests(environment.mutualTls);
    const home = makeTestHome(t);
    const file = join(home.path, 'both.pem');
    writeFileSync(file, readFileSync(pki.client.cert, 'utf8') + readFileSync(pki.client.key, 'utf8'), { mode: 0o600 });
    const result = await runPlugin({ home, env: { ...env, OS_AUTH_URL: `${address.url}/v3`, OS_CERT: '~/both.pem' } });
    checkSuccess(t, result);
    t.match(listRequests(address), [{ method: 'POST', status: 201, clientName: 'alice' }]);
  });
  await t.test('an unchecked certificate causes a warning on each run', async (t) => {
    const address = watchRequests(environment.tls);
    const home = makeTestHome(t);
    const insecure = { ...env, OS_AUTH_URL: `${address.url}/v3`, OS_CACERT: pki.untrusted.ca, OS_INSECURE: 'true' };
    const tokens: string[] = [];
    for (const run of [1, 2]) {
      const result = await runPlugin({ home, env: insecure });
      tokens.push(checkSuccess(t, result, [/certificate is not checked/]).token);
      t.equal(countRequests(address), 1, `run ${run}`);
    }
    t.equal(tokens[0], tokens[1]);
  });
});

/** Sets up one user's cache; each run returns its token and the number of its requests. */
function startCounting(t: Test, environment: TestEnvironment, home = makeTestHome(t)) {
  const address = watchRequests(environment.http);
  const { domain, projects, users } = environment.tenancy;
  const alice = {
    OS_AUTH_URL: `${address.url}/v3`,
    ...asUser(users.alice, domain),
    ...onProject(projects.demo, domain),
  };
  const run = async (
    env: EnvVars = {},
    { args = [], cwd }: { args?: readonly string[]; cwd?: string } = {},
  ): Promise<{ token: string; requests: number; result: RunResult }> => {
    const before = countRequests(address);
    const result = await runPlugin({ home, args, env: { ...alice, ...env }, ...(cwd === undefined ? {} : { cwd }) });
    return { token: checkSuccess(t, result).token, requests: countRequests(address) - before, result };
  };
  return { home, address, run };
}

testWithKeystone('one cache, many logins: no login gets the token of another', async (t, environment) => {
  const { domain, projects, users } = environment.tenancy;
  const { run } = startCounting(t, environment);
  const elsewhere = watchRequests(environment.http);
  const variants: Record<string, { env: EnvVars; expected: ExpectedToken }> = {
    alice: { env: {}, expected: { user: 'alice', project: 'demo', ...memberAndReader } },
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
    const { token, requests } = await run(env);
    t.equal(requests, name === 'another URL' ? 0 : 1, `${name} logs in`);
    const details = await validateToken(environment.http, token);
    t.strictSame(summarizeToken(details), { methods: ['password'], ...expected });
    tokens.set(name, token);
  }
  t.equal(new Set(tokens.values()).size, tokens.size, 'each login has its own token');
  t.strictSame(listRequests(elsewhere).map(describeRequest), [LOGIN_REQUEST], 'the other URL was used once');
  for (const [name, { env }] of Object.entries(variants)) {
    const { token, requests } = await run(env);
    t.equal(requests, 0, `${name} needs no login`);
    t.equal(token, tokens.get(name), `${name} gets its own token`);
  }
  t.equal(countRequests(elsewhere), 1);
});

testWithKeystone('a wrong password after a correct one sends no request', async (t, environment) => {
  // A user who can read the cache has the token anyway, and a changed password must not cause a login.
  const { run } = startCounting(t, environment);
  const { token } = await run();
  t.match(await run({ OS_PASSWORD: 'another' }), { token, requests: 0 });
});

testWithKeystone('--force-refresh logs in, and later runs use its token', async (t, environment) => {
  const { run } = startCounting(t, environment);
  const first = await run();
  const second = await run({}, { args: ['--force-refresh'] });
  t.not(second.token, first.token);
  t.equal(second.requests, 1);
  t.match(await run(), { token: second.token, requests: 0 });
});

testWithKeystone('another folder or another spelling needs no login', async (t, environment) => {
  const { home, address, run } = startCounting(t, environment);
  const { token } = await run();
  const folder = join(home.path, 'elsewhere');
  mkdirSync(folder);
  t.match(await run({}, { cwd: folder }), { token, requests: 0 });
  t.match(await run({}, { args: ['--project-name', 'demo'] }), { token, requests: 0 });
  t.match(await run({ OS_AUTH_URL: `${address.url}/v3/` }), { token, requests: 0 });
});

testWithKeystone('the CA file changes', async (t, environment) => {
  const home = makeTestHome(t);
  const address = watchRequests(environment.tls);
  const ca = join(home.path, 'ca.pem');
  copyFileSync(environment.pki.ca, ca);
  const { domain, projects, users } = environment.tenancy;
  const env = {
    OS_AUTH_URL: `${address.url}/v3`,
    OS_CACERT: ca,
    ...asUser(users.alice, domain),
    ...onProject(projects.demo, domain),
  };
  const run = async (): Promise<string> => checkSuccess(t, await runPlugin({ home, env })).token;
  const first = await run();
  t.equal(countRequests(address), 1);

  utimesSync(ca, new Date(), new Date(Date.now() - 60_000));
  t.equal(await run(), first, 'a new modification time alone changes nothing');
  t.equal(countRequests(address), 1);

  appendFileSync(ca, readFileSync(environment.pki.untrusted.ca));
  const second = await run();
  t.not(second, first, 'another certificate authority needs a new login');
  t.equal(countRequests(address), 2);
  t.equal(await run(), second);
  t.equal(countRequests(address), 2);

  copyFileSync(environment.pki.untrusted.ca, ca);
  const result = await runPlugin({ home, env });
  checkFailure(t, result, EXIT_STATUS.unreachable, { says: ['certificate is not trusted', 'OS_CACERT'] });
  t.equal(countRequests(address), 2, 'the password is not sent to a server that is not trusted');
});

testWithKeystone('a token that is about to expire', async (t, environment) => {
  const { home, run, address } = startCounting(t, environment);
  const first = await run();
  const [file = '', ...more] = readdirSync(home.cache).filter((name) => name.endsWith('.token'));
  t.strictSame(more, [], 'one record');
  const key = file.replace('.token', '');
  const setAge = (receivedMs: number, leftMs: number): void => {
    const record = parseRecord(key, readFileSync(join(home.cache, file), 'utf8'));
    t.equal(record?.token, first.token);
    const now = Date.now();
    const times = { receivedAt: now - receivedMs, expiresAt: now + leftMs };
    const sealed = serializeRecord(key, { token: first.token, endpoint: `${address.url}/v3`, ...times });
    writeFileSync(join(home.cache, file), sealed);
  };
  setAge(3_400_000, 200_000);
  t.match(await run(), { token: first.token, requests: 0 }, 'more than two minutes left');
  setAge(3_490_000, 110_000);
  const second = await run();
  t.not(second.token, first.token, 'the last two minutes are not used');
  t.equal(second.requests, 1);
  t.match(await run(), { token: second.token, requests: 0 });
});
