// Logins at the real Keystone whatever the method: names and URLs, TLS, and the cache. The requests are counted where they
// arrive, because a login too many locks accounts and one too few hands out somebody else's token.

import { appendFileSync, copyFileSync, mkdirSync, readFileSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { serializeRecord, parseRecord } from '../../src/plugin/cache/token-record.ts';
import {
  memberAndReader,
  checkLogins,
  countRequests,
  describeRequest,
  makeTestHome,
  LOGIN_REQUEST,
  member,
  reader,
  summarizeToken,
} from '../support/check-login.ts';
import type { EnvVars, ExpectedToken } from '../support/check-login.ts';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { asApplicationCredential, asUser, onProject } from '../support/login-settings.ts';
import { logIn, validateToken } from '../support/tenancy.ts';
import { watchRequests, listRequests, testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(170_000);

testWithKeystone("keystoneauth's names, and URLs with and without a version", async (t, world) => {
  const { applicationCredentials, domain, projects, users } = world.tenancy;
  const env = { ...asUser(users.alice, domain), ...onProject(projects.demo, domain) };
  const expected = { user: 'alice', project: 'demo', ...memberAndReader };
  const byToken = { ...expected, methods: ['password', 'token'] };
  const given = await logIn(world.http, users.alice);
  const withToken = { ...onProject(projects.demo, domain), OS_TOKEN: given };
  const byCredential = { ...expected, methods: ['application_credential'], ...member };
  await checkLogins(t, world, {
    'v3password never asks for versions': { env: { ...env, OS_AUTH_TYPE: 'v3password' }, path: '', expected },
    'v3token neither': { env: { ...withToken, OS_AUTH_TYPE: 'v3token' }, path: '', expected: byToken },
    'v3applicationcredential neither': {
      env: { ...asApplicationCredential(applicationCredentials.valid), OS_AUTH_TYPE: 'v3applicationcredential' },
      path: '',
      expected: byCredential,
    },
    'password asks': {
      env: { ...env, OS_AUTH_TYPE: 'password' },
      path: '',
      requests: ['GET  300', LOGIN_REQUEST],
      expected,
    },
    'token asks': {
      env: { ...withToken, OS_AUTH_TYPE: 'token' },
      path: '/',
      requests: ['GET  300', LOGIN_REQUEST],
      expected: byToken,
    },
    'no type, a slash behind the version': { env, path: '/v3/', expected },
    'an old version': { env, path: '/v2.0', expected },
  });
});

testWithKeystone('TLS: our authority, and a client certificate', async (t, world) => {
  const { pki, tenancy } = world;
  const { domain, projects, users } = tenancy;
  const own = { OS_CERT: pki.client.cert, OS_KEY: pki.client.key };
  const env = { ...asUser(users.alice, domain), ...onProject(projects.demo, domain), OS_CACERT: pki.ca };
  const expected = { user: 'alice', project: 'demo', ...memberAndReader };
  await checkLogins(t, world, {
    'without a client certificate': { server: 'tls', env, expected },
    'with one where it is welcome': { server: 'tls', env: { ...env, ...own }, expected },
    'with one where it is required': { server: 'mutualTls', env: { ...env, ...own }, expected },
    'asking for versions': { server: 'tls', path: '', env, requests: ['GET  300', LOGIN_REQUEST], expected },
  });
  await t.test('the certificate is the one that was given, also in one file with its key', async (t) => {
    const mark = watchRequests(world.mutualTls);
    const home = makeTestHome(t);
    const file = join(home.path, 'both.pem');
    writeFileSync(file, readFileSync(pki.client.cert, 'utf8') + readFileSync(pki.client.key, 'utf8'), { mode: 0o600 });
    const ran = await runPlugin({ home, env: { ...env, OS_AUTH_URL: `${mark.url}/v3`, OS_CERT: '~/both.pem' } });
    checkSuccess(t, ran);
    t.match(listRequests(mark), [{ method: 'POST', status: 201, clientName: 'alice' }]);
  });
  await t.test('switched off, which is said each time', async (t) => {
    const mark = watchRequests(world.tls);
    const home = makeTestHome(t);
    const insecure = { ...env, OS_AUTH_URL: `${mark.url}/v3`, OS_CACERT: pki.untrusted.ca, OS_INSECURE: 'true' };
    const tokens: string[] = [];
    for (const run of [1, 2]) {
      const ran = await runPlugin({ home, env: insecure });
      tokens.push(checkSuccess(t, ran, [/certificate is not checked/]).token);
      t.equal(countRequests(mark), 1, `run ${run}`);
    }
    t.equal(tokens[0], tokens[1]);
  });
});

/** A world of one user's cache: what a run with these settings gives, and how many requests that took. */
function startCounting(t: Test, world: TestEnvironment, home = makeTestHome(t)) {
  const mark = watchRequests(world.http);
  const { domain, projects, users } = world.tenancy;
  const alice = { OS_AUTH_URL: `${mark.url}/v3`, ...asUser(users.alice, domain), ...onProject(projects.demo, domain) };
  const run = async (
    env: EnvVars = {},
    { args = [], cwd }: { args?: readonly string[]; cwd?: string } = {},
  ): Promise<{ token: string; requests: number; ran: RunResult }> => {
    const before = countRequests(mark);
    const ran = await runPlugin({ home, args, env: { ...alice, ...env }, ...(cwd === undefined ? {} : { cwd }) });
    return { token: checkSuccess(t, ran).token, requests: countRequests(mark) - before, ran };
  };
  return { home, mark, run };
}

testWithKeystone('one cache, many logins: nobody gets the token of another', async (t, world) => {
  const { domain, projects, users } = world.tenancy;
  const { run } = startCounting(t, world);
  const elsewhere = watchRequests(world.http);
  const variants: Record<string, { env: EnvVars; wanted: ExpectedToken }> = {
    alice: { env: {}, wanted: { user: 'alice', project: 'demo', ...memberAndReader } },
    'another user': { env: asUser(users.bob, domain), wanted: { user: 'bob', project: 'demo', ...memberAndReader } },
    'another project': {
      env: onProject(projects.other, domain),
      wanted: { user: 'alice', project: 'other', ...reader },
    },
    'the domain': {
      env: { OS_PROJECT_NAME: undefined, OS_PROJECT_DOMAIN_NAME: undefined, OS_DOMAIN_NAME: domain.name },
      wanted: { user: 'alice', domain: domain.name, ...reader },
    },
    'another URL': {
      env: { OS_AUTH_URL: `${elsewhere.url}/v3` },
      wanted: { user: 'alice', project: 'demo', ...memberAndReader },
    },
  };
  const tokens = new Map<string, string>();
  for (const [name, { env, wanted }] of Object.entries(variants)) {
    const { token, requests } = await run(env);
    t.equal(requests, name === 'another URL' ? 0 : 1, `${name} logs in`);
    const facts = await validateToken(world.http, token);
    t.strictSame(summarizeToken(facts), { methods: ['password'], ...wanted });
    tokens.set(name, token);
  }
  t.equal(new Set(tokens.values()).size, tokens.size, 'each has a token of its own');
  t.strictSame(listRequests(elsewhere).map(describeRequest), [LOGIN_REQUEST], 'the other URL was used once');
  for (const [name, { env }] of Object.entries(variants)) {
    const { token, requests } = await run(env);
    t.equal(requests, 0, `${name} needs nobody`);
    t.equal(token, tokens.get(name), `${name} gets what is hers or his`);
  }
  t.equal(countRequests(elsewhere), 1);
});

testWithKeystone('a wrong password after a right one asks nobody', async (t, world) => {
  // Whoever may read the cache has the token anyway; and a changed password must not cost a login.
  const { run } = startCounting(t, world);
  const { token } = await run();
  t.match(await run({ OS_PASSWORD: 'another' }), { token, requests: 0 });
});

testWithKeystone('--force-refresh logs in, and what it gets counts from then on', async (t, world) => {
  const { run } = startCounting(t, world);
  const first = await run();
  const second = await run({}, { args: ['--force-refresh'] });
  t.not(second.token, first.token);
  t.equal(second.requests, 1);
  t.match(await run(), { token: second.token, requests: 0 });
});

testWithKeystone('another folder, another spelling: no login', async (t, world) => {
  const { home, mark, run } = startCounting(t, world);
  const { token } = await run();
  const folder = join(home.path, 'elsewhere');
  mkdirSync(folder);
  t.match(await run({}, { cwd: folder }), { token, requests: 0 });
  t.match(await run({}, { args: ['--project-name', 'demo'] }), { token, requests: 0 });
  t.match(await run({ OS_AUTH_URL: `${mark.url}/v3/` }), { token, requests: 0 });
});

testWithKeystone('the file of authorities changes', async (t, world) => {
  const home = makeTestHome(t);
  const mark = watchRequests(world.tls);
  const ca = join(home.path, 'ca.pem');
  copyFileSync(world.pki.ca, ca);
  const { domain, projects, users } = world.tenancy;
  const env = {
    OS_AUTH_URL: `${mark.url}/v3`,
    OS_CACERT: ca,
    ...asUser(users.alice, domain),
    ...onProject(projects.demo, domain),
  };
  const run = async (): Promise<string> => checkSuccess(t, await runPlugin({ home, env })).token;
  const first = await run();
  t.equal(countRequests(mark), 1);

  utimesSync(ca, new Date(), new Date(Date.now() - 60_000));
  t.equal(await run(), first, 'another date is no other authority');
  t.equal(countRequests(mark), 1);

  appendFileSync(ca, readFileSync(world.pki.untrusted.ca));
  const second = await run();
  t.not(second, first, 'another authority is another trust');
  t.equal(countRequests(mark), 2);
  t.equal(await run(), second);
  t.equal(countRequests(mark), 2);

  copyFileSync(world.pki.untrusted.ca, ca);
  const ran = await runPlugin({ home, env });
  checkFailure(t, ran, EXIT_STATUS.unreachable, { says: ['certificate is not trusted', 'OS_CACERT'] });
  t.equal(countRequests(mark), 2, 'the password is not sent to a server that is not trusted');
});

testWithKeystone('a record past its time', async (t, world) => {
  const { home, run, mark } = startCounting(t, world);
  const first = await run();
  const [file = '', ...more] = readdirSync(home.cache).filter((name) => name.endsWith('.token'));
  t.strictSame(more, [], 'one record');
  const key = file.replace('.token', '');
  const age = (receivedMs: number, leftMs: number): void => {
    const record = parseRecord(key, readFileSync(join(home.cache, file), 'utf8'));
    t.equal(record?.token, first.token);
    const now = Date.now();
    const times = { receivedAt: now - receivedMs, expiresAt: now + leftMs };
    const sealed = serializeRecord(key, { token: first.token, endpoint: `${mark.url}/v3`, ...times });
    writeFileSync(join(home.cache, file), sealed);
  };
  age(3_400_000, 200_000);
  t.match(await run(), { token: first.token, requests: 0 }, 'more than two minutes left');
  age(3_490_000, 110_000);
  const second = await run();
  t.not(second.token, first.token, 'the last two minutes are not used');
  t.equal(second.requests, 1);
  t.match(await run(), { token: second.token, requests: 0 });
});
