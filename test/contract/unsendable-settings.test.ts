/** Settings that go into a header or into the path of a request, and that cannot be written there. */
import t from 'tap';
import {
  checkFailure,
  checkSuccess,
  EXIT_STATUS,
  makeLoginSettings,
  startKeystoneForTest,
} from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';

const PROJECT = { OS_PROJECT_NAME: 'web', OS_PROJECT_DOMAIN_NAME: 'acme' };

await t.test('what is around a token does not count', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const alice = setUp(t, { keystone, settings: makeLoginSettings(`${keystone.url}/v3`) });
  const { token } = checkSuccess(t, await alice.run());
  const withToken = alice.withOnly({ OS_AUTH_URL: `${keystone.url}/v3`, CLIENT_KEYSTONE_AUTH_CACHE_STORAGE: 'none' });
  for (const text of [`${token}\r`, ` ${token} \n`, `"${token}"`, `'${token}'\r\n`]) {
    for (const scope of [{}, PROJECT]) {
      const person = withToken.with({ OS_TOKEN: text, ...scope });
      const result = await person.run();
      checkSuccess(t, result);
      t.notMatch(result.stderr, 'OS_TOKEN', 'there is nothing to warn about');
    }
    checkSuccess(t, await withToken.with({ OS_TOKEN: text, OS_AUTH_TYPE: 'admin_token' }).run());
  }
  const auth = { auth_url: `${keystone.url}/v3`, token: `${token}\n` };
  alice.writeFile('.config/openstack/clouds.yaml', { clouds: { a: { auth_type: 'token', auth } } });
  checkSuccess(t, await alice.withOnly({ OS_CLOUD: 'a' }).run());
});

await t.test('a token that no header can carry is an error that names it, and nothing is sent', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const alice = setUp(t, { keystone });
  const federation = { OS_AUTH_TYPE: 'v3oidcaccesstoken', OS_IDENTITY_PROVIDER: 'idp', OS_PROTOCOL: 'openid' };
  for (const text of ['abc\ndef', 'ab c', 'äbc', 'ab€', 'a\u0001b', 'a'.repeat(20_000)]) {
    for (const [name, settings] of [
      ['OS_TOKEN', {}],
      ['OS_TOKEN', PROJECT],
      ['OS_AUTH_TOKEN', { OS_AUTH_TYPE: 'admin_token' }],
      ['OS_ACCESS_TOKEN', federation],
    ] as const) {
      const result = await alice.with({ ...settings, [name]: text }).run();
      checkFailure(t, result, EXIT_STATUS.config, { says: [`${name} is not a token: it contains spaces or other`] });
      t.notOk(result.stderr.includes(text), 'it is not shown');
    }
  }
  t.equal(alice.countRequests(), 0);
});

await t.test('a name that URLs read as another path is an error, and nothing is sent', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const jwt = ['{"alg":"RS256"}', '{"sub":"a","exp":4102444800}', 'signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.');
  const alice = setUp(t, { keystone, files: { jwt } });
  const federation = { OS_IDENTITY_PROVIDER: 'idp', OS_PROTOCOL: 'openid' };
  const token = { OS_AUTH_TYPE: 'v3oidcaccesstoken', OS_ACCESS_TOKEN: 'abc', ...federation };
  const pod = { OS_AUTH_TYPE: 'v4k8s', OS_K8S_AUTH_ROLE: 'r', OS_K8S_AUTH_TOKEN_FILE: `${alice.home.path}/jwt` };
  for (const text of ['.', '..']) {
    for (const [name, settings] of [
      ['OS_IDENTITY_PROVIDER', token],
      ['OS_PROTOCOL', token],
      ['OS_IDENTITY_PROVIDER', { OS_AUTH_TYPE: 'v4jwt', OS_JWT: jwt }],
      ['OS_K8S_AUTH_INSTANCE_ID', pod],
    ] as const) {
      const result = await alice.with({ ...settings, [name]: text }).run();
      checkFailure(t, result, EXIT_STATUS.config, { says: [`${name} must not be "${text}"`] });
    }
  }
  t.equal(alice.countRequests(), 0);
});
