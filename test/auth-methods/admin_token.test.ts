// Against: a real Keystone.

import { EXIT_STATUS } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { EnvVars } from '../support/home.ts';
import { onProject } from '../support/login-settings.ts';
import { checkFailedLogin, logInTwice } from '../support/log-in-twice.ts';
import type { FailedAttempt } from '../support/log-in-twice.ts';
import { watchRequests } from '../support/request-log.ts';
import { logIn, revokeToken, validateToken } from '../support/tenancy.ts';
import { testWithKeystone } from '../support/test-environment.ts';

const GET = 'GET /v3/auth/tokens?nocatalog=true';
const admin = { OS_AUTH_TYPE: 'admin_token' };

testWithKeystone('admin_token uses the token unchanged and reads its expiry', async (t, environment) => {
  const { domain, projects, users } = environment.tenancy;
  const token = await logIn(environment.http, users.alice, { project: { id: projects.demo.id } });
  const facts = await validateToken(environment.http, token);
  const works = async (name: string, settings: (url: string) => EnvVars, requests = [`${GET} 200`]): Promise<void> => {
    await t.test(name, async (t) => {
      const keystone = watchRequests(environment.http);
      const user = setUp(t, { keystone }).withOnly({ ...settings(keystone.url), OS_TOKEN: token });
      const given = await logInTwice(t, user, { requests });
      t.equal(given.token, token);
      t.equal(Date.parse(given.expirationTimestamp), Math.floor(Date.parse(facts?.expiresAt ?? '') / 1000) * 1000);
    });
  };
  await works('OS_ENDPOINT names Keystone', (url) => ({ ...admin, OS_ENDPOINT: `${url}/v3` }));
  await works('the method and the endpoint have other names too', (url) => ({
    OS_AUTH_TYPE: 'token_endpoint',
    OS_URL: `${url}/v3`,
  }));
  await works('the endpoint can be a URL without a version', (url) => ({ ...admin, OS_ENDPOINT: url }), [
    'GET  300',
    `${GET} 200`,
  ]);
  await works('OS_AUTH_URL names Keystone', (url) => ({ ...admin, OS_AUTH_URL: `${url}/v3` }));
  await works('OS_ENDPOINT takes precedence over OS_AUTH_URL', (url) => ({
    ...admin,
    OS_AUTH_URL: 'http://127.0.0.1:1/v3',
    OS_ENDPOINT: `${url}/v3`,
  }));
  await works('the settings can contain the scope of the token', (url) => ({
    ...admin,
    OS_ENDPOINT: `${url}/v3`,
    ...onProject(projects.demo, domain),
  }));
});

testWithKeystone('admin_token rejects tokens that cannot be used', async (t, environment) => {
  const { domain, projects, users } = environment.tenancy;
  const token = await logIn(environment.http, users.alice, { project: { id: projects.demo.id } });
  const revoked = await logIn(environment.http, users.alice, { project: { id: projects.demo.id } });
  await revokeToken(environment.http, revoked);
  const keystone = watchRequests(environment.http);
  const user = setUp(t, { keystone }).withOnly({ ...admin, OS_ENDPOINT: `${keystone.url}/v3`, OS_TOKEN: token });
  const fails = async (name: string, changes: EnvVars, attempt: FailedAttempt): Promise<void> => {
    await t.test(name, (t) => checkFailedLogin(t, user.onNewMachine().with(changes), attempt));
  };

  await fails('the token has another scope', onProject(projects.other, domain), {
    requests: [`${GET} 200`],
    secrets: [token],
    status: EXIT_STATUS.protocol,
    says: ['for another project than the one that is set', 'this method uses the token unchanged'],
  });
  await fails(
    'the token is revoked',
    { OS_TOKEN: revoked },
    {
      requests: [`${GET} 401`],
      secrets: [revoked],
      status: EXIT_STATUS.refused,
      says: ['does not accept the token in OS_TOKEN', 'openstack token issue'],
    },
  );
  await fails(
    'the token is not set',
    { OS_TOKEN: undefined },
    { requests: [], status: EXIT_STATUS.interaction, says: ['token is not set', 'set OS_TOKEN'] },
  );
  await fails(
    'nothing listens at the endpoint',
    { OS_ENDPOINT: 'http://127.0.0.1:1' },
    {
      requests: [],
      secrets: [token],
      status: EXIT_STATUS.unreachable,
      says: ['Keystone at http://127.0.0.1:1 cannot be used', 'check OS_ENDPOINT'],
    },
  );
  await fails(
    'the endpoint is http:// on another machine',
    { OS_ENDPOINT: 'http://keystone.invalid/v3' },
    { requests: [], secrets: [token], status: EXIT_STATUS.config, says: ['OS_ENDPOINT is http://'] },
  );
});
