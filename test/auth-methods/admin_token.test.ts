// Against: a real Keystone.

import t from 'tap';
import type { Test } from 'tap';
import { EXIT_STATUS } from '../support/check-run.ts';
import { onProject } from '../support/login-settings.ts';
import { logIn, revokeToken, validateToken } from '../support/tenancy.ts';
import { openWatchedLog, checkFailedLogin, logInTwice } from '../support/log-in-twice.ts';
import { watchRequests } from '../support/request-log.ts';
import { testWithKeystone } from '../support/test-environment.ts';

t.setTimeout(120_000);

const GET = 'GET /v3/auth/tokens?nocatalog=true';

testWithKeystone('uses the token unchanged and reads its expiry', async (t, environment) => {
  const { domain, projects, users } = environment.tenancy;
  const token = await logIn(environment.http, users.alice, { project: { id: projects.demo.id } });
  const facts = await validateToken(environment.http, token);
  const check = async (t: Test, env: Record<string, string>, path = '/v3', requests = [`${GET} 200`]) => {
    const address = watchRequests(environment.http);
    const at = Object.fromEntries(
      Object.entries(env).map(([name, value]) => [name, value.replace('@', address.url + path)]),
    );
    const attempt = { env: { ...at, OS_TOKEN: token }, requestLog: openWatchedLog(address), requests };
    const given = await logInTwice(t, attempt);
    t.equal(given.token, token);
    t.equal(Date.parse(given.expirationTimestamp), Math.floor(Date.parse(facts?.expiresAt ?? '') / 1000) * 1000);
  };
  const admin = { OS_AUTH_TYPE: 'admin_token' };
  await t.test('at --endpoint', (t) => check(t, { ...admin, OS_ENDPOINT: '@' }));
  await t.test('at --endpoint, by the other names', (t) => check(t, { OS_AUTH_TYPE: 'token_endpoint', OS_URL: '@' }));
  await t.test('at a URL without a version', (t) =>
    check(t, { ...admin, OS_ENDPOINT: '@' }, '', ['GET  300', `${GET} 200`]),
  );
  await t.test('at --keystone-url', (t) => check(t, { ...admin, OS_AUTH_URL: '@' }));
  await t.test('--endpoint takes precedence', (t) =>
    check(t, { ...admin, OS_AUTH_URL: 'http://127.0.0.1:1/v3', OS_ENDPOINT: '@' }),
  );
  await t.test('with the scope of the token', (t) =>
    check(t, { ...admin, OS_ENDPOINT: '@', ...onProject(projects.demo, domain) }),
  );
});

testWithKeystone('tokens that cannot be used', async (t, environment) => {
  const { domain, projects, users } = environment.tenancy;
  const token = await logIn(environment.http, users.alice, { project: { id: projects.demo.id } });
  const address = watchRequests(environment.http);
  const requestLog = openWatchedLog(address);
  const env = { OS_AUTH_TYPE: 'admin_token', OS_ENDPOINT: `${address.url}/v3`, OS_TOKEN: token };
  const secrets = [token];

  await t.test('a token with another scope', async (t) => {
    const other = { ...env, ...onProject(projects.other, domain) };
    const says = ['for another project than the one that is set', 'this method uses the token unchanged'];
    await checkFailedLogin(
      t,
      { env: other, requestLog, requests: [`${GET} 200`], secrets },
      { status: EXIT_STATUS.protocol, says },
    );
  });
  await t.test('a revoked token', async (t) => {
    const gone = await logIn(environment.http, users.alice, { project: { id: projects.demo.id } });
    await revokeToken(environment.http, gone);
    const says = ['does not accept the token in OS_TOKEN', 'openstack token issue'];
    const attempt = { env: { ...env, OS_TOKEN: gone }, requestLog, requests: [`${GET} 401`], secrets: [gone] };
    await checkFailedLogin(t, attempt, { status: EXIT_STATUS.refused, says });
  });
  await t.test('no token', async (t) => {
    const says = ['token is not set', 'set OS_TOKEN'];
    await checkFailedLogin(
      t,
      { env: { ...env, OS_TOKEN: undefined }, requestLog, requests: [] },
      { status: EXIT_STATUS.interaction, says },
    );
  });
  await t.test('without a URL', async (t) => {
    const says = ['Keystone at http://127.0.0.1:1 cannot be used', 'check OS_ENDPOINT'];
    const attempt = { env: { ...env, OS_ENDPOINT: 'http://127.0.0.1:1' }, requestLog, requests: [], secrets };
    await checkFailedLogin(t, attempt, { status: EXIT_STATUS.unreachable, says });
  });
  await t.test('over http:// to another machine', async (t) => {
    const says = ['OS_ENDPOINT is http://'];
    const attempt = { env: { ...env, OS_ENDPOINT: 'http://keystone.invalid/v3' }, requestLog, requests: [], secrets };
    await checkFailedLogin(t, attempt, { status: EXIT_STATUS.config, says });
  });
});
