/** A login through a real SOCKS5 server: TLS runs through it to Keystone, with the same checks as without it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import { checkFailure, checkSuccess, EXIT_STATUS, makeLoginSettings } from '../support/check-run.ts';
import { startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { EnvVars } from '../support/home.ts';
import { PROXIED_HOST } from '../support/proxy.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { findSocksServer, startSocksServer } from '../support/socks-server.ts';
import type { SocksServer } from '../support/socks-server.ts';
import { waitUntil } from '../support/wait-until.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';

const program = await findSocksServer();
const skip = 'missing' in program ? program.missing : false;
const path = 'path' in program ? program.path : '';

const pki = await makePki(join(t.testdir(), 'pki'));
const trusting = { OS_CACERT: pki.ca };

/** Leads to this machine, but is not a loopback address, which no proxy is used for. */
const atThisMachine = (url: string): string => url.replace('127.0.0.1', '0.0.0.0');

async function logIn(t: Test, settings: EnvVars, ...args: readonly string[]): Promise<RunResult> {
  return setUp(t, { settings }).run(...args);
}

/**
 * Waits until the server has logged the connections of a run, one for the discovery and one for the login: it writes a
 * line when it has connected.
 */
async function expectRun(t: Test, socks: SocksServer, url: string): Promise<void> {
  const urls = [url, url];
  await waitUntil('the log of microsocks', () => socks.listConnections().length >= urls.length);
  t.strictSame(
    socks.listConnections(),
    urls.map((url) => new URL(url).host),
  );
}

await t.test('each way to name the proxy', { skip }, async (t) => {
  const keystone = await startKeystoneForTest(t, { tls: pki.server });
  const url = atThisMachine(keystone.url);
  const ways: readonly (readonly [name: string, scheme: string])[] = [
    ['HTTPS_PROXY', 'socks5'],
    ['HTTPS_PROXY', 'socks5h'],
    ['https_proxy', 'SOCKS5'],
    ['ALL_PROXY', 'socks5h'],
    ['all_proxy', 'socks5'],
  ];
  for (const [name, scheme] of ways) {
    await t.test(`${name}=${scheme}://`, async (t) => {
      const socks = await startSocksServer(t, path);
      checkSuccess(t, await logIn(t, { ...makeLoginSettings(url), ...trusting, [name]: `${scheme}://${socks.host}` }));
      await expectRun(t, socks, url);
    });
  }
  await t.test('NO_PROXY excludes Keystone', async (t) => {
    const socks = await startSocksServer(t, path);
    const env = { ...trusting, ALL_PROXY: `socks5://${socks.host}`, NO_PROXY: '0.0.0.0' };
    checkSuccess(t, await logIn(t, { ...makeLoginSettings(url), ...env }));
    t.strictSame(socks.listConnections(), []);
  });
  t.equal(keystone.countLogins(), ways.length + 1);
});

await t.test('credentials', { skip }, async (t) => {
  const keystone = await startKeystoneForTest(t, { tls: pki.server });
  const url = atThisMachine(keystone.url);
  const login = { user: 'al ice@corp', password: 'canary:/#%?@ß' };
  const socks = await startSocksServer(t, path, login);
  const [user, password] = [login.user, login.password].map(encodeURIComponent);
  const run = (userInfo: string, ...args: string[]): Promise<RunResult> =>
    logIn(t, { ...makeLoginSettings(url), ...trusting, HTTPS_PROXY: `socks5h://${userInfo}${socks.host}` }, ...args);

  const good = await run(`${user}:${password}@`, '-vvv');
  t.equal(good.status, 0, good.stderr);
  t.notMatch(good.stderr, /canary|al ice|al%20ice/);
  await expectRun(t, socks, url);

  const refused = 'the proxy refuses the connection, because its credentials are';
  for (const [userInfo, says] of [
    ['', `${refused} missing`],
    [`${user}:canary-too@`, `${refused} wrong`],
    [`${user}@`, `${refused} wrong`],
  ] as const) {
    const result = await run(userInfo);
    checkFailure(t, result, EXIT_STATUS.unreachable, { says: [says, 'HTTPS_PROXY', 'NO_PROXY'] });
    t.notMatch(result.stderr, /canary|al ice|al%20ice/);
    const { stdout } = await run(userInfo, 'doctor', '--no-cluster');
    t.match(stdout, says);
    t.notMatch(stdout, /canary|al ice|al%20ice/);
  }
  t.equal(keystone.countLogins(), 1);
});

