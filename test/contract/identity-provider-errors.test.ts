// Responses of an identity provider that contain no token, and the requests to it, with a stand-in, because a real
// provider cannot be made to fail. A failed run prints one line that says what to do, sends one request, and prints no
// HTML or secret.

import t from 'tap';
import type { Test } from 'tap';
import { respondJson } from '../support/stand-in-faults.ts';
import { checkFailure, checkSuccess, EXIT_STATUS, startKeystoneForTest } from '../support/check-run.ts';
import { makeEnvironment, makeTestHome } from '../support/home.ts';
import { PLUGIN_PATH, runPlugin } from '../support/run-plugin.ts';
import type { RunResult } from '../support/run-plugin.ts';
import type { EnvVars } from '../support/home.ts';
import { makeErrorResponse, startStandInProvider, makeTokenResponse } from '../support/stand-in-provider.ts';
import type { ProviderResponse, StandInProvider } from '../support/stand-in-provider.ts';
import { openTerminal } from '../support/terminal.ts';

t.setTimeout(170_000);

const PASSWORD = 'canary-of-the-provider';
const SECRET = 'canary~of+the client%';

function envFor({ url }: StandInProvider): EnvVars {
  return {
    OS_AUTH_TYPE: 'v3oidcpassword',
    CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'access_token',
    OS_DISCOVERY_ENDPOINT: `${url}/.well-known/openid-configuration`,
    OS_CLIENT_ID: 'kubectl:1',
    OS_USERNAME: 'alice',
    OS_PASSWORD: PASSWORD,
  };
}

const run = (t: Test, idp: StandInProvider, env: EnvVars = {}, args: readonly string[] = []): Promise<RunResult> =>
  runPlugin({ home: makeTestHome(t), env: { ...envFor(idp), ...env }, args });

const posts = ({ requests }: StandInProvider): number => requests.filter(({ line }) => line.startsWith('POST')).length;

void t.test('the requests to a provider', async (t) => {
  await t.test('a public client', async (t) => {
    const idp = await startStandInProvider(t);
    checkSuccess(t, await run(t, idp));
    t.match(idp.requests[1]?.headers, {
      'content-type': 'application/x-www-form-urlencoded',
      authorization: undefined,
    });
    t.strictSame(idp.requests[1]?.form, {
      client_id: 'kubectl:1',
      username: 'alice',
      password: PASSWORD,
      scope: 'openid profile',
      grant_type: 'password',
    });
  });
  await t.test('a client with a secret', async (t) => {
    const idp = await startStandInProvider(t);
    checkSuccess(t, await run(t, idp, { OS_CLIENT_SECRET: SECRET, OS_OPENID_SCOPE: 'openid email' }));
    const [, request] = idp.requests;
    const message = Buffer.from(request?.headers.authorization?.replace('Basic ', '') ?? '', 'base64').toString();
    t.equal(message, 'kubectl%3A1:canary~of%2Bthe+client%25');
    t.equal(request?.form['client_id'], undefined);
    t.equal(request?.form['scope'], 'openid email');
  });
  await t.test('a provider that expects the secret in the form', async (t) => {
    const idp = await startStandInProvider(t);
    idp.discovery = { token_endpoint_auth_methods_supported: ['client_secret_post'] };
    checkSuccess(t, await run(t, idp, { OS_CLIENT_SECRET: SECRET }));
    t.match(idp.requests[1]?.form, { client_id: 'kubectl:1', client_secret: SECRET });
    t.equal(idp.requests[1]?.headers.authorization, undefined);
  });
});

interface ProviderFailure {
  readonly answer: ProviderResponse;
  readonly says: readonly (string | RegExp)[];
  readonly status?: number;
}

