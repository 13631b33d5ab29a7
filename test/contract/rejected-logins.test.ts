// All refusals of a real Keystone. Each causes one request, because repeating a refused login can lock the account; one
// line on stderr with a hint and the request ID for the operator; and nothing on stdout or in the cache.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { Test } from 'tap';
import type { KeystoneAddress } from '../../scripts/keystone/keystone.ts';
import { setUpAlice } from '../support/alice.ts';
import { checkFailure, EXIT_STATUS } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import { makeEnvironment } from '../support/home.ts';
import type { EnvVars } from '../support/home.ts';
import { asAliceOnDemo, asApplicationCredential, asUser, asUserById } from '../support/login-settings.ts';
import { listSecrets, onProject } from '../support/login-settings.ts';
import { watchRequests } from '../support/request-log.ts';
import { runBundles } from '../support/run-bundles.ts';
import { makeIsolatedCommand, PLUGIN_COMMAND } from '../support/run-plugin.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { stopClock } from '../support/stopped-clock.ts';
import { logIn, revokeToken } from '../support/tenancy.ts';
import { getTlsKeystone } from '../support/keystone-tls.ts';
import { getMutualTlsKeystone } from '../support/keystone-mutual-tls.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

interface Refusal {
  readonly env: EnvVars;
  readonly says: readonly (string | RegExp)[];
  /** Default: `refused`. */
  readonly status?: number;
  /** `METHOD PATH STATUS` for each request. */
  readonly requests: readonly string[];
  /** Default: Keystone without TLS. */
  readonly server?: KeystoneAddress;
  /** The path of OS_AUTH_URL. Default: `/v3`. */
  readonly path?: string;
}

const WRONG_SECRET = 'canary-not-the-secret';
const REQUEST_ID = / \(req-[0-9a-f-]{36}\)$/;
const GENERIC = 'wrong credentials, disabled or locked account, or no role in the scope';

const refused = (status: number): readonly string[] => [`POST /v3/auth/tokens?nocatalog=true ${status}`];

async function checkRefusal(t: Test, environment: TestEnvironment, refusal: Refusal): Promise<void> {
  const { env, says, status = EXIT_STATUS.refused, requests, server = environment.http, path = '/v3' } = refusal;
  const user = setUp(t, { keystone: watchRequests(server), path, settings: env });
  const result = await user.run();
  checkFailure(t, result, status, { says: ['; ', ...(requests.length > 0 ? [REQUEST_ID] : []), ...says] });
  t.strictSame(user.listRequests(), requests);
  const secrets = [...listSecrets(environment.tenancy), WRONG_SECRET, env['OS_TOKEN'] ?? WRONG_SECRET];
  t.notOk(
    secrets.some((secret) => result.stderr.includes(secret)),
    'no secret is printed',
  );
  t.strictSame(
    readdirSync(user.home.path, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.(?:alias|token)$/.test(name),
    ),
    [],
    'nothing is cached',
  );
}

async function checkRefusals(
  t: Test,
  environment: TestEnvironment,
  refusals: Readonly<Record<string, Refusal>>,
): Promise<void> {
  for (const [name, refusal] of Object.entries(refusals)) {
    await t.test(`the reason is shown: ${name}`, (t) => checkRefusal(t, environment, refusal));
  }
}

