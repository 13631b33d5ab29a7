// Against: a real Keystone.

import t from 'tap';
import { checkLogins, LOGIN_REQUEST, memberAndReader } from '../support/check-login.ts';
import { checkFailure, EXIT_STATUS, startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { EnvVars } from '../support/home.ts';
import { onProject } from '../support/login-settings.ts';
import { watchRequests } from '../support/request-log.ts';
import { respondJson } from '../support/stand-in-faults.ts';
import { makeTotpCode, WRONG_PASSCODE } from '../support/tenancy.ts';
import { testWithKeystone } from '../support/test-environment.ts';

testWithKeystone('v3totp logs in with a passcode', async (t, environment) => {
  const { domain, projects, users } = environment.tenancy;
  const { phone } = users;
  const withPasscode = (settings: EnvVars) => () => ({
    OS_AUTH_TYPE: 'v3totp',
    OS_PASSCODE: makeTotpCode(phone.totpSecret, Date.now()),
    ...settings,
  });
  const expected = { user: 'phone', project: 'demo', methods: ['totp'], ...memberAndReader };
  await checkLogins(t, environment, {
    'the user and the project are named': {
      env: withPasscode({
        OS_USERNAME: 'phone',
        OS_USER_DOMAIN_NAME: domain.name,
        ...onProject(projects.demo, domain),
      }),
      expected,
    },
    'the user is given by ID, and a password is not used': {
      env: withPasscode({ OS_USER_ID: phone.id, OS_PASSWORD: 'not-it', OS_PROJECT_ID: projects.demo.id }),
      expected,
    },
  });
});

testWithKeystone('v3totp reports a wrong or missing passcode after one request at most', async (t, environment) => {
  const { users, projects } = environment.tenancy;
  const phone = setUp(t, {
    keystone: watchRequests(environment.http),
    settings: { OS_AUTH_TYPE: 'v3totp', OS_USER_ID: users.phone.id, OS_PROJECT_ID: projects.demo.id },
  });
  const wrong = phone.with({ OS_PASSCODE: WRONG_PASSCODE });
  checkFailure(t, await wrong.run(), EXIT_STATUS.refused, {
    says: [/wrong, old or used passcode/, / \(req-[0-9a-f-]{36}\)$/],
  });
  t.strictSame(phone.listRequests(), [LOGIN_REQUEST.replace('201', '401')]);

  checkFailure(t, await phone.onNewMachine().run(), EXIT_STATUS.interaction, {
    says: ['passcode is not set', 'OS_PASSCODE'],
  });
  t.equal(phone.countRequests(), 1, 'no request is sent without a passcode');
});

void t.test('v3totp never sends a passcode twice', async (t) => {
  for (const status of [429, 502, 503, 504]) {
    const keystone = await startKeystoneForTest(t);
    keystone.answerAlways(respondJson(status, { error: { code: status, message: 'later' } }, { 'retry-after': '0' }));
    const user = setUp(t, {
      keystone,
      settings: { OS_AUTH_TYPE: 'v3totp', OS_USER_ID: 'u', OS_PASSCODE: '123456' },
    });
    checkFailure(t, await user.run(), EXIT_STATUS.unreachable, {
      says: [status === 429 ? 'limits the rate' : `${status}`],
    });
    t.equal(user.countRequests(), 1, `status ${status}`);
  }
});
