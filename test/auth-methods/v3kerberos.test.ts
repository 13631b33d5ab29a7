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
import { onProject } from '../support/login-settings.ts';
import { validateToken } from '../support/tenancy.ts';
import { openStandInLog, openWatchedLog, checkFailedLogin, makeTestHome, logInTwice } from '../support/log-in-twice.ts';
import { watchRequests, listRequests, testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(170_000);

const LOGIN = 'POST /v3/auth/tokens?nocatalog=true';
const which = (name: string): string => join('/usr/bin', name);

/** A folder for PATH that holds these programs of the system. */
async function folderOf(dir: string, names: readonly string[]): Promise<string> {
  await mkdir(dir, { recursive: true });
  for (const name of names) symlinkSync(which(name), join(dir, name));
  return dir;
}

interface KerberosFixture {
  readonly realm: Realm;
  readonly keystone: Keystone;
  readonly cache: string;
  readonly env: (mark: { url: string }) => Record<string, string>;
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
  const env = (mark: { url: string }): Record<string, string> => ({
    ...realm.env,
    OS_AUTH_TYPE: 'v3kerberos',
    OS_AUTH_URL: `${mark.url}/v3`,
    OS_CACERT: pki.ca,
    KRB5CCNAME: `FILE:${cache}`,
    PATH: `${realm.bin}:${process.env['PATH'] ?? ''}`,
    ...onProject(tenancy.projects.demo, tenancy.domain),
  });
  return { realm, keystone, cache, env };
}

testWithKeystone('a ticket is a login', async (t, world) => {
  const site = await setUpKerberos(t, world);
  if (site === undefined) return;
  const { realm, keystone, cache } = site;
  const { domain, projects } = world.tenancy;

  await t.test('its user and no other', async (t) => {
    const mark = watchRequests(keystone);
    const home = makeTestHome(t);
    const run = async (): Promise<{ token: string; logins: number }> => {
      const before = listRequests(mark).length;
      const { token } = checkSuccess(t, await runPlugin({ home, env: site.env(mark) }));
      return { token, logins: listRequests(mark).length - before };
    };
    await realm.kinit('alice', `FILE:${cache}`);
    const alices = await logInTwice(t, {
      env: site.env(mark),
      home,
      requestLog: openWatchedLog(mark),
      requests: [`${LOGIN} 201`],
    });
    const facts = await validateToken(world.http, alices.token);
    t.match(facts, { user: { name: 'alice' }, project: { name: 'demo' }, methods: ['kerberos'] });
    t.strictSame(await run(), { token: alices.token, logins: 0 });

    await realm.kinit('alice', `FILE:${cache}`);
    t.strictSame(await run(), { token: alices.token, logins: 0 }, 'new tickets of the same cost no login');

    await realm.kinit('bob', `FILE:${cache}`);
    const bobs = await run();
    t.equal(bobs.logins, 1);
    t.match(await validateToken(world.http, bobs.token), { user: { name: 'bob' } });
    t.strictSame(await run(), { token: bobs.token, logins: 0 });

    await realm.kinit('alice', `FILE:${cache}`);
    t.strictSame(await run(), { token: alices.token, logins: 0 });
  });

  await t.test('tickets of two: whose the library takes cannot be told, so nothing is kept', async (t) => {
    const mark = watchRequests(keystone);
    const home = makeTestHome(t);
    const folder = join(home.path, 'tickets');
    await mkdir(folder);
    await realm.kinit('alice', `DIR::${folder}/tkt1`);
    await realm.kinit('bob', `DIR::${folder}/tkt2`);
    const env = { ...site.env(mark), KRB5CCNAME: `DIR:${folder}` };
    for (const logins of [1, 2]) {
      checkSuccess(t, await runPlugin({ home, env }));
      t.equal(listRequests(mark).length, logins);
    }
    rmSync(join(folder, 'tkt2'));
    await realm.kinit('alice', `DIR::${folder}/tkt1`);
    const one = { env, home, requestLog: openWatchedLog(mark), requests: [`${LOGIN} 201`] };
    const { token } = await logInTwice(t, one);
    t.match(await validateToken(world.http, token), { user: { name: 'alice' } });
  });

  await t.test('without klist nothing is kept either', async (t) => {
    const mark = watchRequests(keystone);
    const home = makeTestHome(t);
    const PATH = await folderOf(join(home.path, 'bin'), ['curl']);
    await realm.kinit('alice', `FILE:${cache}`);
    for (const logins of [1, 2]) {
      checkSuccess(t, await runPlugin({ home, env: { ...site.env(mark), PATH } }));
      t.equal(listRequests(mark).length, logins);
    }
  });

  await t.test("neither ~/.curlrc nor the environment is curl's", async (t) => {
    const mark = watchRequests(keystone);
    const home = makeTestHome(t);
    writeFileSync(join(home.path, '.curlrc'), 'proxy = "http://127.0.0.1:1"\ninsecure\n');
    const env = { ...site.env(mark), ALL_PROXY: 'http://127.0.0.1:1', CURL_CA_BUNDLE: '/nowhere' };
    checkSuccess(t, await runPlugin({ home, env }));
    const untrusting = { ...env, OS_CACERT: world.pki.untrusted.ca };
    const attempt = { env: untrusting, requestLog: openWatchedLog(mark), requests: [] };
    await checkFailedLogin(t, attempt, {
      status: EXIT_STATUS.unreachable,
      says: ['certificate is not trusted', 'OS_CACERT'],
    });
  });

  await t.test('what is refused', async (t) => {
    const mark = watchRequests(keystone);
    const requestLog = openWatchedLog(mark);
    const says = ['Keystone refused the Kerberos login', 'kinit'];
    const refused = { status: EXIT_STATUS.refused, says };
    await realm.kdestroy(`FILE:${cache}`);
    await checkFailedLogin(t, { env: site.env(mark), requestLog, requests: [`${LOGIN} 401`] }, refused);
    await realm.kinit('stranger', `FILE:${cache}`);
    await checkFailedLogin(t, { env: site.env(mark), requestLog, requests: [`${LOGIN} 401`] }, refused);
    await realm.kinit('bob', `FILE:${cache}`);
    const elsewhere = { ...site.env(mark), ...onProject(projects.other, domain) };
    await checkFailedLogin(t, { env: elsewhere, requestLog, requests: [`${LOGIN} 401`] }, refused);
  });
});

void t.test('without a curl that speaks Negotiate: no request', async (t) => {
  const standIn = await startKeystoneForTest(t);
  const env = { OS_AUTH_TYPE: 'v3kerberos', OS_AUTH_URL: `${standIn.url}/v3`, OS_UNSCOPED: 'true' };
  const requestLog = openStandInLog(standIn);
  await t.test('no curl', async (t) => {
    const home = makeTestHome(t);
    const PATH = await folderOf(join(home.path, 'bin'), []);
    const says = ['needs curl, which cannot be run here', 'install curl with GSS-API'];
    await checkFailedLogin(
      t,
      { env: { ...env, PATH }, home, requestLog, requests: [] },
      { status: EXIT_STATUS.config, says },
    );
  });
  await t.test('another program of that name', async (t) => {
    const home = makeTestHome(t);
    const PATH = await folderOf(join(home.path, 'bin'), []);
    copyFileSync('/bin/echo', join(PATH, 'curl'));
    const says = ['built without SPNEGO (GSS-API)'];
    await checkFailedLogin(
      t,
      { env: { ...env, PATH }, home, requestLog, requests: [] },
      { status: EXIT_STATUS.config, says },
    );
  });
});

void t.test('what a server may answer through curl', async (t) => {
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
  const answers: Record<
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
    'more than curl may take': [{}, 200, 'x'.repeat(2_000_000), EXIT_STATUS.protocol, 'larger than 1 MiB'],
    HTML: [{ 'content-type': 'text/html' }, 200, '<html>', EXIT_STATUS.protocol, 'answered with HTML'],
    'a body that looks like an answer': [
      {},
      500,
      'HTTP/1.1 201 Created\r\nX-Subject-Token: a\r\n\r\n{"token":{}}',
      EXIT_STATUS.protocol,
      'answered with no valid HTTP',
    ],
    '503': [{}, 503, '', EXIT_STATUS.unreachable, 'unavailable (503'],
  };
  for (const [name, [headers, status, body, exit, says]] of Object.entries(answers)) {
    await t.test(name, async (t) => {
      standIn.answerNext((_, response) => void response.writeHead(status, headers).end(body));
      await checkFailedLogin(t, { env, requestLog, requests }, { status: exit, says: [says] });
    });
  }
  await t.test('nothing, for too long', async (t) => {
    standIn.answerNext(() => undefined);
    const attempt = { env, args: ['--timeout=1'], requestLog, requests };
    await checkFailedLogin(t, attempt, { status: EXIT_STATUS.unreachable, says: ['did not answer'] });
  });
});
