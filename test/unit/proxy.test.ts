/** How the value of a variable is read; test/contract/proxy-rule.test.ts compares which URLs get a proxy. */
import t from 'tap';
import { chooseProxy, findForeignProxy, makeProxyRule } from '../../src/shared/http/choose-proxy.ts';
import { describeProxy, parseProxy } from '../../src/shared/http/proxy.ts';
import { fakeHost } from '../support/fake-host.ts';
import { PROXY_TABLE } from '../support/proxy-table.ts';

const KEYSTONE = new URL('https://keystone.corp.example:21520');
const parse = (text: string): ReturnType<typeof parseProxy> => parseProxy(text, 'HTTPS_PROXY');

void t.test('every URL of the table gets its proxy', async (t) => {
  for (const { url, env, expected } of PROXY_TABLE) {
    const choose = (): string => chooseProxy(env, new URL(url)).proxy?.host ?? 'direct';
    const name = `${url} with ${JSON.stringify(env)}`;
    if (expected === 'error') t.throws(choose, { code: 'config-invalid' }, name);
    else t.equal(choose(), expected === 'direct' ? 'direct' : `${expected}.test`, name);
  }
});

void t.test('a value is a URL, or a host with or without a port', async (t) => {
  const values: Readonly<Record<string, string>> = {
    'proxy.example:3128': 'http://proxy.example:3128',
    'proxy.example': 'http://proxy.example:80',
    ' http://proxy.example:3128\r\n': 'http://proxy.example:3128',
    'http://proxy.example': 'http://proxy.example:80',
    'http://proxy.example:80': 'http://proxy.example:80',
    'http://proxy.example:443': 'http://proxy.example:443',
    'HTTPS://Proxy.Example': 'https://proxy.example:443',
    'https://proxy.example:80': 'https://proxy.example:80',
    'socks5://proxy.example': 'socks5://proxy.example:1080',
    'socks5h://proxy.example:80': 'socks5h://proxy.example:80',
    'socks5h://proxy.example:443/': 'socks5h://proxy.example:443',
    'socks5h://[fd00::1]': 'socks5h://[fd00::1]:1080',
    'http://proxy.example:3128/path?query': 'http://proxy.example:3128',
    'http://bücher.example:1': 'http://xn--bcher-kva.example:1',
  };
  for (const [value, expected] of Object.entries(values)) t.equal(describeProxy(parse(value)), expected, value);
  t.match(parse('socks5h://[fd00::1]'), { host: 'fd00::1', origin: 'HTTPS_PROXY' });
});

void t.test('a user name and a password are decoded, and hidden', async (t) => {
  const { credentials } = parse('http://al%40ice:p%2Fs%23%25%zz@proxy.example');
  t.equal(credentials?.user, 'al@ice');
  t.equal(credentials?.password.reveal(), 'p/s#%%zz');
  t.equal(String(credentials?.password), '[redacted]');
  t.equal(parse('http://proxy.example').credentials, undefined);
  t.equal(parse('http://alice@proxy.example').credentials?.password.reveal(), '');
});

void t.test('a value that cannot be used is an error that does not print it', async (t) => {
  const values = [
    ...['socks4://user:canary@p:1080', 'socks4a://p', 'socks://p:1080', 'ftp://canary', 'file:///canary', 'x://'],
    ...['http://user:canary@', 'http://p:canary', 'http://p:0', 'http://p:70000', 'http://', 'http:///', ':3128'],
    // A special character of the password ends the host too early.
    ...['http://user:can/ary@p:1', 'http://user:can#ary@p:1', 'http://user:can?ary@p:1', 'http://p p:1'],
    `socks5://user:${'canary'.repeat(50)}@p:1`,
  ];
  for (const value of values) {
    const error = t.throws(() => parse(value), { code: 'config-invalid', message: /^HTTPS_PROXY / }, value);
    t.match(error, { hint: /HTTPS_PROXY/ });
    t.notMatch(JSON.stringify([String(error), error]), /canary|can.ary/, value);
  }
});

void t.test('a kubeconfig names no proxy for http://', async (t) => {
  const url = new URL('http://keystone.corp.example:5000');
  const env = { http_proxy: 'http://proxy.example:1' };
  const own = fakeHost({ env });
  t.equal(findForeignProxy(own, url), undefined);
  t.equal(makeProxyRule(own)(url).proxy?.host, 'proxy.example');

  for (const personal of [{}, { http_proxy: 'http://another.example:1' }, { HTTP_PROXY: env.http_proxy }]) {
    const foreign = fakeHost({ env, personalVariables: () => personal });
    t.equal(findForeignProxy(foreign, url), 'http_proxy');
    t.match(makeProxyRule(foreign)(url), { proxy: undefined, because: 'http_proxy may come from a kubeconfig' });
    t.equal(findForeignProxy(foreign, new URL('http://127.0.0.1:5000')), undefined, 'it is not used in any case');
  }
  const env2 = { ALL_PROXY: 'proxy.example:1' };
  const tls = fakeHost({ env: env2, personalVariables: () => ({}) });
  t.equal(makeProxyRule(tls)(KEYSTONE).proxy?.host, 'proxy.example', 'it carries only TLS');
  t.equal(findForeignProxy(tls, url), 'ALL_PROXY');
});

void t.test('a direct connection has a reason', async (t) => {
  const HTTPS_PROXY = 'http://proxy.example:1';
  t.match(chooseProxy({}, KEYSTONE), { because: 'no variable names one' });
  t.match(chooseProxy({ HTTPS_PROXY }, new URL('https://localhost')), {
    because: 'HTTPS_PROXY does not apply to this machine',
  });
  t.match(chooseProxy({ HTTPS_PROXY, no_proxy: 'example' }, KEYSTONE), {
    because: 'no_proxy excludes keystone.corp.example:21520 from HTTPS_PROXY',
  });
});
