// Every way to log in, for every scope, against the real Keystone: the printed token is shown to Keystone, which must
// say that it is what was asked for. And the requests are counted where they arrive, because a login too many locks
// accounts and one too few hands out somebody else's token.

import { appendFileSync, copyFileSync, mkdirSync, readFileSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { sealRecord, unsealRecord } from '../../src/cache/record.ts';
import { checkFailure, checkSuccess, EXIT } from '../support/login.ts';
import type { Credential } from '../support/login.ts';
import { makeHome, runPlugin } from '../support/plugin.ts';
import type { Home, Ran } from '../support/plugin.ts';
import { asCredential, asUser, asUserById, onProject, secretsOf } from '../support/settings.ts';
import { logIn, validateToken } from '../support/tenancy.ts';
import type { TokenFacts } from '../support/tenancy.ts';
import { markRequests, requestsSince, testWithKeystone } from '../support/world.ts';
import type { LoggedRequest, Mark, World } from '../support/world.ts';

t.setTimeout(170_000);

type Settings = Readonly<Record<string, string | undefined>>;

/** What Keystone must say of the token. */
interface Wanted {
  readonly user: string;
  readonly project?: string;
  readonly domain?: string;
  readonly system?: true;
  readonly trust?: string;
  readonly methods?: readonly string[];
  readonly roles: readonly string[];
}

interface Login {
  readonly env: Settings;
  /** With the server's URL in them, where they name one. */
  readonly args?: (url: string) => readonly string[];
  readonly wanted: Wanted;
  readonly warnings?: readonly (string | RegExp)[];
  /** `http` where nothing is said. */
  readonly server?: 'http' | 'tls' | 'mutualTls';
  /** After the server's URL; `/v3` where nothing is said. */
  readonly path?: string;
  /** `METHOD PATH STATUS` of each; one POST where nothing is said. */
  readonly requests?: readonly string[];
}

const LOGIN = 'POST /v3/auth/tokens?nocatalog=true 201';
const UNSCOPED = 'the token has no scope';
const PUBLIC = '--password can be read by every user of this machine; set OS_PASSWORD instead';

/** Who is a member is a reader too; an application credential is only what it was made for. */
const both = { roles: ['member', 'reader'] };
const member = { roles: ['member'] };
const reader = { roles: ['reader'] };

function homeFor(t: Test): Home {
  const home = makeHome();
  t.teardown(() => home.remove());
  return home;
}

function describe({ method, path, status }: LoggedRequest): string {
  return `${method} ${path} ${status}`;
}

function countRequests(mark: Mark): number {
  return requestsSince(mark).length;
}

function summarise(facts: TokenFacts | undefined): Wanted | undefined {
  if (facts === undefined) return undefined;
  const { user, project, domain, system, trust, methods, roles } = facts;
  return {
    user: user.name,
    ...(project === undefined ? {} : { project: project.name }),
    ...(domain === undefined ? {} : { domain: domain.name }),
    ...(system ? { system } : {}),
    ...(trust === undefined ? {} : { trust }),
    methods,
    roles,
  };
}

function checkSecrets(t: Test, world: World, home: Home, ran: Ran): void {
  const kept = readdirSync(home.cache).map((name) => readFileSync(join(home.cache, name), 'utf8'));
  const all = [ran.stdout, ran.stderr, ...kept].join('\n');
  t.notOk(
    secretsOf(world.tenancy).some((secret) => all.includes(secret)),
    'no secret is printed or kept',
  );
}

/** Logs in twice: once with Keystone's help, once without. */
async function checkLogin(t: Test, world: World, login: Login): Promise<Credential> {
  const { env, args, wanted, warnings, server = 'http', path = '/v3', requests = [LOGIN] } = login;
  const home = homeFor(t);
  const mark = markRequests(world[server]);
  const run = { home, env: { OS_AUTH_URL: mark.url + path, ...env }, args: args?.(mark.url) ?? [] };
  const first = await runPlugin(run);
  const credential = checkSuccess(t, first, warnings);
  t.strictSame(requestsSince(mark).map(describe), requests);

  const facts = await validateToken(world.http, credential.token);
  t.strictSame(summarise(facts), { methods: ['password'], ...wanted });
  const ends = Date.parse(facts?.expiresAt ?? '');
  const said = Date.parse(credential.expirationTimestamp);
  t.ok(said <= ends && said > ends - 1000, `${credential.expirationTimestamp} is ${facts?.expiresAt ?? ''}`);

  const second = await runPlugin(run);
  t.strictSame(second, { status: 0, signal: null, stdout: first.stdout, stderr: '' }, 'the cache says the same');
  t.equal(countRequests(mark), requests.length, 'the second run asks nobody');
  checkSecrets(t, world, home, first);
  return credential;
}

async function checkLogins(t: Test, world: World, logins: Readonly<Record<string, Login>>): Promise<void> {
  for (const [name, login] of Object.entries(logins)) {
    await t.test(name, async (t) => {
      await checkLogin(t, world, login);
    });
  }
}

testWithKeystone('password: who and on what', async (t, world) => {
  const { domain, projects, trust, users } = world.tenancy;
  const { alice, bob } = users;
  const byName = asUser(alice, domain);
  const byId = asUserById(alice);
  const onDemo = onProject(projects.demo, domain);
  const byDomainId = { OS_USERNAME: alice.name, OS_USER_DOMAIN_ID: domain.id, OS_PASSWORD: alice.password };
  await checkLogins(t, world, {
    'user and project by name': { env: { ...byName, ...onDemo }, wanted: { user: 'alice', project: 'demo', ...both } },
    'domains by id': {
      env: { ...byDomainId, OS_PROJECT_NAME: 'other', OS_PROJECT_DOMAIN_ID: domain.id },
      wanted: { user: 'alice', project: 'other', ...reader },
    },
    'user and project by id': {
      env: { ...byId, OS_PROJECT_ID: projects.other.id },
      wanted: { user: 'alice', project: 'other', ...reader },
    },
    'one domain for user and project': {
      env: { ...byName, OS_USER_DOMAIN_NAME: undefined, OS_DOMAIN_NAME: domain.name, OS_PROJECT_NAME: 'demo' },
      wanted: { user: 'alice', project: 'demo', ...both },
    },
    'domain by name': {
      env: { OS_USERNAME: alice.name, OS_PASSWORD: alice.password, OS_DOMAIN_NAME: domain.name },
      wanted: { user: 'alice', domain: domain.name, ...reader },
    },
    'domain by id': {
      env: { ...byId, OS_DOMAIN_ID: domain.id },
      wanted: { user: 'alice', domain: domain.name, ...reader },
    },
    system: { env: { ...byName, OS_SYSTEM_SCOPE: 'all' }, wanted: { user: 'alice', system: true, ...reader } },
    trust: {
      env: { ...asUser(bob, domain), OS_TRUST_ID: trust.id },
      wanted: { user: 'bob', project: 'demo', trust: trust.id, ...both },
    },
    'no scope although there is a default project': {
      env: { ...asUser(bob, domain), OS_UNSCOPED: 'true' },
      wanted: { user: 'bob', roles: [] },
      warnings: [UNSCOPED],
    },
    'no scope asked for, and a default project': {
      env: asUser(bob, domain),
      wanted: { user: 'bob', project: 'demo', ...both },
    },
    'no scope asked for, and none by default': {
      env: byName,
      wanted: { user: 'alice', roles: [] },
      warnings: [UNSCOPED],
    },
    'all of it as flags, the password with quotes, spaces and umlauts': {
      env: { OS_AUTH_URL: 'http://127.0.0.1:1', OS_USERNAME: 'nobody', OS_PROJECT_NAME: 'none', OS_PASSWORD: 'wrong' },
      args: (url) => [
        ...['get-token', '--keystone-url', `${url}/v3`, '--user-name', alice.name],
        ...['--user-domain-name', domain.name, '--password', alice.password],
        ...['--project-name=demo', `--project-domain-name=${domain.name}`],
      ],
      wanted: { user: 'alice', project: 'demo', ...both },
      warnings: [PUBLIC],
    },
    'the password behind an equals sign': {
      env: { ...byName, ...onDemo, OS_PASSWORD: undefined },
      args: () => [`--password=${alice.password}`],
      wanted: { user: 'alice', project: 'demo', ...both },
      warnings: [PUBLIC],
    },
  });
});

testWithKeystone('token: exchanged or as it is', async (t, world) => {
  const { domain, projects, users } = world.tenancy;
  const given = await logIn(world.http, users.alice, { project: { id: projects.demo.id } });
  const methods = ['password', 'token'];
  const env = { OS_TOKEN: given };
  const expiry = (await validateToken(world.http, given))?.expiresAt;

  await t.test('exchanged for another project', async (t) => {
    const onOther = { ...env, ...onProject(projects.other, domain) };
    const wanted = { user: 'alice', project: 'other', methods, ...reader };
    const { token } = await checkLogin(t, world, { env: onOther, wanted });
    t.not(token, given);
    t.equal((await validateToken(world.http, token))?.expiresAt, expiry, 'it lives no longer than the old one');
  });
  await t.test('exchanged for the system', async (t) => {
    const wanted = { user: 'alice', system: true, methods, ...reader } as const;
    await checkLogin(t, world, { env: { ...env, OS_SYSTEM_SCOPE: 'all' }, wanted });
  });
  await t.test('as it is', async (t) => {
    const wanted = { user: 'alice', project: 'demo', ...both };
    const requests = ['GET /v3/auth/tokens?nocatalog=true 200'];
    const { token } = await checkLogin(t, world, { env, wanted, requests });
    t.equal(token, given, 'the same token');
  });
  await t.test('its other variable', async (t) => {
    const other = { OS_AUTH_TOKEN: given, OS_PROJECT_ID: projects.other.id };
    await checkLogin(t, world, { env: other, wanted: { user: 'alice', project: 'other', methods, ...reader } });
  });
});

testWithKeystone('application credential: its project and no other', async (t, world) => {
  const { applicationCredentials, domain, users } = world.tenancy;
  const { valid, shortLived } = applicationCredentials;
  const wanted = { user: 'alice', project: 'demo', methods: ['application_credential'], ...member };
  const byId = asCredential(valid);
  const byName = { OS_APPLICATION_CREDENTIAL_NAME: valid.name, OS_APPLICATION_CREDENTIAL_SECRET: valid.secret };
  await checkLogins(t, world, {
    'by id': { env: byId, wanted },
    "by name and the user's name": {
      env: { ...byName, OS_USERNAME: 'alice', OS_USER_DOMAIN_NAME: domain.name },
      wanted,
    },
    "by name and the user's id": { env: { ...byName, OS_USER_ID: users.alice.id }, wanted },
    // An openrc of the same project sets all of these; Keystone answers 401 to any scope.
    'with what an openrc leaves behind': {
      env: {
        ...byId,
        ...onProject(world.tenancy.projects.other, domain),
        OS_PROJECT_ID: world.tenancy.projects.other.id,
        OS_USERNAME: 'bob',
        OS_USER_DOMAIN_NAME: domain.name,
      },
      wanted,
    },
  });
  await t.test('one that ends before its token would', async (t) => {
    // Keystone 22 says that end without a zone, which must not be read as the time of this place.
    const env = { ...asCredential(shortLived), TZ: 'Asia/Tokyo' };
    const { expirationTimestamp } = await checkLogin(t, world, { env, wanted });
    const end = Date.parse((shortLived.expiresAt ?? '').replace(/Z?$/, 'Z'));
    t.equal(Date.parse(expirationTimestamp), Math.floor(end / 1000) * 1000, "the token ends with the credential's day");
  });
});

testWithKeystone("keystoneauth's names, and URLs with and without a version", async (t, world) => {
  const { applicationCredentials, domain, projects, users } = world.tenancy;
  const env = { ...asUser(users.alice, domain), ...onProject(projects.demo, domain) };
  const wanted = { user: 'alice', project: 'demo', ...both };
  const byToken = { ...wanted, methods: ['password', 'token'] };
  const given = await logIn(world.http, users.alice);
  const withToken = { ...onProject(projects.demo, domain), OS_TOKEN: given };
  const byCredential = { ...wanted, methods: ['application_credential'], ...member };
  await checkLogins(t, world, {
    'v3password never asks for versions': { env: { ...env, OS_AUTH_TYPE: 'v3password' }, path: '', wanted },
    'v3token neither': { env: { ...withToken, OS_AUTH_TYPE: 'v3token' }, path: '', wanted: byToken },
    'v3applicationcredential neither': {
      env: { ...asCredential(applicationCredentials.valid), OS_AUTH_TYPE: 'v3applicationcredential' },
      path: '',
      wanted: byCredential,
    },
    'password asks': { env: { ...env, OS_AUTH_TYPE: 'password' }, path: '', requests: ['GET  300', LOGIN], wanted },
    'token asks': {
      env: { ...withToken, OS_AUTH_TYPE: 'token' },
      path: '/',
      requests: ['GET  300', LOGIN],
      wanted: byToken,
    },
    'no type, a slash behind the version': { env, path: '/v3/', wanted },
    'an old version': { env, path: '/v2.0', wanted },
  });
});

testWithKeystone('TLS: our authority, and a client certificate', async (t, world) => {
  const { pki, tenancy } = world;
  const { domain, projects, users } = tenancy;
  const own = { OS_CERT: pki.client.cert, OS_KEY: pki.client.key };
  const env = { ...asUser(users.alice, domain), ...onProject(projects.demo, domain), OS_CACERT: pki.ca };
  const wanted = { user: 'alice', project: 'demo', ...both };
  await checkLogins(t, world, {
    'without a client certificate': { server: 'tls', env, wanted },
    'with one where it is welcome': { server: 'tls', env: { ...env, ...own }, wanted },
    'with one where it is required': { server: 'mutualTls', env: { ...env, ...own }, wanted },
    'asking for versions': { server: 'tls', path: '', env, requests: ['GET  300', LOGIN], wanted },
  });
  await t.test('the certificate is the one that was given, also in one file with its key', async (t) => {
    const mark = markRequests(world.mutualTls);
    const home = homeFor(t);
    const file = join(home.path, 'both.pem');
    writeFileSync(file, readFileSync(pki.client.cert, 'utf8') + readFileSync(pki.client.key, 'utf8'), { mode: 0o600 });
    const ran = await runPlugin({ home, env: { ...env, OS_AUTH_URL: `${mark.url}/v3`, OS_CERT: '~/both.pem' } });
    checkSuccess(t, ran);
    t.match(requestsSince(mark), [{ method: 'POST', status: 201, clientName: 'alice' }]);
  });
  await t.test('switched off, which is said each time', async (t) => {
    const mark = markRequests(world.tls);
    const home = homeFor(t);
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
function startCounting(t: Test, world: World, home = homeFor(t)) {
  const mark = markRequests(world.http);
  const { domain, projects, users } = world.tenancy;
  const alice = { OS_AUTH_URL: `${mark.url}/v3`, ...asUser(users.alice, domain), ...onProject(projects.demo, domain) };
  const run = async (
    env: Settings = {},
    { args = [], cwd }: { args?: readonly string[]; cwd?: string } = {},
  ): Promise<{ token: string; requests: number; ran: Ran }> => {
    const before = countRequests(mark);
    const ran = await runPlugin({ home, args, env: { ...alice, ...env }, ...(cwd === undefined ? {} : { cwd }) });
    return { token: checkSuccess(t, ran).token, requests: countRequests(mark) - before, ran };
  };
  return { home, mark, run };
}

testWithKeystone('one cache, many logins: nobody gets the token of another', async (t, world) => {
  const { domain, projects, users } = world.tenancy;
  const { run } = startCounting(t, world);
  const elsewhere = markRequests(world.http);
  const variants: Record<string, { env: Settings; wanted: Wanted }> = {
    alice: { env: {}, wanted: { user: 'alice', project: 'demo', ...both } },
    'another user': { env: asUser(users.bob, domain), wanted: { user: 'bob', project: 'demo', ...both } },
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
      wanted: { user: 'alice', project: 'demo', ...both },
    },
  };
  const tokens = new Map<string, string>();
  for (const [name, { env, wanted }] of Object.entries(variants)) {
    const { token, requests } = await run(env);
    t.equal(requests, name === 'another URL' ? 0 : 1, `${name} logs in`);
    const facts = await validateToken(world.http, token);
    t.strictSame(summarise(facts), { methods: ['password'], ...wanted });
    tokens.set(name, token);
  }
  t.equal(new Set(tokens.values()).size, tokens.size, 'each has a token of its own');
  t.strictSame(requestsSince(elsewhere).map(describe), [LOGIN], 'the other URL was used once');
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
  const home = homeFor(t);
  const mark = markRequests(world.tls);
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
  checkFailure(t, ran, EXIT.unreachable, { says: ['certificate is not trusted', 'OS_CACERT'] });
  t.equal(countRequests(mark), 2, 'the password is not sent to a server that is not trusted');
});

testWithKeystone('a record past its time', async (t, world) => {
  const { home, run, mark } = startCounting(t, world);
  const first = await run();
  const [file = '', ...more] = readdirSync(home.cache).filter((name) => name.endsWith('.token'));
  t.strictSame(more, [], 'one record');
  const key = file.replace('.token', '');
  const age = (receivedMs: number, leftMs: number): void => {
    const record = unsealRecord(key, readFileSync(join(home.cache, file), 'utf8'));
    t.equal(record?.token, first.token);
    const now = Date.now();
    const times = { receivedAt: now - receivedMs, expiresAt: now + leftMs };
    const sealed = sealRecord(key, { token: first.token, endpoint: `${mark.url}/v3`, ...times });
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
