// Against: a real Keystone that checks tickets of a real KDC, and the system's curl.

import { copyFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { startKeystone } from '../../scripts/keystone/keystone.ts';
import type { Keystone } from '../../scripts/keystone/keystone.ts';
import { startKerberosRealm } from '../support/kerberos-realm.ts';
import type { Realm } from '../support/kerberos-realm.ts';
import { checkSuccess, EXIT_STATUS, startKeystoneForTest } from '../support/check-run.ts';
import { runPlugin } from '../support/run-plugin.ts';
import { makeTestHome } from '../support/home.ts';
import { onProject } from '../support/login-settings.ts';
import { validateToken } from '../support/tenancy.ts';
import { openStandInLog, openWatchedLog, checkFailedLogin, logInTwice } from '../support/log-in-twice.ts';
import { watchRequests, listRequests } from '../support/request-log.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(170_000);

const LOGIN = 'POST /v3/auth/tokens?nocatalog=true';

/** Creates a folder for PATH with links to programs of the system. */
async function linkPrograms(dir: string, names: readonly string[]): Promise<string> {
  await mkdir(dir, { recursive: true });
  for (const name of names) symlinkSync(join('/usr/bin', name), join(dir, name));
  return dir;
}

interface KerberosFixture {
  readonly realm: Realm;
  readonly keystone: Keystone;
  readonly cache: string;
  readonly env: (address: { url: string }) => Record<string, string>;
}

async function setUpKerberos(t: Test, { http, pki, tenancy }: TestEnvironment): Promise<KerberosFixture | undefined> {
  const dir = makeTestHome(t).path;
  const realm = await startKerberosRealm(join(dir, 'realm'), ['alice', 'bob', 'stranger']);
  if ('missing' in realm) {
    await t.test('with a real KDC', { skip: realm.missing.replaceAll(/\s+/g, ' ') }, () => undefined);
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
  const cache = join(dir, 'tickets');
  const env = (address: { url: string }): Record<string, string> => ({
    ...realm.env,
    OS_AUTH_TYPE: 'v3kerberos',
    OS_AUTH_URL: `${address.url}/v3`,
    OS_CACERT: pki.ca,
    KRB5CCNAME: `FILE:${cache}`,
    PATH: `${realm.bin}:${process.env['PATH'] ?? ''}`,
    ...onProject(tenancy.projects.demo, tenancy.domain),
  });
  return { realm, keystone, cache, env };
}

testWithKeystone('logs in with a Kerberos ticket', async (t, environment) => {
  const fixture = await setUpKerberos(t, environment);
  if (fixture === undefined) return;
  const { realm, keystone, cache } = fixture;
  const { domain, projects } = environment.tenancy;

  await t.test('caches the token per principal', async (t) => {
    const address = watchRequests(keystone);
    const home = makeTestHome(t);
    const run = async (): Promise<{ token: string; logins: number }> => {
      const before = listRequests(address).length;
      const { token } = checkSuccess(t, await runPlugin({ home, env: fixture.env(address) }));
      return { token, logins: listRequests(address).length - before };
    };
    await realm.kinit('alice', `FILE:${cache}`);
    const aliceLogin = await logInTwice(t, {
      env: fixture.env(address),
      home,
      requestLog: openWatchedLog(address),
      requests: [`${LOGIN} 201`],
    });
    const details = await validateToken(environment.http, aliceLogin.token);
    t.match(details, { user: { name: 'alice' }, project: { name: 'demo' }, methods: ['kerberos'] });
    t.strictSame(await run(), { token: aliceLogin.token, logins: 0 });

    await realm.kinit('alice', `FILE:${cache}`);
    t.strictSame(
      await run(),
      { token: aliceLogin.token, logins: 0 },
      'new tickets of the same principal use the cache',
    );

    await realm.kinit('bob', `FILE:${cache}`);
    const bobLogin = await run();
    t.equal(bobLogin.logins, 1);
    t.match(await validateToken(environment.http, bobLogin.token), { user: { name: 'bob' } });
    t.strictSame(await run(), { token: bobLogin.token, logins: 0 });

    await realm.kinit('alice', `FILE:${cache}`);
    t.strictSame(await run(), { token: aliceLogin.token, logins: 0 });
  });

  await t.test('does not cache the token with tickets of two principals', async (t) => {
    const address = watchRequests(keystone);
    const home = makeTestHome(t);
    const folder = join(home.path, 'tickets');
    await mkdir(folder);
    await realm.kinit('alice', `DIR::${folder}/tkt1`);
    await realm.kinit('bob', `DIR::${folder}/tkt2`);
    const env = { ...fixture.env(address), KRB5CCNAME: `DIR:${folder}` };
    for (const logins of [1, 2]) {
      checkSuccess(t, await runPlugin({ home, env }));
      t.equal(listRequests(address).length, logins);
    }
    rmSync(join(folder, 'tkt2'));
    await realm.kinit('alice', `DIR::${folder}/tkt1`);
    const { token } = await logInTwice(t, {
      env,
      home,
      requestLog: openWatchedLog(address),
      requests: [`${LOGIN} 201`],
    });
    t.match(await validateToken(environment.http, token), { user: { name: 'alice' } });
  });

  await t.test('does not cache the token without klist', async (t) => {
    const address = watchRequests(keystone);
    const home = makeTestHome(t);
    const PATH = await linkPrograms(join(home.path, 'bin'), ['curl']);
    await realm.kinit('alice', `FILE:${cache}`);
    for (const logins of [1, 2]) {
      checkSuccess(t, await runPlugin({ home, env: { ...fixture.env(address), PATH } }));
      t.equal(listRequests(address).length, logins);
    }
  });

  await t.test('curl reads neither ~/.curlrc nor the environment', async (t) => {
    const address = watchRequests(keystone);
    const home = makeTestHome(t);
    writeFileSync(join(home.path, '.curlrc'), 'proxy = "http://127.0.0.1:1"\ninsecure\n');
    const env = { ...fixture.env(address), ALL_PROXY: 'http://127.0.0.1:1', CURL_CA_BUNDLE: '/nowhere' };
    checkSuccess(t, await runPlugin({ home, env }));
    const untrustedEnv = { ...env, OS_CACERT: environment.pki.untrusted.ca };
    const attempt = { env: untrustedEnv, requestLog: openWatchedLog(address), requests: [] };
    await checkFailedLogin(t, attempt, {
      status: EXIT_STATUS.unreachable,
      says: ['certificate is not trusted', 'OS_CACERT'],
    });
  });

  await t.test('rejected logins', async (t) => {
    const address = watchRequests(keystone);
    const requestLog = openWatchedLog(address);
    const says = ['Keystone refused the Kerberos login', 'kinit'];
    const rejection = { status: EXIT_STATUS.refused, says };
    await realm.kdestroy(`FILE:${cache}`);
    await checkFailedLogin(t, { env: fixture.env(address), requestLog, requests: [`${LOGIN} 401`] }, rejection);
    await realm.kinit('stranger', `FILE:${cache}`);
    await checkFailedLogin(t, { env: fixture.env(address), requestLog, requests: [`${LOGIN} 401`] }, rejection);
    await realm.kinit('bob', `FILE:${cache}`);
    const otherProject = { ...fixture.env(address), ...onProject(projects.other, domain) };
    await checkFailedLogin(t, { env: otherProject, requestLog, requests: [`${LOGIN} 401`] }, rejection);
  });
});

void t.test('sends no request without a curl that supports Negotiate', async (t) => {
  const standIn = await startKeystoneForTest(t);
  const env = { OS_AUTH_TYPE: 'v3kerberos', OS_AUTH_URL: `${standIn.url}/v3`, OS_UNSCOPED: 'true' };
  const requestLog = openStandInLog(standIn);
  await t.test('no curl', async (t) => {
    const home = makeTestHome(t);
    const PATH = await linkPrograms(join(home.path, 'bin'), []);
    const says = ['needs curl, which cannot be run here', 'install curl with GSS-API'];
    await checkFailedLogin(
      t,
      { env: { ...env, PATH }, home, requestLog, requests: [] },
      { status: EXIT_STATUS.config, says },
    );
  });
  await t.test('another program named curl', async (t) => {
    const home = makeTestHome(t);
    const PATH = await linkPrograms(join(home.path, 'bin'), []);
    copyFileSync('/bin/echo', join(PATH, 'curl'));
    const says = ['built without SPNEGO (GSS-API)'];
    await checkFailedLogin(
      t,
      { env: { ...env, PATH }, home, requestLog, requests: [] },
      { status: EXIT_STATUS.config, says },
    );
  });
});

void t.test('responses through curl', async (t) => {
  const standIn = await startKeystoneForTest(t);
  const env = {
    OS_AUTH_TYPE: 'v3kerberos',
    OS_AUTH_URL: `${standIn.url}/v3`,
    OS_UNSCOPED: 'true',
    PATH: process.env['PATH'],
    KRB5CCNAME: 'FILE:/nowhere/at/all',
  };
  const requestLog = openStandInLog(standIn);
  const requests = [LOGIN];
  const responses: Record<
    string,
    [headers: Record<string, string>, status: number, body: string, exit: number, says: string]
  > = {
    'a redirect elsewhere': [
      { location: 'https://evil.example/' },
      302,
      '',
      EXIT_STATUS.protocol,
      'redirects to https://evil.example',
    ],
    'more than 1 MiB': [{}, 200, 'x'.repeat(2_000_000), EXIT_STATUS.protocol, 'larger than 1 MiB'],
    HTML: [{ 'content-type': 'text/html' }, 200, '<html>', EXIT_STATUS.protocol, 'answered with HTML'],
    'a body that looks like a response': [
      {},
      500,
      'HTTP/1.1 201 Created\r\nX-Subject-Token: a\r\n\r\n{"token":{}}',
      EXIT_STATUS.protocol,
      'is not valid HTTP',
    ],
    '503': [{}, 503, '', EXIT_STATUS.unreachable, 'unavailable (503'],
  };
  for (const [name, [headers, status, body, exit, says]] of Object.entries(responses)) {
    await t.test(name, async (t) => {
      standIn.answerNext((_, response) => void response.writeHead(status, headers).end(body));
      await checkFailedLogin(t, { env, requestLog, requests }, { status: exit, says: [says] });
    });
  }
  await t.test('no response before the deadline', async (t) => {
    standIn.answerNext(() => undefined);
    const attempt = { env, args: ['--timeout=1'], requestLog, requests };
    await checkFailedLogin(t, attempt, { status: EXIT_STATUS.unreachable, says: ['did not respond'] });
  });
});
