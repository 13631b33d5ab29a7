/** Discovery and token requests to an identity provider follow the rule of proxies too. */
import t from 'tap';
import { checkSuccess } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import { makeExecInfo } from '../support/home.ts';
import { startConnectProxy } from '../support/proxy.ts';
import { startStandInProvider } from '../support/stand-in-provider.ts';

await t.test('discovery and token requests', async (t) => {
  const idp = await startStandInProvider(t);
  const proxy = await startConnectProxy();
  t.teardown(() => proxy.close());
  // An address of this machine that is not a loopback address. Without TLS, the test sees what the proxy gets.
  const url = idp.url.replace('127.0.0.1', '0.0.0.0');
  idp.discovery = { issuer: url, token_endpoint: `${url}/token` };
  const settings = {
    OS_AUTH_TYPE: 'v3oidcclientcredentials',
    CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'access_token',
    OS_DISCOVERY_ENDPOINT: `${url}/.well-known/openid-configuration`,
    OS_CLIENT_ID: 'kubectl',
    OS_CLIENT_SECRET: 'a secret',
    all_proxy: proxy.url,
  };
  const alice = setUp(t, { settings });
  checkSuccess(t, await alice.run('--allow-http'));
  t.strictSame(
    proxy.plainRequests.map(({ method, url: path }) => `${method} ${path}`),
    [`GET ${settings.OS_DISCOVERY_ENDPOINT}`, `POST ${url}/token`],
  );
  t.strictSame(
    idp.requests.map(({ line }) => line),
    ['GET /.well-known/openid-configuration', 'POST /token'],
  );

  checkSuccess(t, await alice.onNewMachine().with({ NO_PROXY: '0.0.0.0/8' }).run('--allow-http'));
  t.equal(proxy.plainRequests.length, 2, 'NO_PROXY excludes the provider');
  t.equal(idp.requests.length, 4);

  // A process of its own, whose parent did not set the variable, as if a kubeconfig had.
  const stranger = setUp(t, { settings: { ...settings, KUBERNETES_EXEC_INFO: makeExecInfo() } });
  const warning = 'the proxy in all_proxy is not used: a kubeconfig may have set it';
  checkSuccess(t, await stranger.asProcess().run('--allow-http'), [warning]);
  t.equal(proxy.plainRequests.length, 2);
  t.equal(idp.requests.length, 6);
});
