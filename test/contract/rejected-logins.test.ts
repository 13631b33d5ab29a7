// Every way in which the real Keystone says no: one request, because a refused login that is repeated locks accounts;
// one line, which says what to do and which request the operator should look for; nothing on stdout, nothing cached.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import t from 'tap';
import type { Test } from 'tap';
import { serializeWithChecksum, parseWithChecksum } from '../../src/plugin/cache/checksum.ts';
import { checkFailure, EXIT_STATUS } from '../support/check-run.ts';
import { makeIsolatedCommand, PLUGIN_COMMAND, makeEnvironment, makeHome, runPlugin } from '../support/run-plugin.ts';
import type { Home, RunResult } from '../support/run-plugin.ts';
import { asApplicationCredential, asUser, asUserById, onProject, listSecrets } from '../support/login-settings.ts';
import { logIn, revokeToken } from '../support/tenancy.ts';
import { watchRequests, listRequests, testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(170_000);

interface Refusal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly says: readonly (string | RegExp)[];
  /** Refused where nothing is said. */
  readonly status?: number;
  /** `METHOD PATH STATUS` of each. */
  readonly requests: readonly string[];
  readonly server?: 'http' | 'tls' | 'mutualTls';
  /** After the server's URL; `/v3` where nothing is said. */
  readonly path?: string;
}

const WRONG_SECRET = 'canary-not-the-secret';
const REQUEST_ID = / \(req-[0-9a-f-]{36}\)$/;
const GENERIC = 'wrong credentials, disabled or locked account, or no role there';

const refused = (status: number): readonly string[] => [`POST /v3/auth/tokens?nocatalog=true ${status}`];

async function checkRefusal(t: Test, world: TestEnvironment, refusal: Refusal): Promise<void> {
  const { env, says, status = EXIT_STATUS.refused, requests, server = 'http', path = '/v3' } = refusal;
  const home = makeHome();
  t.teardown(() => home.remove());
  const mark = watchRequests(world[server]);
  const ran = await runPlugin({ home, env: { OS_AUTH_URL: mark.url + path, ...env } });
  checkFailure(t, ran, status, { says: ['; ', ...(requests.length > 0 ? [REQUEST_ID] : []), ...says] });
  t.strictSame(
    listRequests(mark).map((request) => `${request.method} ${request.path} ${request.status}`),
    requests,
  );
  const secrets = [...listSecrets(world.tenancy), WRONG_SECRET, env['OS_TOKEN'] ?? WRONG_SECRET];
  t.notOk(
    secrets.some((secret) => ran.stderr.includes(secret)),
    'no secret is printed',
  );
  t.strictSame(
    readdirSync(home.path, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(?:alias|token)$/.test(name)),
    [],
    'nothing is kept',
  );
}

async function checkRefusals(
  t: Test,
  world: TestEnvironment,
  refusals: Readonly<Record<string, Refusal>>,
): Promise<void> {
  for (const [name, refusal] of Object.entries(refusals)) {
    await t.test(name, (t) => checkRefusal(t, world, refusal));
  }
}