await t.test('TLS is checked behind the proxy', { skip }, async (t) => {
  const socks = await startSocksServer(t, path);
  const HTTPS_PROXY = `socks5h://${socks.host}`;
  await t.test('the authority', async (t) => {
    const keystone = await startKeystoneForTest(t, { tls: pki.untrusted.server });
    const env = { ...makeLoginSettings(atThisMachine(keystone.url)), ...trusting, HTTPS_PROXY };
    checkFailure(t, await logIn(t, env), EXIT_STATUS.unreachable, { says: ['its certificate is not trusted'] });
    t.equal(keystone.requests.length, 0);
  });
  await t.test('the name', async (t) => {
    const keystone = await startKeystoneForTest(t, { tls: pki.wrongHost });
    const env = { ...makeLoginSettings(atThisMachine(keystone.url)), ...trusting, HTTPS_PROXY };
    checkFailure(t, await logIn(t, env), EXIT_STATUS.unreachable, { says: ['for another host name'] });
    t.equal(keystone.requests.length, 0);
  });
  await t.test('the client certificate', async (t) => {
    const keystone = await startKeystoneForTest(t, { tls: { ...pki.server, clientCa: pki.ca } });
    const env = { ...makeLoginSettings(atThisMachine(keystone.url)), ...trusting, HTTPS_PROXY };
    checkFailure(t, await logIn(t, env), EXIT_STATUS.unreachable, { says: ['requires a client certificate'] });
    checkSuccess(t, await logIn(t, { ...env, OS_CERT: pki.client.cert, OS_KEY: pki.client.key }));
    t.equal(keystone.countLogins(), 1);
  });
});

await t.test('http:// with --allow-http goes through the proxy too', { skip }, async (t) => {
  const keystone = await startKeystoneForTest(t);
  const url = atThisMachine(keystone.url);
  const socks = await startSocksServer(t, path);
  const env = { ...makeLoginSettings(url), ALL_PROXY: `socks5h://${socks.host}` };
  checkSuccess(t, await logIn(t, env, '--allow-http'));
  await waitUntil('the log of microsocks', () => socks.listConnections().length > 0);
  for (const target of socks.listConnections()) t.equal(target, new URL(url).host);
});

await t.test('the proxy cannot connect', { skip }, async (t) => {
  const socks = await startSocksServer(t, path);
  const HTTPS_PROXY = `socks5://${socks.host}`;
  // Only the proxy is asked for the name.
  const unknown = `https://${PROXIED_HOST}:5000`;
  const port = await findFreePort();
  for (const url of [unknown, `https://0.0.0.0:${port}`]) {
    const result = await logIn(t, { ...makeLoginSettings(url), HTTPS_PROXY });
    checkFailure(t, result, EXIT_STATUS.unreachable, { says: [url, 'the proxy refuses the connection', 'NO_PROXY'] });
  }
  const gone = await logIn(t, { ...makeLoginSettings(unknown), ALL_PROXY: `socks5://user:canary@127.0.0.1:${port}` });
  checkFailure(t, gone, EXIT_STATUS.unreachable, { says: ['the proxy cannot be reached', 'ALL_PROXY'] });
  t.notMatch(gone.stderr, 'canary');
});

await t.test('a login without a SOCKS proxy does not load its package', async (t) => {
  const slow = readFileSync('dist/slow.cjs', 'utf8');
  t.match(slow, 'require("./socks.cjs")');
  t.notMatch(slow, /Socks5 Authentication failed/);
});
