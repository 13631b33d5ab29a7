// Against: a real Keystone.

import t from 'tap';
import { both, checkLogins, describeRequest, homeFor } from '../support/check-login.ts';
import { json } from '../support/faults.ts';
import { checkFailure, EXIT, startForTest } from '../support/login.ts';
import { runPlugin } from '../support/plugin.ts';
import { onProject } from '../support/settings.ts';
import { totpCode } from '../support/tenancy.ts';
import { markRequests, requestsSince, testWithKeystone } from '../support/test-environment.ts';

t.setTimeout(170_000);

testWithKeystone('a passcode: who and on what', async (t, world) => {
  const { domain, projects, users } = world.tenancy;
  const { phone } = users;
  const env = { OS_AUTH_TYPE: 'v3totp', OS_PASSCODE: totpCode(phone.totpSecret, Date.now()) };
  const wanted = { user: 'phone', project: 'demo', methods: ['totp'], ...both };
  await checkLogins(t, world, {
    'user and project by name': {
      env: { ...env, OS_USERNAME: 'phone', OS_USER_DOMAIN_NAME: domain.name, ...onProject(projects.demo, domain) },
      wanted,
    },
    'user by id, a password beside it': {
      env: { ...env, OS_USER_ID: phone.id, OS_PASSWORD: 'not-it', OS_PROJECT_ID: projects.demo.id },
      wanted,
    },
  });
});

testWithKeystone('a wrong passcode is refused at once', async (t, world) => {
  const { users, projects } = world.tenancy;
  const mark = markRequests(world.http);
  const env = { OS_AUTH_URL: `${mark.url}/v3`, OS_AUTH_TYPE: 'v3totp', OS_USER_ID: users.phone.id };
  const onDemo = { OS_PROJECT_ID: projects.demo.id };
  const ran = await runPlugin({ home: homeFor(t), env: { ...env, ...onDemo, OS_PASSCODE: '000000' } });
  checkFailure(t, ran, EXIT.refused, { says: [/wrong, old or used passcode/, / \(req-[0-9a-f-]{36}\)$/] });
  t.strictSame(requestsSince(mark).map(describeRequest), ['POST /v3/auth/tokens?nocatalog=true 401']);

  const without = await runPlugin({ home: homeFor(t), env: { ...env, ...onDemo } });
  checkFailure(t, without, EXIT.interaction, { says: ['passcode is not set', 'OS_PASSCODE'] });
  t.equal(requestsSince(mark).length, 1, 'nobody is asked without one');
});

void t.test('a passcode is never sent twice, whatever the server says', async (t) => {
  for (const status of [429, 502, 503, 504]) {
    const standIn = await startForTest(t);
    standIn.answerAlways(json(status, { error: { code: status, message: 'later' } }, { 'retry-after': '0' }));
    const env = { OS_AUTH_URL: `${standIn.url}/v3`, OS_AUTH_TYPE: 'v3totp', OS_USER_ID: 'u', OS_PASSCODE: '123456' };
    const ran = await runPlugin({ home: homeFor(t), env });
    checkFailure(t, ran, EXIT.unreachable, { says: [status === 429 ? 'limits the rate' : `${status}`] });
    t.equal(standIn.requests.length, 1, String(status));
  }
});
