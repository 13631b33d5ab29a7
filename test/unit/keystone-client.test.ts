/** The requests to Keystone, and what the plugin makes of the responses. */
import t from 'tap';
import { KeystoneUnreachable } from '../../src/shared/base/errors.ts';
import { Secret } from '../../src/shared/base/secret.ts';
import type { AuthRequest } from '../../src/shared/keystone/auth-request.ts';
import { authenticate, callKeystone, isTokenValid, revokeToken } from '../../src/shared/keystone/client.ts';
import { scriptHttp } from '../support/scripted-http.ts';
import type { ScriptedResponse } from '../support/scripted-http.ts';

const ENDPOINT = 'https://keystone.test/v3';
const TOKEN = new Secret('gAAAA-a-token');
const UNREACHABLE = new KeystoneUnreachable('unreachable', 'Keystone does not answer');
const EXPIRES_AT = Date.UTC(2026, 10, 26, 12);
const RECEIVED_AT = EXPIRES_AT - 3_600_000;

const details = { expires_at: '2026-11-26T12:00:00Z', user: { id: 'u1' } };
const tokenResponse: ScriptedResponse = {
  status: 201,
  headers: { 'x-subject-token': 'gAAAA-new' },
  body: { token: details },
  respondedAt: RECEIVED_AT,
};

const login: AuthRequest = {
  verb: 'POST',
  path: 'auth/tokens?nocatalog=true',
  subject: 'alice',
  expected: {},
  body: { auth: { password: new Secret('a-password') } },
};

void t.test('a login is one request, and its token comes from the header', async (t) => {
  const { http, requests } = scriptHttp({ ...tokenResponse, serverAheadMs: 60_000 });
  const issued = await authenticate(http, ENDPOINT, login);
  t.strictSame(requests, [
    { verb: 'POST', url: `${ENDPOINT}/auth/tokens?nocatalog=true`, body: '{"auth":{"password":"a-password"}}' },
  ]);
  t.equal(issued.token.id.reveal(), 'gAAAA-new');
  t.strictSame(issued.token.details, details);
  t.equal(issued.receivedAt, RECEIVED_AT);
  t.equal(issued.expiresAt, EXPIRES_AT - 60_000, 'by the clock of this machine');
});

void t.test('what a request needs is passed on: headers, peer, and whether it works only once', async (t) => {
  const { http, requests } = scriptHttp(tokenResponse);
  const headers = { 'x-auth-token': TOKEN };
  const peer = { name: 'another Keystone', setting: 'OS_OTHER_URL' };
  const otherKeystone = { url: 'https://other.test/v3', peer };
  await authenticate(http, ENDPOINT, { ...login, verb: 'GET', headers, otherKeystone, isSingleUse: true });
  t.match(requests, [{ verb: 'GET', headers, peer, isSingleUse: true }]);
});

void t.test('a request for the details of a token keeps that token', async (t) => {
  const { http, requests } = scriptHttp({ status: 200, body: { token: details }, respondedAt: RECEIVED_AT });
  const { body, ...request } = login;
  t.ok(body);
  const issued = await authenticate(http, ENDPOINT, { ...request, verb: 'GET', existingToken: TOKEN });
  t.equal(issued.token.id, TOKEN);
  t.strictSame(requests, [{ verb: 'GET', url: `${ENDPOINT}/auth/tokens?nocatalog=true` }]);
});

void t.test('every other response than a token is an error', async (t) => {
  const rows: readonly [title: string, response: ScriptedResponse, code: string][] = [
    ['a body that is not JSON', { ...tokenResponse, body: 'welcome' }, 'not-keystone'],
    ['a status above the range of success', { ...tokenResponse, status: 300 }, 'not-keystone'],
    ['a status below the range of success', { ...tokenResponse, status: 199 }, 'not-keystone'],
    ['a rejection', { status: 401, body: { error: {} } }, 'auth-rejected'],
    ['no X-Subject-Token header', { status: 201, body: { token: details } }, 'protocol'],
    ['neither a token nor its header', { status: 200, body: { hello: 1 } }, 'not-keystone'],
    ['a token that is not valid in a header', { ...tokenResponse, headers: { 'x-subject-token': 'a b' } }, 'protocol'],
  ];
  for (const [title, response, code] of rows) {
    await t.rejects(authenticate(scriptHttp(response).http, ENDPOINT, login), { code }, title);
  }
  const page = authenticate(scriptHttp({ ...tokenResponse, body: 'welcome' }).http, ENDPOINT, login);
  await t.rejects(page, { message: /answered with no JSON, which is not Keystone$/ });
  const proxied = authenticate(scriptHttp({ status: 201, body: { token: details } }).http, ENDPOINT, login);
  await t.rejects(proxied, { message: /without the X-Subject-Token header/, hint: /removes headers/ });
});

void t.test('the boundaries of success are 200 and 299', async (t) => {
  for (const status of [200, 299]) {
    const issued = await authenticate(scriptHttp({ ...tokenResponse, status }).http, ENDPOINT, login);
    t.equal(issued.expiresAt, EXPIRES_AT, String(status));
  }
});

