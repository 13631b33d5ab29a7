/** The webhook chooses proxies by the same rule as the plugin. */
import t from 'tap';
import { behindProxy, startConnectProxy } from '../support/proxy.ts';
import { findSocksServer, startSocksServer } from '../support/socks-server.ts';
import { startStandInKeystone } from '../support/stand-in-keystone.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeFakeToken } from '../support/webhook-client.ts';
import { startWebhookProcess } from '../support/webhook-process.ts';
import { shareTestPki, WebhookEnded } from '../support/webhook-settings.ts';

// Before the first test: tap ends when it has none to wait for.
const program = await findSocksServer();
const pki = await shareTestPki();
const keystone = await startStandInKeystone({ tls: pki.server });
t.teardown(() => keystone.close());

await t.test('a review goes through the proxy', async (t) => {
  const proxy = await startConnectProxy();
  t.teardown(() => proxy.close());
  const url = behindProxy(keystone.url);
  const env = { ALL_PROXY: proxy.url, NO_PROXY: '.keystone.corp.example,10.0.0.0/8' };
  const webhook = await startWebhookProcess(t, { keystone: { url }, env });
  const before = keystone.requests.length;
  t.match(await webhook.reviewToken(makeFakeToken()), { authenticated: false });
  // On a busy machine, the review is answered before.
  await waitUntil('Keystone is asked', () => keystone.requests.length > before);
  t.strictSame([...new Set(proxy.log)], [`CONNECT ${new URL(url).host}`]);
  t.equal(await webhook.stop(), 0);
});

await t.test('a review goes through a SOCKS5 proxy', { skip: 'missing' in program && program.missing }, async (t) => {
  const socks = await startSocksServer(t, 'path' in program ? program.path : '');
  const url = keystone.url.replace('127.0.0.1', '0.0.0.0');
  const env = { HTTPS_PROXY: `socks5h://${socks.host}`, NO_PROXY: '' };
  const webhook = await startWebhookProcess(t, { keystone: { url }, env });
  const before = keystone.requests.length;
  t.match(await webhook.reviewToken(makeFakeToken()), { authenticated: false });
  // On a busy machine, the review is answered before.
  await waitUntil('Keystone is asked', () => keystone.requests.length > before);
  await waitUntil('the log of microsocks', () => socks.listConnections().length > 0);
  t.equal(await webhook.stop(), 0);
});

await t.test('the webhook does not start with a proxy that it needs and cannot use', async (t) => {
  const env = { HTTPS_PROXY: 'socks4://user:canary@proxy.example:1080', NO_PROXY: '' };
  const url = behindProxy(keystone.url);
  try {
    await startWebhookProcess(t, { keystone: { url }, env });
    t.fail('it started');
  } catch (error) {
    if (!(error instanceof WebhookEnded)) throw error;
    t.equal(error.status, 3);
    t.match(error.stdout + error.stderr, 'HTTPS_PROXY names a kind of proxy that is not supported (socks4://)');
    t.notMatch(error.stdout + error.stderr, 'canary');
  }
  const webhook = await startWebhookProcess(t, { keystone: { url }, env: { ...env, NO_PROXY: 'example' } });
  t.equal(await webhook.stop(), 0, 'it starts without one');
});
