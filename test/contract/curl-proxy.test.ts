/** The system's curl, which sends requests with Kerberos, uses the proxy that this program chooses, and no other. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { makePki } from '../../scripts/lib/pki.ts';
import { openNegotiateHttp } from '../../src/plugin/kerberos/negotiate.ts';
import { makeProxyRule } from '../../src/shared/http/choose-proxy.ts';
import type { Environment } from '../../src/shared/base/host.ts';
import { fakeHost } from '../support/fake-host.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { behindProxy, startConnectProxy } from '../support/proxy.ts';
import type { ConnectProxy, ConnectProxyOptions } from '../support/proxy.ts';
import { findSocksServer, startSocksServer } from '../support/socks-server.ts';
import { startStandInKeystone } from '../support/stand-in-keystone.ts';

const skip = skipWithout('curl', () => canRun('curl', '--version'));
const socksProgram = await findSocksServer();
const pki = await makePki(join(t.testdir(), 'pki'));
const keystone = await startStandInKeystone({ tls: pki.server });
t.teardown(() => keystone.close());
const behind = behindProxy(keystone.url);

/** Far longer than a connection takes on a busy machine, whose proxies are in this process. */
const PATIENT_SECONDS = 600;

/** Sends one request with curl, and returns the status of the response, or the error. */
async function send(env: Environment, url: string, ca = pki.ca): Promise<number | Error> {
  const host = fakeHost({ now: Date.now, env: { PATH: process.env['PATH'], ...env } });
  const settings = {
    host,
    tls: {
      insecure: false,
      ca: readFileSync(pki.ca, 'utf8'),
      systemAuthorities: [],
      cert: undefined,
      key: undefined,
      files: [],
      paths: { ca },
    },
    trustedOrigins: undefined,
    chooseProxy: makeProxyRule(host),
    userAgent: 'test',
    deadlineMs: PATIENT_SECONDS * 1_000,
    log: () => undefined,
  };
  const http = openNegotiateHttp(settings, PATIENT_SECONDS);
  try {
    return (await http.send({ verb: 'GET', url: `${url}/v3` })).status;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

async function startProxy(t: Test, options?: ConnectProxyOptions): Promise<ConnectProxy> {
  const proxy = await startConnectProxy(options);
  t.teardown(() => proxy.close());
  return proxy;
}

await t.test('curl uses the chosen proxy', { skip }, async (t) => {
  for (const tls of [undefined, pki.server]) {
    const proxy = await startProxy(t, {
      ...(tls === undefined ? {} : { tls }),
      credentials: { user: 'squ"id', password: 'p@s s\\:/%ß' },
    });
    const [user, password] = ['squ"id', 'p@s s\\:/%ß'].map(encodeURIComponent);
    const named = proxy.url.replace('//', `//${user}:${password}@`);
    t.equal(await send({ HTTPS_PROXY: named }, behind), 200);
    t.equal(await send({ ALL_PROXY: named, NO_PROXY: '.keystone.corp.example' }, behind), 200);
    t.strictSame(
      proxy.log,
      [behind, behind].map((url) => `CONNECT ${new URL(url).host}`),
    );
    t.equal(await send({ HTTPS_PROXY: named, NO_PROXY: 'example' }, keystone.url), 200, 'never for this machine');
    t.equal(proxy.tunnels.length, 2);

    const missing = await send({ HTTPS_PROXY: proxy.url }, behind);
    t.match(missing, { message: /because its credentials are missing/, hint: /HTTPS_PROXY/ });
    const wrong = await send({ all_proxy: proxy.url.replace('//', '//squid:canary@') }, behind);
    t.match(wrong, { message: /because its credentials are wrong/, hint: /all_proxy/ });
    t.notMatch(JSON.stringify([String(wrong), wrong]), /canary/);
  }
});

await t.test('an https:// proxy must have a certificate of the same authority as Keystone', { skip }, async (t) => {
  const proxy = await startProxy(t, { tls: pki.untrusted.server });
  const result = await send({ HTTPS_PROXY: proxy.url }, behind);
  t.match(result, { message: /the TLS of the proxy is not accepted/ });
  t.strictSame(proxy.tunnels, []);

  // OS_CACERT can be a folder that `openssl rehash` has prepared.
  const folder = t.testdir();
  const hash = execFileSync('openssl', ['x509', '-hash', '-noout', '-in', pki.ca], { encoding: 'utf8' }).trim();
  copyFileSync(pki.ca, join(folder, `${hash}.0`));
  const trusted = await startProxy(t, { tls: pki.server });
  t.equal(await send({ HTTPS_PROXY: trusted.url }, behind, folder), 200);
});

await t.test('the proxy cannot be reached, or refuses', { skip }, async (t) => {
  const proxy = await startProxy(t);
  const refused = await send({ HTTPS_PROXY: proxy.url }, 'https://elsewhere.example.test:5000');
  t.match(refused, { message: /the proxy refuses the connection$/ });
  const gone = `http://127.0.0.1:${await findFreePort()}`;
  t.match(await send({ HTTPS_PROXY: gone }, behind), { message: /the proxy cannot be reached/ });
});

const noSocks = 'missing' in socksProgram ? socksProgram.missing : skip;
await t.test('curl uses a SOCKS5 proxy', { skip: noSocks }, async (t) => {
  const path = 'path' in socksProgram ? socksProgram.path : '';
  const socks = await startSocksServer(t, path, { user: 'al ice', password: 'can/ary' });
  const url = keystone.url.replace('127.0.0.1', '0.0.0.0');
  t.equal(await send({ HTTPS_PROXY: `socks5://al%20ice:can%2Fary@${socks.host}` }, url), 200);
  const wrong = await send({ HTTPS_PROXY: `socks5h://al%20ice:wrong@${socks.host}` }, url);
  t.match(wrong, { message: /the proxy/, hint: /HTTPS_PROXY/ });
});
