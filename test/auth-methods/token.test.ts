// Against: a real Keystone.

import { memberAndReader, checkLogin, reader } from '../support/check-login.ts';
import { onProject } from '../support/login-settings.ts';
import { logIn, validateToken } from '../support/tenancy.ts';
import { testWithKeystone } from '../support/test-environment.ts';

testWithKeystone('token exchanges the given token or uses it unchanged', async (t, environment) => {
  const { domain, projects, users } = environment.tenancy;
  const given = await logIn(environment.http, users.alice, { project: { id: projects.demo.id } });
  const methods = ['password', 'token'];
  const env = { OS_TOKEN: given };
  const expiry = (await validateToken(environment.http, given))?.expiresAt;

  await t.test('the token is exchanged for another project', async (t) => {
    const onOther = { ...env, ...onProject(projects.other, domain) };
    const expected = { user: 'alice', project: 'other', methods, ...reader };
    const { token } = await checkLogin(t, environment, { env: onOther, expected });
    t.not(token, given);
    t.equal((await validateToken(environment.http, token))?.expiresAt, expiry, 'it expires with the original token');
  });
  await t.test('the token is exchanged for the system', async (t) => {
    const expected = { user: 'alice', system: true, methods, ...reader } as const;
    await checkLogin(t, environment, { env: { ...env, OS_SYSTEM_SCOPE: 'all' }, expected });
  });
  await t.test('without a scope, the token is used unchanged', async (t) => {
    const expected = { user: 'alice', project: 'demo', ...memberAndReader };
    const requests = ['GET /v3/auth/tokens?nocatalog=true 200'];
    const { token } = await checkLogin(t, environment, { env, expected, requests });
    t.equal(token, given, 'the same token');
  });
  await t.test('OS_AUTH_TOKEN means the same', async (t) => {
    const other = { OS_AUTH_TOKEN: given, OS_PROJECT_ID: projects.other.id };
    await checkLogin(t, environment, { env: other, expected: { user: 'alice', project: 'other', methods, ...reader } });
  });
});