testWithKeystone('a password is refused', async (t, world) => {
  const { domain, projects, trust, users } = world.tenancy;
  const { alice, bob, disabled, expired, mallory, mfa } = users;
  const onDemo = onProject(projects.demo, domain);
  const generic = { says: [GENERIC, 'check user, password, domain, and project or trust'], requests: refused(401) };
  const ofAlice = { ...generic, says: [`alice (domain ${domain.name}) on project demo`, ...generic.says] };
  await checkRefusals(t, world, {
    'wrong password': { env: { ...asUser(alice, domain), ...onDemo, OS_PASSWORD: WRONG_SECRET }, ...ofAlice },
    'unknown user': { env: { ...asUser(alice, domain), ...onDemo, OS_USERNAME: 'nobody' }, ...generic },
    'unknown domain': { env: { ...asUser(alice, { ...domain, name: 'nowhere' }), ...onDemo }, ...generic },
    'no role on the project': { env: { ...asUser(mallory, domain), ...onDemo }, ...generic },
    'no role on the system': { env: { ...asUser(bob, domain), OS_SYSTEM_SCOPE: 'all' }, ...generic },
    'no role on the domain': { env: { ...asUserById(bob), OS_DOMAIN_NAME: domain.name }, ...generic },
    'unknown project': {
      env: { ...asUser(alice, domain), ...onProject({ name: 'nothing' }, domain) },
      ...generic,
    },
    'disabled user': { env: { ...asUser(disabled, domain), ...onDemo }, ...generic },
    'expired password': {
      env: { ...asUser(expired, domain), ...onDemo },
      says: [
        `the password of expired (domain ${domain.name}) on project demo has expired`,
        'openstack user password set',
      ],
      requests: refused(401),
    },
    'a second factor is missing': {
      env: { ...asUser(mfa, domain), ...onDemo },
      says: [/wants another factor from mfa .*: totp; set OS_PASSCODE/],
      requests: refused(401),
    },
    "somebody else's trust": {
      env: { ...asUser(alice, domain), OS_TRUST_ID: trust.id },
      says: ['alice'],
      requests: refused(403),
    },
    'a trust that is not there': {
      env: { ...asUser(bob, domain), OS_TRUST_ID: 'f'.repeat(32) },
      says: [`with trust ${'f'.repeat(32)}`],
      requests: refused(401),
    },
    // Keystone's own 400 for this cannot be reached: we ask or refuse before.
    'a user without a domain': {
      env: { OS_USERNAME: 'alice', OS_PASSWORD: alice.password },
      status: EXIT_STATUS.interaction,
      says: ['domain of the user is not set', 'OS_USER_DOMAIN_NAME'],
      requests: [],
    },
  });
});

testWithKeystone('an application credential is refused', async (t, world) => {
  const { applicationCredentials, domain, users } = world.tenancy;
  const { expired, valid } = applicationCredentials;
  const wrong = { ...asApplicationCredential(valid), OS_APPLICATION_CREDENTIAL_SECRET: WRONG_SECRET };
  const ofAlice = { OS_USERNAME: users.alice.name, OS_USER_DOMAIN_NAME: domain.name };
  const secret = { OS_APPLICATION_CREDENTIAL_SECRET: valid.secret };
  const anew = 'openstack application credential create';
  await checkRefusals(t, world, {
    'wrong secret': { env: wrong, says: [valid.id, 'its secret is wrong', anew], requests: refused(401) },
    'unknown id': {
      env: { ...secret, OS_APPLICATION_CREDENTIAL_ID: 'f'.repeat(32) },
      says: [`knows no application credential ${'f'.repeat(32)}`, anew],
      requests: refused(404),
    },
    // Keystone tells an unknown name, unlike an unknown id, from nothing else.
    'unknown name': {
      env: { ...secret, ...ofAlice, OS_APPLICATION_CREDENTIAL_NAME: 'nothing' },
      says: ['"nothing" of alice', 'there is none of that name', anew],
      requests: refused(401),
    },
    'of another user': {
      env: { ...secret, OS_USER_ID: users.bob.id, OS_APPLICATION_CREDENTIAL_NAME: valid.name },
      says: [`"${valid.name}" of ${users.bob.id}`, 'there is none of that name'],
      requests: refused(401),
    },
    expired: { env: asApplicationCredential(expired), says: ['it has expired', anew], requests: refused(401) },
  });
});

testWithKeystone('a token is refused', async (t, world) => {
  const { applicationCredentials, domain, projects, users } = world.tenancy;
  const onDemo = onProject(projects.demo, domain);
  const onOther = onProject(projects.other, domain);
  const dead = ['the token in OS_TOKEN', 'it is expired, revoked or mistyped', 'openstack token issue'];
  const revoked = await logIn(world.http, users.alice);
  await revokeToken(world.http, revoked);
  const ofMallory = await logIn(world.http, users.mallory);
  const { id, secret } = applicationCredentials.valid;
  const bound = await logInWithCredential(world.http.url, id, secret);
  const asItIs = (status: number): readonly string[] => [`GET /v3/auth/tokens?nocatalog=true ${status}`];
  await checkRefusals(t, world, {
    'no token at all, to be exchanged': {
      env: { OS_TOKEN: WRONG_SECRET, ...onDemo },
      says: dead,
      requests: refused(404),
    },
    'no token at all, as it is': { env: { OS_TOKEN: WRONG_SECRET }, says: dead, requests: asItIs(401) },
    'revoked, to be exchanged': { env: { OS_TOKEN: revoked, ...onDemo }, says: dead, requests: refused(404) },
    'revoked, as it is': { env: { OS_TOKEN: revoked }, says: dead, requests: asItIs(401) },
    'no role there': {
      env: { OS_TOKEN: ofMallory, ...onDemo },
      says: ['or has no role there'],
      requests: refused(401),
    },
    "an application credential's token, for another project": {
      env: { OS_TOKEN: bound, ...onOther },
      says: ['does not let the token in OS_TOKEN be exchanged', 'unset the project to use the token as it is'],
      requests: refused(403),
    },
  });
});