testWithKeystone('a password login that Keystone refuses is explained', async (t, environment) => {
  const { domain, projects, trust, users } = environment.tenancy;
  const { alice, bob, disabled, expired, mallory, mfa } = users;
  const onDemo = onProject(projects.demo, domain);
  const generic = { says: [GENERIC, 'check user, password, domain, and project or trust'], requests: refused(401) };
  const ofAlice = { ...generic, says: [`alice (domain ${domain.name}) on project demo`, ...generic.says] };
  await checkRefusals(t, environment, {
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
      says: [/requires another factor from mfa .*: totp; set OS_PASSCODE/],
      requests: refused(401),
    },
    "another user's trust": {
      env: { ...asUser(alice, domain), OS_TRUST_ID: trust.id },
      says: ['alice'],
      requests: refused(403),
    },
    'an unknown trust': {
      env: { ...asUser(bob, domain), OS_TRUST_ID: 'f'.repeat(32) },
      says: [`with trust ${'f'.repeat(32)}`],
      requests: refused(401),
    },
    // The plugin prompts or fails before Keystone can return 400.
    'a user without a domain': {
      env: { OS_USERNAME: 'alice', OS_PASSWORD: alice.password },
      status: EXIT_STATUS.interaction,
      says: ['domain of the user is not set', 'OS_USER_DOMAIN_NAME'],
      requests: [],
    },
  });
});

testWithKeystone('an application credential that Keystone refuses is explained', async (t, environment) => {
  const { applicationCredentials, domain, users } = environment.tenancy;
  const { expired, valid } = applicationCredentials;
  const wrong = { ...asApplicationCredential(valid), OS_APPLICATION_CREDENTIAL_SECRET: WRONG_SECRET };
  const ofAlice = { OS_USERNAME: users.alice.name, OS_USER_DOMAIN_NAME: domain.name };
  const secret = { OS_APPLICATION_CREDENTIAL_SECRET: valid.secret };
  const remedy = 'openstack application credential create';
  await checkRefusals(t, environment, {
    'wrong secret': { env: wrong, says: [valid.id, 'its secret is wrong', remedy], requests: refused(401) },
    'unknown ID': {
      env: { ...secret, OS_APPLICATION_CREDENTIAL_ID: 'f'.repeat(32) },
      says: [`has no application credential ${'f'.repeat(32)}`, remedy],
      requests: refused(404),
    },
    // For an unknown name Keystone answers 401, as for a wrong secret; only for an unknown ID it answers 404.
    'unknown name': {
      env: { ...secret, ...ofAlice, OS_APPLICATION_CREDENTIAL_NAME: 'nothing' },
      says: ['"nothing" of alice', 'it does not exist', remedy],
      requests: refused(401),
    },
    'of another user': {
      env: { ...secret, OS_USER_ID: users.bob.id, OS_APPLICATION_CREDENTIAL_NAME: valid.name },
      says: [`"${valid.name}" of ${users.bob.id}`, 'it does not exist'],
      requests: refused(401),
    },
    expired: { env: asApplicationCredential(expired), says: ['it has expired', remedy], requests: refused(401) },
  });
});

testWithKeystone('a token that Keystone refuses is explained', async (t, environment) => {
  const { applicationCredentials, domain, projects, users } = environment.tenancy;
  const onDemo = onProject(projects.demo, domain);
  const onOther = onProject(projects.other, domain);
  const invalidToken = ['the token in OS_TOKEN', 'it is expired, revoked or mistyped', 'openstack token issue'];
  const revoked = await logIn(environment.http, users.alice);
  await revokeToken(environment.http, revoked);
  const ofMallory = await logIn(environment.http, users.mallory);
  const { id, secret } = applicationCredentials.valid;
  const bound = await logInWithCredential(environment.http.url, id, secret);
  const asItIs = (status: number): readonly string[] => [`GET /v3/auth/tokens?nocatalog=true ${status}`];
  await checkRefusals(t, environment, {
    'not a token, to be exchanged': {
      env: { OS_TOKEN: WRONG_SECRET, ...onDemo },
      says: invalidToken,
      requests: refused(404),
    },
    'not a token, used unchanged': { env: { OS_TOKEN: WRONG_SECRET }, says: invalidToken, requests: asItIs(401) },
    'revoked, to be exchanged': { env: { OS_TOKEN: revoked, ...onDemo }, says: invalidToken, requests: refused(404) },
    'revoked, used unchanged': { env: { OS_TOKEN: revoked }, says: invalidToken, requests: asItIs(401) },
    'no role on the project': {
      env: { OS_TOKEN: ofMallory, ...onDemo },
      says: ['or its user has no role in the scope'],
      requests: refused(401),
    },
    "an application credential's token, for another project": {
      env: { OS_TOKEN: bound, ...onOther },
      says: ['does not exchange the token in OS_TOKEN', 'unset the project to use the token unchanged'],
      requests: refused(403),
    },
  });
});

