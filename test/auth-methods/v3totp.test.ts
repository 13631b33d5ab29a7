// Against: a real Keystone.

import t from 'tap';
import { memberAndReader, checkLogins } from '../support/check-login.ts';
import { describeRequest } from '../support/request-log.ts';
import { respondJson } from '../support/stand-in-faults.ts';
import { checkFailure, EXIT_STATUS, startKeystoneForTest } from '../support/check-run.ts';
import { runPlugin } from '../support/run-plugin.ts';
import { makeTestHome } from '../support/home.ts';
import { onProject } from '../support/login-settings.ts';
import { makeTotpCode } from '../support/tenancy.ts';
import { watchRequests, listRequests } from '../support/request-log.ts';
import { testWithKeystone } from '../support/test-environment.ts';

t.setTimeout(170_000);

testWithKeystone('a passcode: every kind of user and scope', async (t, environment) => {
  const { domain, projects, users } = environment.tenancy;
  const { phone } = users;
  const env = { OS_AUTH_TYPE: 'v3totp', OS_PASSCODE: makeTotpCode(phone.totpSecret, Date.now()) };
  const expected = { user: 'phone', project: 'demo', methods: ['totp'], ...memberAndReader };
  await checkLogins(t, environment, {
    'user and project by name': {
      env: { ...env, OS_USERNAME: 'phone', OS_USER_DOMAIN_NAME: domain.name, ...onProject(projects.demo, domain) },
      expected,
    },
    'user by id, with an unused password': {
      env: { ...env, OS_USER_ID: phone.id, OS_PASSWORD: 'not-it', OS_PROJECT_ID: projects.demo.id },
      expected,
    },
  });
});

testWithKeystone('rejects a wrong passcode immediately', async (t, environment) => {
  const { users, projects } = environment.tenancy;
  const address = watchRequests(environment.http);
  const env = { OS_AUTH_URL: `${address.url}/v3`, OS_AUTH_TYPE: 'v3totp', OS_USER_ID: users.phone.id };
  const onDemo = { OS_PROJECT_ID: projects.demo.id };
  const result = await runPlugin({ home: makeTestHome(t), env: { ...env, ...onDemo, OS_PASSCODE: '000000' } });
  checkFailure(t, result, EXIT_STATUS.refused, { says: [/wrong, old or used passcode/, / \(req-[0-9a-f-]{36}\)$/] });
  t.strictSame(listRequests(address).map(describeRequest), ['POST /v3/auth/tokens?nocatalog=true 401']);

  const without = await runPlugin({ home: makeTestHome(t), env: { ...env, ...onDemo } });
  checkFailure(t, without, EXIT_STATUS.interaction, { says: ['passcode is not set', 'OS_PASSCODE'] });
  t.equal(listRequests(address).length, 1, 'no request is sent without a passcode');
});

void t.test('never sends a passcode twice', async (t) => {
  for (const status of [429, 502, 503, 504]) {
    const standIn = await startKeystoneForTest(t);
    standIn.answerAlways(respondJson(status, { error: { code: status, message: 'later' } }, { 'retry-after': '0' }));
    const env = { OS_AUTH_URL: `${standIn.url}/v3`, OS_AUTH_TYPE: 'v3totp', OS_USER_ID: 'u', OS_PASSCODE: '123456' };
    const result = await runPlugin({ home: makeTestHome(t), env });
    checkFailure(t, result, EXIT_STATUS.unreachable, { says: [status === 429 ? 'limits the rate' : `${status}`] });
    t.equal(standIn.requests.length, 1, String(status));
  }
});
