import t from 'tap';
import { readProxyEnv } from '../../src/shared/http/proxy.ts';

void t.test('the proxy of the environment is used', async (t) => {
  t.same(readProxyEnv({}), {});
  t.same(readProxyEnv({ HTTPS_PROXY: '', https_proxy: '' }), {});
  t.match(readProxyEnv({ HTTPS_PROXY: 'http://p:3128' }), { https_proxy: 'http://p:3128' });
  t.match(readProxyEnv({ HTTPS_PROXY: 'http://p:1', https_proxy: 'http://q:2' }), { https_proxy: 'http://q:2' });
  t.match(readProxyEnv({ HTTPS_PROXY: 'p:3128', NO_PROXY: 'a,b' }), { https_proxy: 'http://p:3128', no_proxy: 'a,b' });
});

void t.test('an unsupported proxy is an error that does not print its password', async (t) => {
  for (const url of ['socks5://user:canary@p:1080', 'http://user:canary@', 'ftp://canary']) {
    t.throws(() => readProxyEnv({ HTTPS_PROXY: url }), {
      code: 'config-invalid',
      message: 'HTTPS_PROXY is not the URL of an HTTP proxy',
    });
  }
});