async function logInWithCredential(url: string, id: string, secret: string): Promise<string> {
  const identity = { methods: ['application_credential'], application_credential: { id, secret } };
  const answer = await fetch(`${url}/v3/auth/tokens?nocatalog`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ auth: { identity } }),
  });
  return answer.headers.get('x-subject-token') ?? '';
}

testWithKeystone('no login at all', async (t, world) => {
  const { pki, tenancy } = world;
  const env = { ...asUser(tenancy.users.alice, tenancy.domain), ...onProject(tenancy.projects.demo, tenancy.domain) };
  const nowhere = { status: EXIT_STATUS.protocol, says: ['no Keystone v3 answers at', 'check OS_AUTH_URL'] };
  await checkRefusals(t, world, {
    'a path that is not Keystone': {
      env,
      path: '/nothing/v3',
      requests: ['POST /nothing/v3/auth/tokens?nocatalog=true 404'],
      ...nowhere,
    },
    'nor without a version': {
      env,
      path: '/nothing',
      requests: ['GET /nothing 404', 'POST /nothing/v3/auth/tokens?nocatalog=true 404'],
      ...nowhere,
    },
    'an authority that is not trusted': {
      server: 'tls',
      env: { ...env, OS_CACERT: pki.untrusted.ca },
      status: EXIT_STATUS.unreachable,
      says: ['its certificate is not trusted', 'OS_CACERT'],
      requests: [],
    },
    "the system's authorities, which know nothing of ours": {
      server: 'tls',
      env,
      status: EXIT_STATUS.unreachable,
      says: ['its certificate is not trusted', 'OS_CACERT'],
      requests: [],
    },
    'a client certificate is missing': {
      server: 'mutualTls',
      env: { ...env, OS_CACERT: pki.ca },
      status: EXIT_STATUS.unreachable,
      says: ['it asks for a client certificate', 'OS_CERT'],
      requests: [],
    },
    'a client certificate of a strange authority': {
      server: 'mutualTls',
      env: { ...env, OS_CACERT: pki.ca, OS_CERT: pki.untrusted.server.cert, OS_KEY: pki.untrusted.server.key },
      status: EXIT_STATUS.unreachable,
      says: ['it does not accept our client certificate', 'OS_CERT'],
      requests: [],
    },
  });
});

testWithKeystone('a refusal is remembered for the terminal that it happened in', async (t, world) => {
  const { domain, projects, users } = world.tenancy;
  const home = makeHome();
  t.teardown(() => home.remove());
  const mark = watchRequests(world.http);
  const right = {
    OS_AUTH_URL: `${mark.url}/v3`,
    ...asUser(users.alice, domain),
    ...onProject(projects.demo, domain),
  };
  const wrong = { ...right, OS_PASSWORD: WRONG_SECRET };
  const shell = openShell(home);
  t.teardown(() => shell.close());
  const before = { says: [/this login was refused \d+ s ago, and is not tried again yet; another credential/] };
  const count = (): number => listRequests(mark).length;

  checkFailure(t, await shell.run(wrong), EXIT_STATUS.refused, { says: [GENERIC] });
  t.equal(count(), 1);
  checkFailure(t, await shell.run(wrong), EXIT_STATUS.refused, before);
  t.equal(count(), 1, 'the same credential is not tried again');
  checkFailure(t, await shell.run({ ...wrong, OS_PASSWORD: `${WRONG_SECRET}-2` }), EXIT_STATUS.refused, {
    says: [GENERIC],
  });
  t.equal(count(), 2, 'another is');
  checkFailure(t, await shell.run(wrong, '--force-refresh'), EXIT_STATUS.refused, { says: [GENERIC] });
  t.equal(count(), 3, 'and whatever the user insists on');

  const other = openShell(home);
  t.teardown(() => other.close());
  checkFailure(t, await other.run(wrong), EXIT_STATUS.refused, { says: [GENERIC] });
  t.equal(count(), 4, 'another terminal cannot know');
  ageRefusals(home, 25_000);
  checkFailure(t, await other.run(wrong), EXIT_STATUS.refused, before);
  t.equal(count(), 4, '25 s later it is remembered');
  ageRefusals(home, 5_000);
  checkFailure(t, await other.run(wrong), EXIT_STATUS.refused, { says: [GENERIC] });
  t.equal(count(), 5, '30 s later no more');

  t.equal((await other.run(right)).status, 0, 'the right password is let in at once');
  t.equal(count(), 6);
  t.notOk(
    readdirSync(home.cache).some((name) => name.endsWith('.refused')),
    'and then the refusal is forgotten',
  );
});

