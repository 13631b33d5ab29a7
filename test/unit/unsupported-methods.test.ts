import t from 'tap';
import { ConfigError } from '../../src/shared/base/errors.ts';
import { chooseMethod } from '../../src/plugin/auth-methods/choose-method.ts';
import { METHOD_BY_NAME, OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { requireSupportedMethod } from '../../src/plugin/auth-methods/unsupported-methods.ts';
import { readConfig } from '../../src/plugin/config/read-config.ts';
import { fakeHost } from '../support/fake-host.ts';

/** Returns the error for `OS_AUTH_TYPE=name` with a password, which another method could use. */
async function refusalOf(name: string): Promise<ConfigError> {
  const host = fakeHost({ env: { OS_AUTH_TYPE: name, OS_PASSWORD: 'x' }, cwd: '/nowhere', home: () => '/nowhere' });
  const { config } = await readConfig(host, new Map(), OPTIONS);
  try {
    chooseMethod(config);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error(`${name} was not refused`);
}

void t.test('a misspelled auth method is answered with the one that was probably meant', async (t) => {
  const rows = {
    totp: 'v3totp',
    v3pasword: 'v3password',
    V3PASSWORD: 'v3password',
    kerberos: 'v3kerberos',
    application_credential: 'v3applicationcredential',
    oidcpasword: 'v3oidcpassword',
    websso: 'v3websso',
    k8s: 'v4k8s',
  };
  for (const [name, meant] of Object.entries(rows)) {
    t.match(await refusalOf(name), { code: 'config-invalid', hint: `did you mean "${meant}"?` }, name);
  }
  t.match(await refusalOf('quantum'), { hint: /^use one of .*v3totp/ });
});

void t.test('methods that lead to no token are rejected with the reason and an alternative', async (t) => {
  const cases: Readonly<Record<string, [why: RegExp, instead: RegExp]>> = {
    v3tokenlessauth: [/certificate with each request/, /v3oauth2mtlsclientcredential/],
    v3tokenless: [/certificate with each request/, /application credential/],
    http_basic: [/password with each request/, /v3password/],
    v2password: [/version 2 of the Keystone API/, /v3password/],
    v2token: [/version 2 of the Keystone API/, /v3token/],
    v3adfspassword: [/WS-Trust/, /application credential/],
    v3oauth1: [/OAuth 1\.0/, /application credential/],
    none: [/does not log in/, /OS_AUTH_TYPE/],
    noauth: [/does not log in/, /OS_AUTH_TYPE/],
    v4passkey: [/browser or an authenticator/, /v4federation/],
    passkey: [/browser or an authenticator/, /application credential/],
  };
  for (const [name, [why, instead]] of Object.entries(cases)) {
    const { message, hint, code } = await refusalOf(name);
    t.match(message, `OS_AUTH_TYPE asks for "${name}", which the plugin cannot use`);
    t.match(message, why);
    t.match(hint, instead);
    t.equal(code, 'config-invalid');
    t.notOk(METHOD_BY_NAME.has(name), `${name} is not an auth method`);
  }
});

void t.test('Keystone-to-Keystone is refused whatever the method', async (t) => {
  for (const settings of [{ OS_AUTH_TYPE: 'v3password' }, { OS_TOKEN: 'x' }, {}, { OS_AUTH_TYPE: 'v3fedkerb' }]) {
    const env = { OS_AUTH_URL: 'https://k.test/v3', OS_SERVICE_PROVIDER: 'other-cloud', ...settings };
    const { config } = await readConfig(fakeHost({ env, cwd: '/nowhere', home: () => '/nowhere' }), new Map(), OPTIONS);
    t.throws(() => chooseMethod(config), {
      code: 'config-invalid',
      message: /^OS_SERVICE_PROVIDER asks for a token of another cloud \(Keystone-to-Keystone\)/,
      hint: /set OS_AUTH_URL to the Keystone of that cloud.*or unset OS_SERVICE_PROVIDER/,
    });
  }
});

void t.test('unknown names are another error, and supported names are none', async (t) => {
  const { message, hint } = await refusalOf('v3nonsense');
  t.match(message, 'this version does not support');
  t.match(hint, 'v3password');
  for (const name of METHOD_BY_NAME.keys()) t.doesNotThrow(() => requireSupportedMethod(name, 'OS_AUTH_TYPE'), name);
});
