// Against: a real Keystone with MFA rules.

import t from 'tap';
import { memberAndReader, checkLogin, checkLogins, LOGIN_REQUEST } from '../support/check-login.ts';
import { describeRequest } from '../support/request-log.ts';
import { respondJson } from '../support/stand-in-faults.ts';
import { EXIT_STATUS } from '../support/check-run.ts';
import { checkFailure, checkSuccess, makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { runPlugin } from '../support/run-plugin.ts';
import { makeTestHome } from '../support/home.ts';
import type { EnvVars } from '../support/home.ts';
import { asUser, onProject } from '../support/login-settings.ts';
import { logIn, makeTotpCode } from '../support/tenancy.ts';
import { watchRequests, listRequests } from '../support/request-log.ts';
import { testWithKeystone } from '../support/test-environment.ts';

t.setTimeout(170_000);

const REFUSED = LOGIN_REQUEST.replace('201', '401');

testWithKeystone('two factors in one request', async (t, environment) => {
  const { domain, projects, users } = environment.tenancy;
  const { mfa, alice } = users;
  const passcode = { OS_PASSCODE: makeTotpCode(mfa.totpSecret, Date.now()) };
  const env = { ...asUser(mfa, domain), ...onProject(projects.demo, domain), ...passcode };
  const expected = { user: 'mfa', project: 'demo', methods: ['password', 'totp'], ...memberAndReader };
  await checkLogins(t, environment, {
    'methods by name': {
      env: { ...env, OS_AUTH_TYPE: 'v3multifactor', OS_AUTH_METHODS: 'v3password,v3totp' },
      expected,
    },
    'methods without an auth type, with spaces and aliases': {
      env: { ...env, OS_AUTH_METHODS: ' totp , password' },
      expected,
    },
    'as flags': { env, args: () => ['--auth-methods=v3totp,v3password'], expected },
  });
  await t.test('a token and a password', async (t) => {
    const given = await logIn(environment.http, alice);
    const methods = ['password', 'token'];
    const settings = { ...asUser(alice, domain), ...onProject(projects.demo, domain), OS_TOKEN: given };
    const login = { env: { ...settings, OS_AUTH_METHODS: 'v3password,v3token' } };
    await checkLogin(t, environment, {
      ...login,
      expected: { user: 'alice', project: 'demo', methods, ...memberAndReader },
    });
  });
  await t.test('methods that cannot be combined, and missing options', async (t) => {
    const address = watchRequests(environment.http);
    const check = async (changes: EnvVars, status: number, says: (string | RegExp)[]): Promise<void> => {
      const settings = { OS_AUTH_URL: `${address.url}/v3`, ...env, ...changes };
      checkFailure(t, await runPlugin({ home: makeTestHome(t), env: settings }), status, { says });
    };
    await check({ OS_AUTH_METHODS: 'v3password,v3kerberos' }, EXIT_STATUS.config, [
      'OS_AUTH_METHODS',
      '"v3kerberos"',
      'v3totp',
    ]);
    await check({ OS_AUTH_METHODS: 'v3password,v3totp', OS_PASSCODE: undefined }, EXIT_STATUS.interaction, [
      'OS_PASSCODE',
    ]);
    await check({ OS_AUTH_TYPE: 'v3multifactor' }, EXIT_STATUS.interaction, ['OS_AUTH_METHODS']);
    t.equal(listRequests(address).length, 0);
  });
});

testWithKeystone('a password and a receipt', async (t, environment) => {
  const { domain, projects, users } = environment.tenancy;
  const env = { ...asUser(users.mfa, domain), ...onProject(projects.demo, domain) };
  const code = (): string => makeTotpCode(users.mfa.totpSecret, Date.now());

  await t.test('with a passcode', async (t) => {
    const expected = { user: 'mfa', project: 'demo', methods: ['password', 'totp'], ...memberAndReader };
    const login = { env: { ...env, OS_PASSCODE: code() }, requests: [REFUSED, LOGIN_REQUEST] };
    await checkLogin(t, environment, { ...login, expected });
  });
  await t.test('with the passcode first and the password second', async (t) => {
    const expected = { user: 'mfa', project: 'demo', methods: ['password', 'totp'], ...memberAndReader };
    const login = { env: { ...env, OS_AUTH_TYPE: 'v3totp', OS_PASSCODE: code() }, requests: [REFUSED, LOGIN_REQUEST] };
    await checkLogin(t, environment, { ...login, expected });
  });
  await t.test('with a wrong passcode', async (t) => {
    const address = watchRequests(environment.http);
    const settings = { OS_AUTH_URL: `${address.url}/v3`, ...env, OS_PASSCODE: '000000' };
    const result = await runPlugin({ home: makeTestHome(t), env: settings });
    checkFailure(t, result, EXIT_STATUS.refused, {
      says: ['additional factor for mfa', 'wrong, old or used passcode', /req-/],
    });
    t.strictSame(listRequests(address).map(describeRequest), [REFUSED, REFUSED], 'each proof was sent once');
  });
});

/** As recorded from Keystone: the body of a receipt has no `error`. */
const receipt = (ways: readonly (readonly string[])[]): ReturnType<typeof respondJson> =>
  respondJson(
    401,
    { receipt: { methods: ['password'], expires_at: '2030-01-01T00:00:00.000000Z' }, required_auth_methods: ways },
    { 'openstack-auth-receipt': 'gAAAA-receipt', 'x-openstack-request-id': 'req-1' },
  );

void t.test('content of the second request', async (t) => {
  const standIn = await startKeystoneForTest(t);
  standIn.answerNext(receipt([['password', 'totp']]), 'POST');
  const result = await runPlugin({
    home: makeTestHome(t),
    env: { ...makeLoginSettings(`${standIn.url}/v3`), OS_PASSCODE: '123456' },
  });
  // The stand-in does not know this receipt. The test checks only the second request.
  t.equal(result.status, EXIT_STATUS.refused);
  const [first, second, ...more] = standIn.requests;
  t.strictSame(more, []);
  t.equal(first?.headers['openstack-auth-receipt'], undefined);
  t.equal(second?.headers['openstack-auth-receipt'], 'gAAAA-receipt');
  t.strictSame(second?.body, {
    auth: {
      identity: { methods: ['totp'], totp: { user: { name: 'alice', domain: { name: 'acme' }, passcode: '123456' } } },
      scope: { project: { name: 'web', domain: { name: 'acme' } } },
    },
  });
});

void t.test('chooses a supported combination and limits the number of receipts', async (t) => {
  const standIn = await startKeystoneForTest(t);
  const env = { ...makeLoginSettings(`${standIn.url}/v3`), OS_PASSCODE: '123456' };
  await t.test('a supported combination', async (t) => {
    standIn.answerNext(
      receipt([
        ['password', 'openid'],
        ['password', 'token'],
        ['password', 'totp'],
      ]),
      'POST',
    );
    await runPlugin({ home: makeTestHome(t), env });
    t.match(standIn.requests.at(-1)?.body, { auth: { identity: { methods: ['totp'] } } });
  });
  await t.test('no supported combination', async (t) => {
    standIn.answerNext(receipt([['password', 'openid', 'totp']]), 'POST');
    const result = await runPlugin({ home: makeTestHome(t), env });
    checkFailure(t, result, EXIT_STATUS.refused, { says: ['requires another factor', 'openid and totp', 'req-1'] });
  });
  await t.test('receipt after receipt', async (t) => {
    const before = standIn.requests.length;
    standIn.answerAlways(receipt([['password', 'totp']]), 'POST');
    checkFailure(t, await runPlugin({ home: makeTestHome(t), env }), EXIT_STATUS.refused, {
      says: ['requires another factor'],
    });
    t.ok(standIn.requests.length - before <= 4, 'the plugin stops asking');
    standIn.removeHandlers();
  });
  await t.test('a receipt that is not a valid header value', async (t) => {
    const bad = { 'openstack-auth-receipt': 'a b', 'content-type': 'application/json' };
    standIn.answerNext(respondJson(401, { required_auth_methods: [['password', 'totp']] }, bad), 'POST');
    checkFailure(t, await runPlugin({ home: makeTestHome(t), env }), EXIT_STATUS.protocol, {
      says: ['is not valid in an HTTP header'],
    });
  });
  await t.test('a login after these failures', async (t) => {
    checkSuccess(t, await runPlugin({ home: makeTestHome(t), env }));
  });
});