testWithKeystone('a refusal is remembered for the script, where its terminal is gone', async (t, world) => {
  const { domain, projects, users } = world.tenancy;
  const home = makeHome();
  t.teardown(() => home.remove());
  const mark = watchRequests(world.http);
  const right = { ...asUser(users.alice, domain), ...onProject(projects.demo, domain) };
  const wrong = { OS_AUTH_URL: `${mark.url}/v3`, ...right, OS_PASSWORD: WRONG_SECRET };
  const script = openShell(home, 'orphan');
  t.teardown(() => script.close());
  checkFailure(t, await script.run(wrong), EXIT_STATUS.refused, { says: [GENERIC] });
  checkFailure(t, await script.run(wrong), EXIT_STATUS.refused, { says: ['is not tried again yet'] });
  t.equal(listRequests(mark).length, 1, 'as jobs of CI run, and what a container starts from outside');
  const other = openShell(home, 'orphan');
  t.teardown(() => other.close());
  checkFailure(t, await other.run(wrong), EXIT_STATUS.refused, { says: [GENERIC] });
  t.equal(listRequests(mark).length, 2, 'another script cannot know');
});

interface Shell {
  run(env: Readonly<Record<string, string>>, ...args: string[]): Promise<RunResult>;
  close(): void;
}

/** A shell that runs the plugin more than once: it leads a session, as the one in a terminal does, or its leader has ended. */
function openShell(home: Home, kind: 'leader' | 'orphan' = 'leader'): Shell {
  // Not its stdin: Node closes that when the leader ends.
  const shell = '/bin/sh -s <&3 3<&-';
  const args = ['-c', kind === 'leader' ? `exec ${shell}` : `${shell} &`];
  const [file, words, options] = makeIsolatedCommand('/bin/sh', args, makeEnvironment(home));
  const all = { ...options, cwd: home.path, detached: true };
  const child = spawn(file, words, { ...all, stdio: ['ignore', 'pipe', 'inherit', 'pipe'] });
  const [, stdout, , input] = child.stdio as [null, Readable, null, Writable, undefined];
  const ready = kind === 'orphan' ? once(child, 'exit') : undefined;
  const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  const [out, err] = [join(home.path, 'out'), join(home.path, 'err')];
  return {
    async run(env, ...args) {
      await ready;
      const settings = Object.entries(env).map(([name, value]) => `${name}=${quote(value)}`);
      const command = [...settings, ...PLUGIN_COMMAND.map(quote), ...args.map(quote)].join(' ');
      input.write(`${command} >${quote(out)} 2>${quote(err)} </dev/null; echo $?\n`);
      const [status] = (await once(stdout, 'data')) as [Buffer];
      return {
        status: Number(status),
        signal: null,
        stdout: readFileSync(out, 'utf8'),
        stderr: readFileSync(err, 'utf8'),
      };
    },
    close: () => input.end(),
  };
}

/** As if the refusals had been noted so much earlier. */
function ageRefusals(home: Home, ms: number): void {
  for (const name of readdirSync(home.cache).filter((name) => name.endsWith('.refused'))) {
    const path = join(home.cache, name);
    const content = parseWithChecksum(readFileSync(path, 'utf8')) ?? {};
    writeFileSync(path, serializeWithChecksum({ ...content, at: Number(content['at']) - ms }));
  }
}
