// Against: a real Keystone with MFA rules.

import t from 'tap';
import { memberAndReader, checkLogin, checkLogins, LOGIN_REQUEST } from '../support/check-login.ts';
import { EXIT_STATUS, PASSWORD } from '../support/check-run.ts';
import { checkFailure, checkSuccess, makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { EnvVars } from '../support/home.ts';
import { asAliceOnDemo, asUser, onProject } from '../support/login-settings.ts';
import { watchRequests } from '../support/request-log.ts';
import { respondJson } from '../support/stand-in-faults.ts';
import { logIn, makeTotpCode, WRONG_PASSCODE } from '../support/tenancy.ts';
import type { Tenancy } from '../support/tenancy.ts';
import { testWithKeystone } from '../support/test-environment.ts';

const REFUSED = LOGIN_REQUEST.replace('201', '401');
const expected = { user: 'mfa', project: 'demo', methods: ['password', 'totp'], ...memberAndReader };

/** The user with two factors, without the passcode. */
function asMfaOnDemo({ users, projects, domain }: Tenancy): EnvVars {
  return { ...asUser(users.mfa, domain), ...onProject(projects.demo, domain) };
}

/** The passcode of this moment. */
function makePasscode({ users }: Tenancy): EnvVars {
  return { OS_PASSCODE: makeTotpCode(users.mfa.totpSecret, Date.now()) };
}

testWithKeystone('v3multifactor sends two factors in one request', async (t, environment) => {
  const { tenancy } = environment;
  const asMfa = (settings: EnvVars) => () => ({ ...asMfaOnDemo(tenancy), ...makePasscode(tenancy), ...settings });
  await checkLogins(t, environment, {
    'the auth type and the methods are named': {
      env: asMfa({ OS_AUTH_TYPE: 'v3multifactor', OS_AUTH_METHODS: 'v3password,v3totp' }),
      expected,
    },
    'the methods need no auth type, and can have spaces and aliases': {
      env: asMfa({ OS_AUTH_METHODS: ' totp , password' }),
      expected,
    },
    'the methods are a flag': { env: asMfa({}), args: () => ['--auth-methods=v3totp,v3password'], expected },
  });
  await t.test('a token and a password can be combined', async (t) => {
    const OS_TOKEN = await logIn(environment.http, tenancy.users.alice);
    await checkLogin(t, environment, {
      env: { ...asAliceOnDemo(tenancy), OS_TOKEN, OS_AUTH_METHODS: 'v3password,v3token' },
      expected: { user: 'alice', project: 'demo', methods: ['password', 'token'], ...memberAndReader },
    });
  });
  await t.test('methods that cannot be combined, and missing options, cause no request', async (t) => {
    const keystone = watchRequests(environment.http);
    const mfa = setUp(t, { keystone, settings: asMfa({})() });
    const fails = async (changes: EnvVars, status: number, says: string[]): Promise<void> => {
      checkFailure(t, await mfa.onNewMachine().with(changes).run(), status, { says });
    };
    const named = { OS_AUTH_TYPE: 'v3multifactor' };
    await fails({ ...named, OS_AUTH_METHODS: 'v3password,v3kerberos' }, EXIT_STATUS.config, [
      'OS_AUTH_METHODS',
      '"v3kerberos"',
      'v3totp',
    ]);
    const withoutCode = { ...named, OS_AUTH_METHODS: 'v3password,v3totp', OS_PASSCODE: undefined };
    await fails(withoutCode, EXIT_STATUS.interaction, ['OS_PASSCODE']);
    await fails(named, EXIT_STATUS.interaction, ['OS_AUTH_METHODS']);
    t.equal(mfa.countRequests(), 0);
  });
});

testWithKeystone('a login continues with the receipt of Keystone', async (t, environment) => {
  const { tenancy } = environment;
  const env = asMfaOnDemo(tenancy);
  const requests = [REFUSED, LOGIN_REQUEST];
  await t.test('the password comes first, and then the passcode', async (t) => {
    await checkLogin(t, environment, { env: () => ({ ...env, ...makePasscode(tenancy) }), requests, expected });
  });
  await t.test('the passcode comes first, and then the password', async (t) => {
    const makeSettings = (): EnvVars => ({ ...env, OS_AUTH_TYPE: 'v3totp', ...makePasscode(tenancy) });
    await checkLogin(t, environment, { env: makeSettings, requests, expected });
  });
  await t.test('the passcode is wrong', async (t) => {
    const keystone = watchRequests(environment.http);
    const mfa = setUp(t, { keystone, settings: { ...env, OS_PASSCODE: WRONG_PASSCODE } });
    checkFailure(t, await mfa.run(), EXIT_STATUS.refused, {
      says: ['additional factor for mfa', 'wrong, old or used passcode', /req-/],
    });
    t.strictSame(mfa.listRequests(), [REFUSED, REFUSED], 'each proof was sent once');
  });
});

/** As recorded from Keystone: the body of a receipt has no `error`. */
const receipt = (ways: readonly (readonly string[])[]): ReturnType<typeof respondJson> =>
  respondJson(
    401,
    { receipt: { methods: ['password'], expires_at: '2030-01-01T00:00:00.000000Z' }, required_auth_methods: ways },
    { 'openstack-auth-receipt': 'gAAAA-receipt', 'x-openstack-request-id': 'req-1' },
  );

void t.test('the second request contains the receipt and the missing factor only', async (t) => {
  const keystone = await startKeystoneForTest(t);
  keystone.answerNext(receipt([['password', 'totp']]), 'POST');
  const alice = setUp(t, { settings: { ...makeLoginSettings(`${keystone.url}/v3`), OS_PASSCODE: '123456' } });
  // The stand-in does not know this receipt. The test checks only the second request.
  t.equal((await alice.run()).status, EXIT_STATUS.refused);
  const [first, second, ...more] = keystone.requests;
  t.strictSame(more, []);
  t.equal(first?.headers['openstack-auth-receipt'], undefined);
  t.equal(second?.headers['openstack-auth-receipt'], 'gAAAA-receipt');
  t.strictSame(second?.body, {
    auth: {
      identity: { methods: ['totp'], totp: { user: { name: 'alice', domain: { name: 'acme' }, passcode: '123456' } } },
      scope: { project: { name: 'web', domain: { name: 'acme' } } },
    },
  });
  t.notOk(JSON.stringify(second).includes(PASSWORD), 'the password is not sent again');
});

void t.test('a login chooses a supported combination of factors and limits the number of receipts', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const alice = setUp(t, { settings: { ...makeLoginSettings(`${keystone.url}/v3`), OS_PASSCODE: '123456' } });
  await t.test('a supported combination is chosen', async (t) => {
    const ways = ['openid', 'token', 'totp'].map((method) => ['password', method]);
    keystone.answerNext(receipt(ways), 'POST');
    await alice.onNewMachine().run();
    t.match(keystone.requests.at(-1)?.body, { auth: { identity: { methods: ['totp'] } } });
  });
  await t.test('no combination is supported', async (t) => {
    keystone.answerNext(receipt([['password', 'openid', 'totp']]), 'POST');
    checkFailure(t, await alice.onNewMachine().run(), EXIT_STATUS.refused, {
      says: ['requires another factor', 'openid and totp', 'req-1'],
    });
  });
  await t.test('Keystone answers each receipt with another one', async (t) => {
    const before = keystone.requests.length;
    keystone.answerAlways(receipt([['password', 'totp']]), 'POST');
    checkFailure(t, await alice.onNewMachine().run(), EXIT_STATUS.refused, { says: ['requires another factor'] });
    t.ok(keystone.requests.length - before <= 4, 'the plugin stops asking');
    keystone.removeHandlers();
  });
  await t.test('the receipt is not a valid header value', async (t) => {
    const bad = { 'openstack-auth-receipt': 'a b', 'content-type': 'application/json' };
    keystone.answerNext(respondJson(401, { required_auth_methods: [['password', 'totp']] }, bad), 'POST');
    checkFailure(t, await alice.onNewMachine().run(), EXIT_STATUS.protocol, {
      says: ['is not valid in an HTTP header'],
    });
  });
  await t.test('the next login works after these failures', async (t) => {
    checkSuccess(t, await alice.onNewMachine().run());
  });
});
