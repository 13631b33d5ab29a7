/** Logs in with a real browser, if the machine has one: see test/support/chromium.ts. */
import { createServer } from 'node:http';
import t from 'tap';
import type { Test } from 'tap';
import type { FederationAddress } from '../../scripts/federation/federation.ts';
import { waitForAddress, checkTerminalSuccess, startOnTerminal } from '../support/browser-login.ts';
import { findChromium, startChromium } from '../support/chromium.ts';
import { reserveDashboardPort, testWithFederation } from '../support/federation.ts';
import { makeTestHome } from '../support/home.ts';
import { onProject } from '../support/login-settings.ts';
import { logIn } from '../support/tenancy.ts';
import type { TestEnvironment } from '../support/test-environment.ts';
import { listenForTest } from '../support/listen-for-test.ts';

const program = findChromium();

const TITLE = 'Chromium logs in and returns to the plugin';

if (program === undefined) void t.test(TITLE, { skip: 'there is no Chromium on this machine' }, () => undefined);
else testWithFederation(TITLE, (t, federation, environment) => logInWithChromium(t, program, federation, environment));

async function logInWithChromium(
  t: Test,
  program: string,
  federation: FederationAddress,
  environment: TestEnvironment,
): Promise<void> {
  const chromium = await startChromium(t, program);
  const { alice } = federation.users;
  const port = await reserveDashboardPort(federation);
  const env = {
    OS_AUTH_URL: `${federation.keystone.url}/v3`,
    OS_CACERT: environment.pki.ca,
    OS_IDENTITY_PROVIDER: federation.provider,
    OS_PROTOCOL: federation.protocol,
    ...onProject(environment.tenancy.projects.demo, environment.tenancy.domain),
  };
  const webSso = { ...env, OS_AUTH_TYPE: 'v3websso', OS_REDIRECT_PORT: String(port) };
  const authCode = {
    ...env,
    OS_AUTH_TYPE: 'v3oidcauthcode',
    OS_CLIENT_ID: federation.clients.public.id,
    OS_DISCOVERY_ENDPOINT: `${federation.identityProvider.url}/.well-known/openid-configuration`,
  };
  const successPage = /^http:\/\/(localhost|127\.0\.0\.1):\d+\/[^]*You can close this window/;
  for (const [name, settings] of Object.entries({ webSso, authCode })) {
    await t.test(name, async (t) => {
      const home = makeTestHome(t);
      const terminal = startOnTerminal(t, { home, settings });
      await chromium.visit(await waitForAddress(terminal), alice, successPage);
      await checkTerminalSuccess(t, terminal, { home });
      t.match(terminal.screen(), `Keystone knows you as ${alice.email}`);
    });
  }
  await t.test('the plugin ignores a token from a hostile page, visible or hidden', async (t) => {
    const home = makeTestHome(t);
    const evil = await logIn(environment.http, environment.tenancy.users.mallory);
    const origin = `http://localhost:${String(port)}/auth/websso/`;
    const form = `<form method="post" action="${origin}"><input name="token" value="${evil}"></form>`;
    const hide = (page: string): string => `<iframe srcdoc='${page}'></iframe>`;
    const send = '<script>document.forms[0].submit()</script>';
    const pages: Readonly<Record<string, string>> = {
      '/page': form + send,
      '/frame': `<p>shown</p>${hide(form + send)}`,
      '/silent-frame': `<meta name="referrer" content="no-referrer"><p>shown</p>${hide(form + send)}`,
      '/fetch': `<p>shown</p><script>fetch('${origin}', { method: 'POST', mode: 'no-cors', referrerPolicy: 'no-referrer', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'token=${evil}' })</script>`,
      '/image': `<p>shown</p><img src="${origin}?token=${evil}">`,
    };
    const site = createServer((request, response) => {
      response.setHeader('content-type', 'text/html').end(pages[request.url ?? ''] ?? '');
    });
    const sitePort = await listenForTest(t, site);
    const terminal = startOnTerminal(t, { home, settings: webSso });
    const address = await waitForAddress(terminal);
    for (const path of Object.keys(pages)) {
      const expected = path === '/page' ? /Not the current login/ : /shown/;
      await chromium.visit(`http://127.0.0.1:${String(sitePort)}${path}`, alice, expected);
    }
    await chromium.visit(address, alice, successPage);
    await checkTerminalSuccess(t, terminal, { home });
    t.match(terminal.screen(), `Keystone knows you as ${alice.email}`);
  });
}
