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

void t.test('methods that lead to no token are rejected with the reason and an alternative', async (t) => {
  const cases: Readonly<Record<string, [why: RegExp, instead: RegExp]>> = {
    v3tokenlessauth: [/certificate with each request/, /v3oauth2mtlsclientcredential/],
    v3tokenless: [/certificate with each request/, /application credential/],
    http_basic: [/password with each request/, /v3password/],
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

void t.test('unknown names are another error, and supported names are none', async (t) => {
  const { message, hint } = await refusalOf('v3nonsense');
  t.match(message, 'this version does not support');
  t.match(hint, 'v3password');
  for (const name of METHOD_BY_NAME.keys()) t.doesNotThrow(() => requireSupportedMethod(name, 'OS_AUTH_TYPE'), name);
});