void t.test(
  'Keystone is asked with HEAD whether a token is valid, and only 401 and 404 mean that it is not',
  async (t) => {
    for (const [status, isValid] of [
      [200, true],
      [204, true],
      [500, true],
      [401, false],
      [404, false],
    ] as const) {
      const { http, requests } = scriptHttp({ status });
      t.equal(await isTokenValid(http, ENDPOINT, TOKEN), isValid, String(status));
      const headers = { 'x-auth-token': TOKEN, 'x-subject-token': TOKEN };
      t.strictSame(requests, [{ verb: 'HEAD', url: `${ENDPOINT}/auth/tokens`, headers }]);
    }
  },
);

void t.test(
  'a token counts as valid if Keystone cannot be reached, but a fault of the program is not hidden',
  async (t) => {
    t.equal(await isTokenValid(scriptHttp(UNREACHABLE).http, ENDPOINT, TOKEN), true);
    await t.rejects(isTokenValid(scriptHttp(new TypeError('a fault')).http, ENDPOINT, TOKEN), { message: 'a fault' });
  },
);

void t.test('a token is revoked with DELETE, and 401 and 404 mean that there was nothing to revoke', async (t) => {
  for (const [status, isRevoked] of [
    [200, true],
    [204, true],
    [299, true],
    [401, false],
    [404, false],
  ] as const) {
    const { http, requests } = scriptHttp({ status });
    t.equal(await revokeToken(http, ENDPOINT, TOKEN), isRevoked, String(status));
    const headers = { 'x-auth-token': TOKEN, 'x-subject-token': TOKEN };
    t.strictSame(requests, [{ verb: 'DELETE', url: `${ENDPOINT}/auth/tokens`, headers }]);
  }
});

void t.test('every other response to a revocation is an error', async (t) => {
  const revoke = (response: ScriptedResponse): Promise<boolean> =>
    revokeToken(scriptHttp(response).http, ENDPOINT, TOKEN);
  await t.rejects(revoke({ status: 403, body: { error: { message: 'no' } } }), {
    code: 'auth-rejected',
    message: 'Keystone does not allow the owner of this token to revoke it',
    hint: /wait until the token expires/,
  });
  await t.rejects(revoke({ status: 503 }), { code: 'unavailable' });
  await t.rejects(revoke({ status: 199 }), { code: 'not-keystone' });
  await t.rejects(revoke({ status: 300 }), {
    code: 'not-keystone',
    message: `${ENDPOINT} answered with status 300, which is not Keystone`,
  });
});

const caller = { endpoint: ENDPOINT, token: TOKEN };
const projects = { verb: 'GET', path: 'auth/projects', resource: 'the projects' } as const;

void t.test('a call sends the token with the headers of the call, and returns the object', async (t) => {
  const { http, requests } = scriptHttp({ status: 200, body: { projects: [] } });
  t.strictSame(await callKeystone(http, caller, { ...projects, headers: { accept: 'x' } }), { projects: [] });
  const headers = { accept: 'x', 'x-auth-token': TOKEN };
  t.strictSame(requests, [{ verb: 'GET', url: `${ENDPOINT}/auth/projects`, headers }]);
});

void t.test('a call sends its body, and returns undefined if the response has none', async (t) => {
  const { http, requests } = scriptHttp({ status: 204 });
  const call = { ...projects, verb: 'POST', body: { secret: new Secret('a-secret-value') } } as const;
  t.equal(await callKeystone(http, caller, call), undefined);
  t.match(requests, [{ verb: 'POST', body: '{"secret":"a-secret-value"}' }]);
});

void t.test('a call has no result for the statuses that mean that there is nothing', async (t) => {
  const { http } = scriptHttp({ status: 403, body: { error: {} } });
  t.equal(await callKeystone(http, caller, { ...projects, absentOn: [403] }), undefined);
});

void t.test('a call is done with every status of success that has an object', async (t) => {
  for (const status of [200, 201, 299]) {
    t.strictSame(await callKeystone(scriptHttp({ status, body: { a: 1 } }).http, caller, projects), { a: 1 });
  }
});

void t.test('every other response to a call is an error that names what was asked for', async (t) => {
  const call = (response: ScriptedResponse): Promise<unknown> =>
    callKeystone(scriptHttp(response).http, caller, projects);
  await t.rejects(call({ status: 401, body: { error: {} } }), {
    code: 'auth-rejected',
    message: 'Keystone no longer accepts the cached token',
    hint: /^get a new one with --force-refresh; /,
  });
  await t.rejects(call({ status: 403, body: { error: {} } }), {
    code: 'auth-rejected',
    message: 'Keystone denies the owner of this token the projects',
    hint: /use another project/,
  });
  await t.rejects(call({ status: 200, body: 'a page' }), { code: 'not-keystone' });
  await t.rejects(call({ status: 300, body: {} }), { code: 'not-keystone' });
  await t.rejects(call({ status: 199, body: {} }), { code: 'not-keystone' });
  await t.rejects(call({ status: 404, body: {} }), {
    code: 'not-keystone',
    message: `no Keystone v3 answers at ${ENDPOINT}`,
  });
  await t.rejects(call({ status: 404, body: '' }), {
    code: 'protocol',
    message: 'this Keystone does not list the projects: it has no v3/auth/projects',
  });
});