async function logInWithCredential(url: string, id: string, secret: string): Promise<string> {
  const identity = { methods: ['application_credential'], application_credential: { id, secret } };
  const response = await fetch(`${url}/v3/auth/tokens?nocatalog`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ auth: { identity } }),
  });
  return response.headers.get('x-subject-token') ?? '';
}

testWithKeystone('an error before any login is explained', async (t, environment) => {
  const { pki, tenancy } = environment;
  const tls = getTlsKeystone();
  const mutualTls = getMutualTlsKeystone();
  const env = asAliceOnDemo(tenancy);
  const nowhere = { status: EXIT_STATUS.protocol, says: ['no Keystone v3 answers at', 'check OS_AUTH_URL'] };
  await checkRefusals(t, environment, {
    'a path that is not Keystone': {
      env,
      path: '/nothing/v3',
      requests: ['POST /nothing/v3/auth/tokens?nocatalog=true 404'],
      ...nowhere,
    },
    'a path that is not Keystone, without a version': {
      env,
      path: '/nothing',
      requests: ['GET /nothing 404', 'POST /nothing/v3/auth/tokens?nocatalog=true 404'],
      ...nowhere,
    },
    'an untrusted certificate authority': {
      server: tls,
      env: { ...env, OS_CACERT: pki.untrusted.ca },
      status: EXIT_STATUS.unreachable,
      says: ['its certificate is not trusted', 'OS_CACERT'],
      requests: [],
    },
    "the system's certificate authorities": {
      server: tls,
      env,
      status: EXIT_STATUS.unreachable,
      says: ['its certificate is not trusted', 'OS_CACERT'],
      requests: [],
    },
    'a client certificate is missing': {
      server: mutualTls,
      env: { ...env, OS_CACERT: pki.ca },
      status: EXIT_STATUS.unreachable,
      says: ['it requires a client certificate', 'OS_CERT'],
      requests: [],
    },
    'a client certificate of an untrusted certificate authority': {
      server: mutualTls,
      env: { ...env, OS_CACERT: pki.ca, OS_CERT: pki.untrusted.server.cert, OS_KEY: pki.untrusted.server.key },
      status: EXIT_STATUS.unreachable,
      says: ['it does not accept our client certificate', 'OS_CERT'],
      requests: [],
    },
  });
});

const REMEMBERED = {
  says: [
    /this login was refused \d+ (?:s|min) ago, and is not tried again yet: Keystone refused the login for alice/,
    GENERIC,
    'check user, password, domain, and project or trust; another credential is tried immediately, the same one in ',
    REQUEST_ID,
  ],
};

