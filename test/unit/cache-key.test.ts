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
  if (method === undefined) throw new Error(`there is no ${name}`);
  return method;
}

void t.test(
  'what has been refused is tried again at once with another credential, and that may be a file',
  async (t) => {
    const of = (name: string, stamps: readonly string[] | undefined): string => {
      const fileStamps = stamps?.map((stamp) => ({ path: '/file', stamp }));
      return JSON.stringify(listCredentialFields({ config, method: methodOf(name), fileStamps }));
    };
    t.equal(of('v4k8s', ['one']), of('v4k8s', ['one']), 'the same service account token');
    t.not(of('v4k8s', ['one']), of('v4k8s', ['two']), 'a renewed one');
    t.not(of('v3kerberos', undefined), of('v3kerberos', undefined), 'tickets that nobody can watch');
    t.equal(of('password', ['one']), of('password', ['two']), 'the file of authorities is no credential');
    t.match(of('password', []), '"x"');
  },
);