void t.test('the token endpoint refuses', async (t) => {
  const html = '<html><body>Sign in to the network</body></html>';
  const refusals: Readonly<Record<string, ProviderFailure>> = {
    invalid_grant: {
      answer: makeErrorResponse('invalid_grant', `no ${PASSWORD} here`),
      says: ['no [redacted] here', 'check the'],
    },
    invalid_client: {
      answer: makeErrorResponse('invalid_client', undefined, 401),
      says: ['OS_CLIENT_ID and OS_CLIENT_SECRET'],
    },
    unauthorized_client: {
      answer: makeErrorResponse('unauthorized_client'),
      says: ['is not allowed to use this auth method', 'OS_AUTH_TYPE'],
    },
    unsupported_grant_type: {
      answer: makeErrorResponse('unsupported_grant_type'),
      says: ['does not support this auth method'],
    },
    invalid_scope: { answer: makeErrorResponse('invalid_scope'), says: ['check OS_OPENID_SCOPE'] },
    access_denied: { answer: makeErrorResponse('access_denied', undefined, 403), says: ['the login was denied'] },
    'with status 200': { answer: makeErrorResponse('invalid_grant', undefined, 200), says: ['invalid_grant'] },
    unheard: {
      answer: makeErrorResponse('\u001b[2Jworse', 'x'.repeat(999)),
      says: ['it refused the login', '\\u{1b}[2Jworse x'],
    },
    'a captive portal': {
      answer: { body: html },
      says: ['answered with HTML', 'sign in to the network'],
      status: EXIT_STATUS.protocol,
    },
    'another page': {
      answer: { status: 404, body: html },
      says: ['HTML', 'OS_DISCOVERY_ENDPOINT'],
      status: EXIT_STATUS.protocol,
    },
    'not JSON': { answer: { body: [] }, says: ['answered with no JSON object'], status: EXIT_STATUS.protocol },
    'no token': { answer: { body: { token_type: 'Bearer' } }, says: ['returned no access_token'] },
    'a token that is not valid in a header': {
      answer: makeTokenResponse({ access_token: 'a\r\nb' }),
      says: ['not valid in an HTTP header'],
      status: EXIT_STATUS.protocol,
    },
    'too many requests': {
      answer: { status: 429, headers: { 'retry-after': '99' }, body: { error: 'x' } },
      says: ['the identity provider limits the rate', 'Retry-After: 99'],
      status: EXIT_STATUS.unreachable,
    },
    'a server error': {
      answer: { status: 500, body: html },
      says: ['failed with error 500'],
      status: EXIT_STATUS.unreachable,
    },
    elsewhere: {
      answer: { status: 307, headers: { location: 'https://evil.example/token' }, body: '' },
      says: ['the identity provider at', 'redirects to https://evil.example; the credential was not sent there'],
      status: EXIT_STATUS.protocol,
    },
  };
  for (const [name, { answer, says, status = EXIT_STATUS.refused }] of Object.entries(refusals)) {
    await t.test(name, async (t) => {
      const idp = await startStandInProvider(t);
      idp.tokenResponses = [answer];
      const result = await run(t, idp);
      checkFailure(t, result, status, { says });
      t.notMatch(result.stderr, /[<>]|canary/, 'no HTML and no secret');
      t.equal(posts(idp), 1, 'one request is sent');
    });
  }
});

void t.test('the discovery document', async (t) => {
  const documents: Readonly<
    Record<string, { discovery: object; says: readonly (string | RegExp)[]; status?: number }>
  > = {
    'without the grant type': {
      discovery: { grant_types_supported: ['authorization_code', 'implicit'] },
      says: ['does not support this auth method (password)', 'it offers authorization_code, implicit'],
    },
    'without the endpoint': { discovery: { token_endpoint: undefined }, says: ['has no token_endpoint'] },
    'without an issuer': { discovery: { issuer: undefined }, says: ['has no issuer'], status: EXIT_STATUS.protocol },
    "is another's": {
      discovery: { issuer: 'https://evil.example' },
      says: ['belongs to https://evil.example'],
      status: EXIT_STATUS.protocol,
    },
    'with an http:// endpoint': {
      discovery: { token_endpoint: 'http://idp.example.com/token' },
      says: ["the discovery document's token_endpoint is http://", '--allow-http'],
      status: EXIT_STATUS.protocol,
    },
    'with an invalid endpoint': {
      discovery: { token_endpoint: 'ftp://x/' },
      says: ['token_endpoint cannot be used'],
      status: EXIT_STATUS.protocol,
    },
    'with a user name in the endpoint': {
      discovery: { token_endpoint: 'https://idp.example.com@evil.example/' },
      says: ['token_endpoint cannot be used'],
      status: EXIT_STATUS.protocol,
    },
  };
  for (const [name, { discovery, says, status = EXIT_STATUS.refused }] of Object.entries(documents)) {
    await t.test(name, async (t) => {
      const idp = await startStandInProvider(t);
      idp.discovery = { ...discovery };
      checkFailure(t, await run(t, idp), status, { says });
      t.equal(posts(idp), 0, 'nothing is sent');
    });
  }
  await t.test('is an HTML page', async (t) => {
    const idp = await startStandInProvider(t);
    idp.discoveryResponse = { body: '<html></html>' };
    checkFailure(t, await run(t, idp), EXIT_STATUS.protocol, {
      says: ['answered with HTML', 'check OS_DISCOVERY_ENDPOINT'],
    });
    const short = await run(t, idp, { OS_DISCOVERY_ENDPOINT: idp.url });
    checkFailure(t, short, EXIT_STATUS.protocol, { says: ['which ends with /.well-known/openid-configuration'] });
    t.equal(posts(idp), 0);
  });
  await t.test('is not requested if the endpoint is set', async (t) => {
    const idp = await startStandInProvider(t);
    idp.discoveryResponse = { status: 500, body: '' };
    checkSuccess(t, await run(t, idp, { OS_ACCESS_TOKEN_ENDPOINT: `${idp.url}/token` }));
    t.equal(idp.requests.length, 1);
  });
});