testWithKeystone('a refusal is remembered for all terminals of the user', async (t, environment) => {
  const person = setUpAlice(t, environment);
  const alice = person.with(stopClock(person.home));
  const wrong = alice.with({ OS_PASSWORD: WRONG_SECRET });
  const shell = openShell(t, alice);
  const first = await shell.run(wrong);
  checkFailure(t, first, EXIT_STATUS.refused, { says: [GENERIC] });
  t.equal(alice.countRequests(), 1);
  const second = await shell.run(wrong);
  checkFailure(t, second, EXIT_STATUS.refused, REMEMBERED);
  t.equal(REQUEST_ID.exec(second.stderr.trim())?.[0], REQUEST_ID.exec(first.stderr.trim())?.[0]);
  t.equal(alice.countRequests(), 1, 'the same credential is not tried again');
  checkFailure(t, await shell.run(wrong.with({ OS_PASSWORD: `${WRONG_SECRET}-2` })), EXIT_STATUS.refused, {
    says: [GENERIC],
  });
  t.equal(alice.countRequests(), 2, 'another credential is tried');
  checkFailure(t, await shell.run(wrong), EXIT_STATUS.refused, REMEMBERED);
  t.equal(alice.countRequests(), 2, 'the first one is still remembered');
  checkFailure(t, await shell.run(wrong, '--force-refresh'), EXIT_STATUS.refused, { says: [GENERIC] });
  t.equal(alice.countRequests(), 3, '--force-refresh is always tried');

  for (const [kind, name] of [
    ['leader', 'another terminal'],
    ['orphan', 'a script without a terminal, as in a CI job'],
  ] as const) {
    checkFailure(t, await openShell(t, alice, kind).run(wrong), EXIT_STATUS.refused, REMEMBERED);
    t.equal(alice.countRequests(), 3, name);
  }

  t.equal((await openShell(t, alice).run(alice)).status, 0, 'the correct password is tried immediately');
  t.equal(alice.countRequests(), 4);
  t.notOk(
    readdirSync(alice.home.cache).some((name) => name.endsWith('.refused')),
    'the login removes the refusal',
  );
});

testWithKeystone('the pauses between refused logins grow', async (t, environment) => {
  const start = Date.now();
  let now = start;
  const alice = setUpAlice(t, environment, { runner: (run) => runBundles(run, { now: () => now }) });
  const wrong = alice.with({ OS_PASSWORD: WRONG_SECRET });
  const [minute, hour] = [60, 3_600];
  let seconds = 0;
  for (const [index, pause] of [30, 20 * minute, hour, hour].entries()) {
    now = start + seconds * 1000;
    checkFailure(t, await wrong.run(), EXIT_STATUS.refused, { says: [GENERIC] });
    t.equal(alice.countRequests(), index + 1);
    seconds += pause;
    now = start + seconds * 1000 - 1;
    checkFailure(t, await wrong.run(), EXIT_STATUS.refused, REMEMBERED);
    t.equal(alice.countRequests(), index + 1, `it is not tried again before ${pause} s have passed`);
  }
});

interface Shell {
  run(user: Fixture, ...args: string[]): Promise<RunResult>;
}

/** Opens a shell that runs the plugin several times: a session leader, as in a terminal, or the orphan of one. */
function openShell(t: Test, { home }: Fixture, kind: 'leader' | 'orphan' = 'leader'): Shell {
  // Node closes stdin when the leader ends, so use descriptor 3.
  const shell = '/bin/sh -s <&3 3<&-';
  const args = ['-c', kind === 'leader' ? `exec ${shell}` : `${shell} &`];
  const [file, words, options] = makeIsolatedCommand('/bin/sh', args, makeEnvironment(home));
  const spawnOptions = { ...options, cwd: home.path, detached: true };
  const child = spawn(file, words, { ...spawnOptions, stdio: ['ignore', 'pipe', 'inherit', 'pipe'] });
  const [, stdout, , input] = child.stdio as [null, Readable, null, Writable, undefined];
  t.teardown(() => input.end());
  const ready = kind === 'orphan' ? once(child, 'exit') : undefined;
  const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  const [out, err] = [join(home.path, 'out'), join(home.path, 'err')];
  return {
    async run({ settings }, ...args) {
      await ready;
      const variables = Object.entries(settings).flatMap(([name, value]) =>
        value === undefined ? [] : [`${name}=${quote(value)}`],
      );
      const command = [...variables, ...PLUGIN_COMMAND.map(quote), ...args.map(quote)].join(' ');
      input.write(`${command} >${quote(out)} 2>${quote(err)} </dev/null; echo $?\n`);
      const [status] = (await once(stdout, 'data')) as [Buffer];
      return {
        status: Number(status),
        signal: null,
        stdout: readFileSync(out, 'utf8'),
        stderr: readFileSync(err, 'utf8'),
      };
    },
  };
}
