// Against: a real Keystone that checks tickets of a real KDC, and the system's curl.

import { copyFileSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { startKeystone } from '../../scripts/keystone/keystone.ts';
import { checkSuccess, EXIT_STATUS, startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import { makeTestHome } from '../support/home.ts';
import type { EnvVars } from '../support/home.ts';
import { startKerberosRealm } from '../support/kerberos-realm.ts';
import type { Realm } from '../support/kerberos-realm.ts';
import { checkFailedLogin, logInTwice } from '../support/log-in-twice.ts';
import { onProject } from '../support/login-settings.ts';
import { watchRequests } from '../support/request-log.ts';
import { validateToken } from '../support/tenancy.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

const LOGIN = 'POST /v3/auth/tokens?nocatalog=true';

/** Creates a folder for PATH with links to programs of the system. */
function linkPrograms(dir: string, names: readonly string[]): string {
  mkdirSync(dir, { recursive: true });
  for (const name of names) symlinkSync(join('/usr/bin', name), join(dir, name));
  return dir;
}

interface KerberosFixture {
  readonly realm: Realm;
  /** The name of the file with the tickets. */
  readonly tickets: string;
  /** Makes someone with these tickets, a new home and a new count of requests. */
  readonly makeUser: (t: Test, settings?: EnvVars) => Fixture;
}

async function setUpKerberos(t: Test, { http, pki, tenancy }: TestEnvironment): Promise<KerberosFixture | undefined> {
  const dir = makeTestHome(t).path;
  const realm = await startKerberosRealm(join(dir, 'realm'), ['alice', 'bob', 'stranger']);
  if ('missing' in realm) {
    await t.test('a real KDC is needed', { skip: realm.missing.replaceAll(/\s+/g, ' ') }, () => undefined);
    return undefined;
  }
  t.teardown(() => realm.stop());
  const { pythonPath, serverEnv } = realm;
  const keystone = await startKeystone({
    dir: dirname(http.accessLog),
    tls: pki.server,
    kerberos: { domain: tenancy.domain.name, pythonPath, env: serverEnv },
  });
  t.teardown(() => keystone.stop());
  const tickets = `FILE:${join(dir, 'tickets')}`;
  const settings = {
    ...realm.env,
    OS_AUTH_TYPE: 'v3kerberos',
    OS_CACERT: pki.ca,
    KRB5CCNAME: tickets,
    PATH: `${realm.bin}:${process.env['PATH'] ?? ''}`,
    ...onProject(tenancy.projects.demo, tenancy.domain),
  };
  const makeUser = (t: Test, changes: EnvVars = {}): Fixture =>
    setUp(t, { keystone: watchRequests(keystone), settings: { ...settings, ...changes } });
  return { realm, tickets, makeUser };
}

testWithKeystone('v3kerberos logs in with a Kerberos ticket', async (t, environment) => {
  const fixture = await setUpKerberos(t, environment);
  if (fixture === undefined) return;
  const { realm, tickets, makeUser } = fixture;
  const { domain, projects } = environment.tenancy;

  await t.test('the token is cached per principal', async (t) => {
    const user = makeUser(t);
    const run = async (): Promise<{ token: string; logins: number }> => {
      const before = user.countRequests();
      const { token } = checkSuccess(t, await user.run());
      return { token, logins: user.countRequests() - before };
    };
    await realm.kinit('alice', tickets);
    const aliceLogin = await logInTwice(t, user, { requests: [`${LOGIN} 201`] });
    const details = await validateToken(environment.http, aliceLogin.token);
    t.match(details, { user: { name: 'alice' }, project: { name: 'demo' }, methods: ['kerberos'] });
    t.strictSame(await run(), { token: aliceLogin.token, logins: 0 });

    await realm.kinit('alice', tickets);
    t.strictSame(
      await run(),
      { token: aliceLogin.token, logins: 0 },
      'new tickets of the same principal use the cache',
    );

    await realm.kinit('bob', tickets);
    const bobLogin = await run();
    t.equal(bobLogin.logins, 1);
    t.match(await validateToken(environment.http, bobLogin.token), { user: { name: 'bob' } });
    t.strictSame(await run(), { token: bobLogin.token, logins: 0 });

    await realm.kinit('alice', tickets);
    t.strictSame(await run(), { token: aliceLogin.token, logins: 0 });
  });

  await t.test('the token is not cached with tickets of two principals', async (t) => {
    const folder = join(makeTestHome(t).path, 'tickets');
    mkdirSync(folder);
    await realm.kinit('alice', `DIR::${folder}/tkt1`);
    await realm.kinit('bob', `DIR::${folder}/tkt2`);
    const user = makeUser(t, { KRB5CCNAME: `DIR:${folder}` });
    for (const logins of [1, 2]) {
      checkSuccess(t, await user.run());
      t.equal(user.countRequests(), logins);
    }
    rmSync(join(folder, 'tkt2'));
    await realm.kinit('alice', `DIR::${folder}/tkt1`);
    const { token } = await logInTwice(t, user, { requests: [`${LOGIN} 201`] });
    t.match(await validateToken(environment.http, token), { user: { name: 'alice' } });
  });

  await t.test('the token is not cached without klist', async (t) => {
    const user = makeUser(t, { PATH: linkPrograms(join(makeTestHome(t).path, 'bin'), ['curl']) });
    await realm.kinit('alice', tickets);
    for (const logins of [1, 2]) {
      checkSuccess(t, await user.run());
      t.equal(user.countRequests(), logins);
    }
  });

  await t.test('curl reads neither ~/.curlrc nor the environment', async (t) => {
    const user = makeUser(t, { ALL_PROXY: 'http://127.0.0.1:1', CURL_CA_BUNDLE: '/nowhere' });
    user.writeFile('.curlrc', 'proxy = "http://127.0.0.1:1"\ninsecure\n');
    checkSuccess(t, await user.run());
    await checkFailedLogin(t, user.onNewMachine().with({ OS_CACERT: environment.pki.untrusted.ca }), {
      requests: [],
      status: EXIT_STATUS.unreachable,
      says: ['certificate is not trusted', 'OS_CACERT'],
    });
  });

  await t.test('a login without the right ticket is rejected', async (t) => {
    const user = makeUser(t);
    const rejection = {
      requests: [`${LOGIN} 401`],
      status: EXIT_STATUS.refused,
      says: ['Keystone refused the Kerberos login', 'kinit'],
    };
    await realm.kdestroy(tickets);
    await checkFailedLogin(t, user.onNewMachine(), rejection);
    await realm.kinit('stranger', tickets);
    await checkFailedLogin(t, user.onNewMachine(), rejection);
    await realm.kinit('bob', tickets);
    await checkFailedLogin(t, user.onNewMachine().with(onProject(projects.other, domain)), rejection);
  });
});

void t.test('v3kerberos sends no request without a curl that supports Negotiate', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const setUpCurl = (t: Test): { user: Fixture; PATH: string } => {
    const PATH = linkPrograms(join(makeTestHome(t).path, 'bin'), []);
    return {
      user: setUp(t, { keystone, settings: { OS_AUTH_TYPE: 'v3kerberos', OS_UNSCOPED: 'true', PATH } }),
      PATH,
    };
  };
  await t.test('there is no curl', async (t) => {
    await checkFailedLogin(t, setUpCurl(t).user, {
      requests: [],
      status: EXIT_STATUS.config,
      says: ['needs curl, which cannot be run here', 'install curl with GSS-API'],
    });
  });
  await t.test('another program is named curl', async (t) => {
    const { user, PATH } = setUpCurl(t);
    copyFileSync('/bin/echo', join(PATH, 'curl'));
    await checkFailedLogin(t, user, {
      requests: [],
      status: EXIT_STATUS.config,
      says: ['built without SPNEGO (GSS-API)'],
    });
  });
});

void t.test('v3kerberos checks the response that curl received', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const user = setUp(t, {
    keystone,
    settings: {
      OS_AUTH_TYPE: 'v3kerberos',
      OS_UNSCOPED: 'true',
      PATH: process.env['PATH'],
      KRB5CCNAME: 'FILE:/nowhere/at/all',
    },
  });
  const responses: Record<
    string,
    [headers: Record<string, string>, status: number, body: string, exit: number, says: string]
  > = {
    'a redirect to another server is not followed': [
      { location: 'https://evil.example/' },
      302,
      '',
      EXIT_STATUS.protocol,
      'redirects to https://evil.example',
    ],
    'more than 1 MiB is too large': [{}, 200, 'x'.repeat(2_000_000), EXIT_STATUS.protocol, 'larger than 1 MiB'],
    'HTML is not from Keystone': [
      { 'content-type': 'text/html' },
      200,
      '<html>',
      EXIT_STATUS.protocol,
      'answered with HTML',
    ],
    'a body that looks like a response is not one': [
      {},
      500,
      'HTTP/1.1 201 Created\r\nX-Subject-Token: a\r\n\r\n{"token":{}}',
      EXIT_STATUS.protocol,
      'is not valid HTTP',
    ],
    'status 503 means that Keystone is unavailable': [{}, 503, '', EXIT_STATUS.unreachable, 'unavailable (503'],
  };
  for (const [name, [headers, code, body, status, says]] of Object.entries(responses)) {
    await t.test(name, async (t) => {
      keystone.answerNext((_, response) => void response.writeHead(code, headers).end(body));
      await checkFailedLogin(t, user.onNewMachine(), { requests: [LOGIN], status, says: [says] });
    });
  }
  await t.test('the deadline ends a run without a response', async (t) => {
    keystone.answerNext(() => undefined);
    await checkFailedLogin(t, user.onNewMachine(), {
      // Long enough for a busy machine to start curl.
      args: ['--timeout=15'],
      requests: [LOGIN],
      status: EXIT_STATUS.unreachable,
      says: ['did not respond'],
    });
  });
});