void t.test('invalid settings', async (t) => {
  const idp = await startStandInProvider(t);
  const settings: readonly (readonly [EnvVars, readonly string[]])[] = [
    [{ OS_ACCESS_TOKEN_ENDPOINT: 'http://idp.example.com/token' }, ['OS_ACCESS_TOKEN_ENDPOINT is http://']],
    [{ OS_DISCOVERY_ENDPOINT: 'idp.example.com' }, ['OS_DISCOVERY_ENDPOINT is not a URL']],
    [{ OS_AUTH_TYPE: 'password' }, ['CLIENT_KEYSTONE_AUTH_TOKEN_KIND asks for a token of the identity provider']],
    [{ CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'token' }, ['must be id_token or access_token']],
  ];
  for (const [env, says] of settings) checkFailure(t, await run(t, idp, env), EXIT_STATUS.config, { says });
  t.equal(idp.requests.length, 0);
});

void t.test("the lifetime of a provider's token", async (t) => {
  const jwt = (claims: object): string => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.y`;
  const now = (): number => Math.floor(Date.now() / 1000);
  const lifetimes: Readonly<Record<string, readonly [answer: () => ProviderResponse, seconds: number]>> = {
    'expires_in as a number': [() => makeTokenResponse({ expires_in: 900 }), 900],
    'expires_in as a string': [() => makeTokenResponse({ expires_in: '900' }), 900],
    'the expiry of the JWT': [() => makeTokenResponse({ access_token: jwt({ exp: now() + 600 }) }), 600],
    'no expiry': [() => makeTokenResponse({ expires_in: undefined }), 300],
    'a clock that is ahead': [
      () => ({
        ...makeTokenResponse({ access_token: jwt({ exp: now() + 4_200 }) }),
        headers: { date: new Date(Date.now() + 3_600_000).toUTCString() },
      }),
      600,
    ],
  };
  for (const [name, [answer, seconds]] of Object.entries(lifetimes)) {
    await t.test(name, async (t) => {
      const idp = await startStandInProvider(t);
      idp.tokenResponses = [answer()];
      const { expirationTimestamp } = checkSuccess(t, await run(t, idp));
      const livesMs = Date.parse(expirationTimestamp) - Date.now();
      t.ok(Math.abs(livesMs - seconds * 1000) < 10_000, `${Math.round(livesMs / 1000)} s`);
    });
  }
});

void t.test('a refresh token is sent once, and only to its issuer', async (t) => {
  const idp = await startStandInProvider(t);
  const home = makeTestHome(t);
  const env: EnvVars = envFor(idp);
  const withoutPassword: EnvVars = { ...env, OS_PASSWORD: undefined };
  idp.tokenResponses = [
    makeTokenResponse({ expires_in: 2, refresh_token: 'first-refresh' }),
    makeTokenResponse({ access_token: 'second', expires_in: 2, refresh_token: 'second-refresh' }),
    makeTokenResponse({ access_token: 'third', expires_in: 3600 }),
    { status: 503, body: '' },
  ];
  checkSuccess(t, await runPlugin({ home, env }));
  for (const token of ['second', 'third']) {
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    t.equal(checkSuccess(t, await runPlugin({ home, env: withoutPassword })).token, token, 'without a password');
  }
  checkSuccess(t, await runPlugin({ home, env: withoutPassword }));
  const forms = idp.requests.filter(({ line }) => line === 'POST /token').map(({ form }) => form);
  t.strictSame(forms.slice(1), [
    { client_id: 'kubectl:1', grant_type: 'refresh_token', refresh_token: 'first-refresh' },
    { client_id: 'kubectl:1', grant_type: 'refresh_token', refresh_token: 'second-refresh' },
  ]);

  const before = posts(idp);
  const down = await runPlugin({ home, env, args: ['--force-refresh'] });
  checkFailure(t, down, EXIT_STATUS.unreachable, { says: ['failed with error 503'] });
  t.equal(
    posts(idp),
    before + 1,
    'the refresh token is never sent twice, and a provider that is down gets no further request',
  );

  // Another server must not receive this refresh token.
  const evil = await startStandInProvider(t);
  const redirected = await runPlugin({
    home,
    env: { ...withoutPassword, OS_ACCESS_TOKEN_ENDPOINT: `${evil.url}/token` },
  });
  checkFailure(t, redirected, EXIT_STATUS.interaction, { says: ['password is not set'] });
  t.equal(evil.requests.length, 0);
});

void t.test('a name is prompted for only once', async (t) => {
  const idp = await startStandInProvider(t);
  const home = makeTestHome(t);
  idp.tokenResponses = [
    makeTokenResponse({ expires_in: 2, refresh_token: 'of-alice' }),
    makeTokenResponse({ access_token: 'next' }),
  ];
  const env: EnvVars = { ...envFor(idp), OS_USERNAME: undefined, OS_PASSWORD: undefined };
  const terminal = openTerminal({
    file: process.execPath,
    args: [PLUGIN_PATH],
    env: makeEnvironment(home, env),
    cwd: home.path,
    cols: 200,
  });
  t.teardown(() => terminal.close());
  await terminal.waitFor(`User name at ${idp.url}`);
  terminal.type('alice\r');
  await terminal.waitFor(`Password at ${idp.url}`);
  terminal.type(`${PASSWORD}\r`);
  t.equal((await terminal.ended).exitCode, 0, terminal.screen());
  t.notMatch(terminal.screen(), /Project|canary/, "a provider's token has no project");
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  t.equal(checkSuccess(t, await runPlugin({ home, env })).token, 'next');
  t.strictSame(checkSuccess(t, await runPlugin({ home, env })).token, 'next');
  t.equal(posts(idp), 2);
});

void t.test('a new refresh token is stored even if Keystone then fails', async (t) => {
  const idp = await startStandInProvider(t);
  const keystone = await startKeystoneForTest(t);
  const home = makeTestHome(t);
  const tokenResponse = respondJson(
    201,
    { token: { methods: ['openid'], user: { id: 'a', name: 'alice' }, expires_at: '2099-01-01T00:00:00Z' } },
    { 'x-subject-token': 'gAAAA-of-the-stand-in' },
  );
  const env: EnvVars = {
    ...envFor(idp),
    CLIENT_KEYSTONE_AUTH_TOKEN_KIND: undefined,
    OS_AUTH_URL: `${keystone.url}/v3`,
    OS_IDENTITY_PROVIDER: 'a/b c',
    OS_PROTOCOL: 'openid',
  };
  const withoutPassword: EnvVars = { ...env, OS_PASSWORD: undefined };
  const again = { home, env: withoutPassword, args: ['--force-refresh'] };
  idp.tokenResponses = ['one', 'two', 'three'].map((word) => makeTokenResponse({ refresh_token: word }));
  keystone.answerAlways(tokenResponse);
  const unscoped = ['the token has no scope'];
  checkSuccess(t, await runPlugin({ home, env }), unscoped);
  keystone.answerAlways(respondJson(500, {}));
  checkFailure(t, await runPlugin(again), EXIT_STATUS.unreachable, { says: ['Keystone failed with error 500'] });
  keystone.answerAlways(tokenResponse);
  checkSuccess(t, await runPlugin(again), unscoped);
  const refreshes = idp.requests.map(({ form }) => form['refresh_token']).filter((word) => word !== undefined);
  t.strictSame(refreshes, ['one', 'two']);
  const path = '/v3/OS-FEDERATION/identity_providers/a%2Fb%20c/protocols/openid/auth';
  t.ok(keystone.requests.every((request) => request.path === path && request.method === 'POST'));
  t.equal(keystone.requests[0]?.headers.authorization, 'Bearer access-of-the-stand-in');
});
