// Against: a real Keystone.

import { checkLogin, checkLogins, member } from '../support/check-login.ts';
import { asApplicationCredential, onProject } from '../support/login-settings.ts';
import { createShortLivedCredential } from '../support/tenancy.ts';
import { testWithKeystone } from '../support/test-environment.ts';

testWithKeystone('v3applicationcredential logs in to the project of the credential only', async (t, environment) => {
  const { applicationCredentials, domain, users } = environment.tenancy;
  const { valid } = applicationCredentials;
  const expected = { user: 'alice', project: 'demo', methods: ['application_credential'], ...member };
  const byId = asApplicationCredential(valid);
  const byName = { OS_APPLICATION_CREDENTIAL_NAME: valid.name, OS_APPLICATION_CREDENTIAL_SECRET: valid.secret };
  await checkLogins(t, environment, {
    'the credential is given by ID': { env: byId, expected },
    "the credential is given by name and the user's name": {
      env: { ...byName, OS_USERNAME: 'alice', OS_USER_DOMAIN_NAME: domain.name },
      expected,
    },
    "the credential is given by name and the user's ID": { env: { ...byName, OS_USER_ID: users.alice.id }, expected },
    // An openrc of the same project sets all of these variables. Keystone returns 401 for every scope.
    'the other variables of an openrc are ignored': {
      env: {
        ...byId,
        ...onProject(environment.tenancy.projects.other, domain),
        OS_PROJECT_ID: environment.tenancy.projects.other.id,
        OS_USERNAME: 'bob',
        OS_USER_DOMAIN_NAME: domain.name,
      },
      expected,
    },
  });
  await t.test('the token expires with its application credential', async (t) => {
    // Keystone 22 sends that expiry without a time zone. It must be read as UTC, not as local time.
    const shortLived = await createShortLivedCredential(environment.http, environment.tenancy);
    const env = { ...asApplicationCredential(shortLived), TZ: 'Asia/Tokyo' };
    const { expirationTimestamp } = await checkLogin(t, environment, { env, expected, secrets: [shortLived.secret] });
    const end = Date.parse((shortLived.expiresAt ?? '').replace(/Z?$/, 'Z'));
    t.equal(
      Date.parse(expirationTimestamp),
      Math.floor(end / 1000) * 1000,
      'the token expires with the application credential',
    );
  });
});
