/** Two clients of one process behind https:// proxies: each trusts its own authorities, whatever the other one does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import t from 'tap';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import { makeProxyRule } from '../../src/shared/http/choose-proxy.ts';
import { openHttpClient } from '../../src/shared/http/http-client.ts';
import type { HttpClient } from '../../src/shared/http/http-client.ts';
import { fakeHost } from '../support/fake-host.ts';
import { behindProxy, startConnectProxy } from '../support/proxy.ts';
import { startStandInKeystone } from '../support/stand-in-keystone.ts';

const folder = t.testdir();
const [ours, theirs] = [await makePki(join(folder, 'ours')), await makePki(join(folder, 'theirs'))];

interface Site {
  readonly url: string;
  readonly proxyUrl: string;
  readonly ca: string;
}

async function startSite(t: Test, pki: typeof ours): Promise<Site> {
  const proxy = await startConnectProxy({ tls: pki.server });
  const keystone = await startStandInKeystone({ tls: pki.server });
  t.teardown(async () => {
    await proxy.close();
    await keystone.close();
  });
  return { url: behindProxy(keystone.url), proxyUrl: proxy.url, ca: readFileSync(pki.ca, 'utf8') };
}

async function openClient(t: Test, { proxyUrl }: Site, ca: string | undefined): Promise<HttpClient> {
  const host = fakeHost({ now: Date.now, env: { HTTPS_PROXY: proxyUrl } });
  const client = await openHttpClient({
    host,
    tls: { insecure: false, ca, systemAuthorities: [], cert: undefined, key: undefined, files: [], paths: {} },
    trustedOrigins: undefined,
    chooseProxy: makeProxyRule(host),
    userAgent: 'test',
    deadlineMs: 60_000,
    log: () => undefined,
  });
  t.teardown(() => {
    client.close();
  });
  return client;
}

await t.test('each client keeps its own authorities', async (t) => {
  const before = getCACertificates('default').length;
  const [here, there] = [await startSite(t, ours), await startSite(t, theirs)];
  const [first, second, third] = [
    await openClient(t, here, here.ca),
    await openClient(t, there, there.ca),
    await openClient(t, here, undefined),
  ];
  const send = async (client: HttpClient, { url }: Site): Promise<number | string> => {
    try {
      return (await client.send({ verb: 'GET', url: `${url}/v3`, isSingleUse: true })).status;
    } catch (error) {
      return String(error);
    }
  };
  for (let round = 0; round < 2; round += 1) {
    t.equal(await send(first, here), 200);
    t.equal(await send(second, there), 200);
    t.match(await send(third, here), 'the TLS of the proxy is not accepted');
    t.match(await send(second, here), 'not trusted');
    t.match(await send(first, there), 'not trusted');
  }
  t.equal(getCACertificates('default').length, before, 'the authorities of the process stay as they were');
});
