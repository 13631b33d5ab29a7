import t from 'tap';
import { readConfig } from '../../src/plugin/config/read-config.ts';
import { listCredentialFields } from '../../src/plugin/login/cache-key.ts';
import { METHOD_BY_NAME, OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import type { AuthMethod } from '../../src/plugin/auth-methods/auth-method.ts';
import { fakeHost } from '../support/fake-host.ts';

const { config } = await readConfig(
  fakeHost({ env: { OS_PASSWORD: 'x' }, cwd: '/nowhere', home: () => '/nowhere' }),
  new Map(),
  OPTIONS,
);

function methodOf(name: string): AuthMethod {
  const method = METHOD_BY_NAME.get(name);
  if (method === undefined) throw new Error(`no auth method is named ${name}`);
  return method;
}

void t.test('a rejected login is tried again immediately with another credential, which can be a file', async (t) => {
  const credentialOf = (name: string, stamps: readonly string[] | undefined): string => {
    const fileStamps = stamps?.map((stamp) => ({ path: '/file', stamp }));
    return JSON.stringify(listCredentialFields({ config, method: methodOf(name), fileStamps }));
  };
  t.equal(credentialOf('v4k8s', ['one']), credentialOf('v4k8s', ['one']), 'the same service account token');
  t.not(credentialOf('v4k8s', ['one']), credentialOf('v4k8s', ['two']), 'a renewed token');
  t.not(
    credentialOf('v3kerberos', undefined),
    credentialOf('v3kerberos', undefined),
    'tickets outside a file are never the same',
  );
  t.equal(credentialOf('password', ['one']), credentialOf('password', ['two']), 'the CA file is not a credential');
  t.match(credentialOf('password', []), '"x"');
});
