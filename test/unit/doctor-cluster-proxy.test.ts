/** The proxy that doctor uses for the API server: that of kubectl. */
import t from 'tap';
import { checkCluster } from '../../src/plugin/commands/doctor/cluster.ts';
import { describeProxy } from '../../src/shared/http/proxy.ts';
import { fakeHost } from '../support/fake-host.ts';

function findProxy(value: Readonly<Record<string, string>>, env: Readonly<Record<string, string>>): string {
  const entry = { name: 'c', path: '/work/config', value: { server: 'https://api.corp.example:6443', ...value } };
  const choice = checkCluster(fakeHost({ env }), entry).value?.target.choice;
  if (choice === undefined) throw new Error('no target');
  return choice.proxy === undefined ? choice.because : `${describeProxy(choice.proxy)} from ${choice.proxy.origin}`;
}

const HTTPS_PROXY = 'http://proxy.example:3128';

void t.test('without proxy-url, the variables decide', async (t) => {
  t.equal(findProxy({}, { HTTPS_PROXY }), 'http://proxy.example:3128 from HTTPS_PROXY');
  t.equal(findProxy({ 'proxy-url': '' }, { ALL_PROXY: 'socks5://s' }), 'socks5://s:1080 from ALL_PROXY');
  t.match(findProxy({}, { HTTPS_PROXY, NO_PROXY: 'corp.example' }), /^NO_PROXY excludes/);
  t.match(findProxy({ server: 'https://127.0.0.1:6443' }, { HTTPS_PROXY }), /does not apply to this machine$/);
});

void t.test('proxy-url overrides the variables and NO_PROXY', async (t) => {
  const env = { HTTPS_PROXY, NO_PROXY: '*' };
  const origin = 'from proxy-url of cluster c in /work/config';
  t.equal(findProxy({ 'proxy-url': 'socks5://user:canary@s:1' }, env), `socks5://s:1 ${origin}`);
  t.equal(findProxy({ 'proxy-url': 'https://p', server: 'https://localhost:1' }, env), `https://p:443 ${origin}`);
  t.throws(() => findProxy({ 'proxy-url': 'socks4://user:canary@s' }, env), {
    code: 'config-invalid',
    message: 'proxy-url of cluster c in /work/config names a kind of proxy that is not supported (socks4://)',
  });
});
