// Responses of an identity provider that contain no token, and the requests to it, with a stand-in, because a real
// provider cannot be made to fail. A failed run prints one line that says what to do, sends one request, and prints no
// HTML or secret.

import t from 'tap';
import type { Test } from 'tap';
import { startOnTerminal, readStdout } from '../support/browser-login.ts';
import { respondJson } from '../support/stand-in-faults.ts';
import { checkFailure, checkSuccess, EXIT_STATUS, readExecCredential } from '../support/check-run.ts';
import { startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture, Needs } from '../support/fixture.ts';
import type { EnvVars } from '../support/home.ts';
import { runBundles } from '../support/run-bundles.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { makeErrorResponse, startStandInProvider, makeTokenResponse } from '../support/stand-in-provider.ts';
import type { ProviderResponse, StandInProvider } from '../support/stand-in-provider.ts';

const PASSWORD = 'canary-of-the-provider';
const SECRET = 'canary~of+the client%';

/** Sets up alice, who logs in at the provider with her password and uses its access token. */
function setUpAlice(t: Test, { url }: StandInProvider, needs: Needs = {}): Fixture {
  const settings = {
    OS_AUTH_TYPE: 'v3oidcpassword',
    CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'access_token',
    OS_DISCOVERY_ENDPOINT: `${url}/.well-known/openid-configuration`,
    OS_CLIENT_ID: 'kubectl:1',
    OS_USERNAME: 'alice',
    OS_PASSWORD: PASSWORD,
  };
  return setUp(t, { settings, ...needs });
}

/** Logs in once, on a new machine. */
const run = (t: Test, idp: StandInProvider, changes: EnvVars = {}): Promise<RunResult> =>
  setUpAlice(t, idp).with(changes).run();

const posts = ({ requests }: StandInProvider): number => requests.filter(({ line }) => line.startsWith('POST')).length;

void t.test('a request to a provider has the form that RFC 6749 asks for', async (t) => {
  await t.test('a public client sends its ID in the form', async (t) => {
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
  await t.test('a client with a secret sends both in a header', async (t) => {
    const idp = await startStandInProvider(t);
    checkSuccess(t, await run(t, idp, { OS_CLIENT_SECRET: SECRET, OS_OPENID_SCOPE: 'openid email' }));
    const [, request] = idp.requests;
    const message = Buffer.from(request?.headers.authorization?.replace('Basic ', '') ?? '', 'base64').toString();
    t.equal(message, 'kubectl%3A1:canary~of%2Bthe+client%25');
    t.equal(request?.form['client_id'], undefined);
    t.equal(request?.form['scope'], 'openid email');
  });
  await t.test('a provider can expect the secret in the form', async (t) => {
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

void t.test('an answer of the token endpoint without a token is explained', async (t) => {
  const html = '<html><body>Sign in to the network</body></html>';
  const refusals: Readonly<Record<string, ProviderFailure>> = {
    'the error is invalid_grant': {
      answer: makeErrorResponse('invalid_grant', `no ${PASSWORD} here`),
      says: ['no [redacted] here', 'check the'],
    },
    'the error is invalid_client': {
      answer: makeErrorResponse('invalid_client', undefined, 401),
      says: ['OS_CLIENT_ID and OS_CLIENT_SECRET'],
    },
    'the error is unauthorized_client': {
      answer: makeErrorResponse('unauthorized_client'),
      says: ['is not allowed to use this auth method', 'OS_AUTH_TYPE'],
    },
    'the error is unsupported_grant_type': {
      answer: makeErrorResponse('unsupported_grant_type'),
      says: ['does not support this auth method'],
    },
    'the error is invalid_scope': { answer: makeErrorResponse('invalid_scope'), says: ['check OS_OPENID_SCOPE'] },
    'the error is access_denied': {
      answer: makeErrorResponse('access_denied', undefined, 403),
      says: ['the login was denied'],
    },
    'Keycloak rejects the secret of the client': {
      answer: makeErrorResponse('unauthorized_client', 'Invalid client or Invalid client credentials', 401),
      says: ["the client's secret is wrong, or this client is not allowed", 'check OS_CLIENT_ID and OS_CLIENT_SECRET'],
    },
    'Keycloak rejects a wrong password': {
      answer: makeErrorResponse('invalid_grant', 'Invalid user credentials', 401),
      says: ['wrong or already used credentials, or a locked account'],
    },
    'Keycloak wants the user to do something first': {
      answer: makeErrorResponse('invalid_grant', 'Account is not fully set up'),
      says: ['requires an action of its user first', 'log in there with a browser once'],
    },
    'Keycloak knows the account as disabled': {
      answer: makeErrorResponse('invalid_grant', 'Account disabled'),
      says: ['the account is disabled (invalid_grant Account disabled); ask its operator'],
    },
    'Keycloak gives this user no offline token': {
      answer: makeErrorResponse('not_allowed', 'Offline tokens not allowed for the user or client'),
      says: ['does not grant these scopes to this user', 'remove offline_access from OS_OPENID_SCOPE'],
    },
    'Dex rejects a wrong password': {
      answer: makeErrorResponse('access_denied', 'Invalid username or password', 401),
      says: ['wrong credentials (access_denied Invalid username or password)', 'check the credentials'],
    },
    'Dex requires the scope openid': {
      answer: makeErrorResponse('invalid_request', 'Missing required scope(s) ["openid"].'),
      says: ['it requires the scope openid', 'add openid to OS_OPENID_SCOPE'],
    },
    'Dex does not know a scope': {
      answer: makeErrorResponse('invalid_request', 'Unrecognized scope(s) ["nonsense"]'),
      says: ['it does not grant these scopes', 'check OS_OPENID_SCOPE'],
    },
    'Hydra expects the secret of this client in the form': {
      answer: makeErrorResponse(
        'invalid_client',
        "The OAuth 2.0 Client supports client authentication method 'client_secret_post', but method " +
          "'client_secret_basic' was requested.",
        401,
      ),
      says: ['it expects the secret of this client in another place than a header', 'allow client_secret_basic'],
    },
    'Hydra does not let the client ask for a scope': {
      answer: makeErrorResponse('invalid_scope', "The OAuth 2.0 Client is not allowed to request scope 'z'."),
      says: ['it does not grant these scopes', "scope 'z'", 'check OS_OPENID_SCOPE'],
    },
    'Keycloak has no such realm': {
      answer: { status: 404, body: { error: 'Realm does not exist' } },
      says: ['answered with status 404 (Realm does not exist)', 'check OS_DISCOVERY_ENDPOINT'],
      status: EXIT_STATUS.protocol,
    },
    'the error has status 200': { answer: makeErrorResponse('invalid_grant', undefined, 200), says: ['invalid_grant'] },
    'the error is one that nobody knows': {
      answer: makeErrorResponse('\u001b[2Jworse', 'x'.repeat(999)),
      says: ['it refused the login', '\\u{1b}[2Jworse x'],
    },
    'a captive portal answers': {
      answer: { body: html },
      says: ['answered with HTML', 'sign in to the network'],
      status: EXIT_STATUS.protocol,
    },
    'another page answers': {
      answer: { status: 404, body: html },
      says: ['HTML', 'OS_DISCOVERY_ENDPOINT'],
      status: EXIT_STATUS.protocol,
    },
    'the answer is not an object': {
      answer: { body: [] },
      says: ['answered with no JSON object'],
      status: EXIT_STATUS.protocol,
    },
    'the answer has no token': { answer: { body: { token_type: 'Bearer' } }, says: ['returned no access_token'] },
    'the token is not valid in a header': {
      answer: makeTokenResponse({ access_token: 'a\r\nb' }),
      says: ['not valid in an HTTP header'],
      status: EXIT_STATUS.protocol,
    },
    'the provider limits the rate': {
      answer: { status: 429, headers: { 'retry-after': '99' }, body: { error: 'x' } },
      says: ['the identity provider limits the rate', 'Retry-After: 99'],
      status: EXIT_STATUS.unreachable,
    },
    'the provider fails': {
      answer: { status: 500, body: html },
      says: ['failed with error 500'],
      status: EXIT_STATUS.unreachable,
    },
    'the provider redirects to another server': {
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

void t.test('a discovery document that cannot be used is explained before anything is sent', async (t) => {
  const documents: Readonly<
    Record<string, { discovery: object; says: readonly (string | RegExp)[]; status?: number }>
  > = {
    'the grant type is missing': {
      discovery: { grant_types_supported: ['authorization_code', 'implicit'] },
      says: ['does not support this auth method (password)', 'it offers authorization_code, implicit'],
    },
    'the endpoint is missing': { discovery: { token_endpoint: undefined }, says: ['has no token_endpoint'] },
    'the issuer is missing': {
      discovery: { issuer: undefined },
      says: ['has no issuer'],
      status: EXIT_STATUS.protocol,
    },
    'the issuer is another one': {
      discovery: { issuer: 'https://evil.example' },
      says: ['belongs to https://evil.example'],
      status: EXIT_STATUS.protocol,
    },
    'the endpoint is http://': {
      discovery: { token_endpoint: 'http://idp.example.com/token' },
      says: ["the discovery document's token_endpoint is http://", '--allow-http'],
      status: EXIT_STATUS.protocol,
    },
    'the endpoint is invalid': {
      discovery: { token_endpoint: 'ftp://x/' },
      says: ['token_endpoint cannot be used'],
      status: EXIT_STATUS.protocol,
    },
    'the endpoint has a user name': {
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
  await t.test('the document is an HTML page', async (t) => {
    const idp = await startStandInProvider(t);
    idp.discoveryResponse = { body: '<html></html>' };
    checkFailure(t, await run(t, idp), EXIT_STATUS.protocol, {
      says: ['answered with HTML', 'check OS_DISCOVERY_ENDPOINT'],
    });
    const short = await run(t, idp, { OS_DISCOVERY_ENDPOINT: idp.url });
    checkFailure(t, short, EXIT_STATUS.protocol, { says: ['which ends with /.well-known/openid-configuration'] });
    t.equal(posts(idp), 0);
  });
  await t.test('the document is not requested if the endpoint is set', async (t) => {
    const idp = await startStandInProvider(t);
    idp.discoveryResponse = { status: 500, body: '' };
    checkSuccess(t, await run(t, idp, { OS_ACCESS_TOKEN_ENDPOINT: `${idp.url}/token` }));
    t.equal(idp.requests.length, 1);
  });
});

void t.test('invalid settings are reported before any request', async (t) => {
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

void t.test("the lifetime of a provider's token is what the provider or the token says", async (t) => {
  const makeJwt = (claims: object): string => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.y`;
  // The clock stands still, so that times can be compared. It is a full second, as in the header Date.
  const now = Math.floor(Date.now() / 1000) * 1000;
  const expireIn = (seconds: number): object => ({ exp: now / 1000 + seconds });
  const dateIn = (seconds: number): Record<string, string> => ({ date: new Date(now + seconds * 1000).toUTCString() });
  const lifetimes: Readonly<Record<string, readonly [answer: ProviderResponse, seconds: number]>> = {
    'expires_in is a number': [makeTokenResponse({ expires_in: 900 }), 900],
    'expires_in is a string': [makeTokenResponse({ expires_in: '900' }), 900],
    'the JWT has an expiry': [makeTokenResponse({ access_token: makeJwt(expireIn(600)) }), 600],
    'nothing has an expiry': [makeTokenResponse({ expires_in: undefined }), 300],
    'the clock of the provider is ahead': [
      { ...makeTokenResponse({ access_token: makeJwt(expireIn(4_200)) }), headers: dateIn(3_600) },
      600,
    ],
  };
  for (const [name, [answer, seconds]] of Object.entries(lifetimes)) {
    await t.test(name, async (t) => {
      const idp = await startStandInProvider(t);
      idp.tokenResponses = [{ ...answer, headers: answer.headers ?? dateIn(0) }];
      const alice = setUpAlice(t, idp, { runner: (run) => runBundles(run, { now: () => now }) });
      const { expirationTimestamp } = checkSuccess(t, await alice.run());
      const livesMs = Date.parse(expirationTimestamp) - now;
      t.ok(Math.abs(livesMs - seconds * 1000) <= 1_000, `${Math.round(livesMs / 1000)} s`);
    });
  }
});

/** A runner whose clock is ahead by a number of seconds, which the test can change. */
function makeTimeMachine(): { runner: (run: Parameters<typeof runBundles>[0]) => Promise<RunResult>; ahead: number } {
  const machine = {
    ahead: 0,
    runner: (run: Parameters<typeof runBundles>[0]) =>
      runBundles(run, { now: () => Date.now() + machine.ahead * 1000 }),
  };
  return machine;
}

void t.test('a refresh token is sent once, and only to its issuer', async (t) => {
  const idp = await startStandInProvider(t);
  const machine = makeTimeMachine();
  const alice = setUpAlice(t, idp, { runner: machine.runner });
  const withoutPassword = alice.with({ OS_PASSWORD: undefined });
  idp.tokenResponses = [
    makeTokenResponse({ expires_in: 600, refresh_token: 'first-refresh' }),
    makeTokenResponse({ access_token: 'second', expires_in: 600, refresh_token: 'second-refresh' }),
    makeTokenResponse({ access_token: 'third', expires_in: 3600 }),
    { status: 503, body: '' },
  ];
  checkSuccess(t, await alice.run());
  for (const token of ['second', 'third']) {
    machine.ahead += 601;
    t.equal(checkSuccess(t, await withoutPassword.run()).token, token, 'without a password');
  }
  checkSuccess(t, await withoutPassword.run());
  const forms = idp.requests.filter(({ line }) => line === 'POST /token').map(({ form }) => form);
  t.strictSame(forms.slice(1), [
    { client_id: 'kubectl:1', grant_type: 'refresh_token', refresh_token: 'first-refresh' },
    { client_id: 'kubectl:1', grant_type: 'refresh_token', refresh_token: 'second-refresh' },
  ]);

  const before = posts(idp);
  checkFailure(t, await alice.run('--force-refresh'), EXIT_STATUS.unreachable, { says: ['failed with error 503'] });
  t.equal(
    posts(idp),
    before + 1,
    'the refresh token is never sent twice, and a provider that is down gets no further request',
  );

  // Another server must not receive this refresh token. In a process of its own, because the run could prompt.
  const evil = await startStandInProvider(t);
  const redirected = setUp(t, {
    home: alice.home,
    settings: { ...withoutPassword.settings, OS_ACCESS_TOKEN_ENDPOINT: `${evil.url}/token` },
  });
  checkFailure(t, await redirected.run(), EXIT_STATUS.interaction, { says: ['password is not set'] });
  t.equal(evil.requests.length, 0);
});

void t.test('the user is prompted for a name only once', async (t) => {
  const idp = await startStandInProvider(t);
  const machine = makeTimeMachine();
  idp.tokenResponses = [
    makeTokenResponse({ expires_in: 600, refresh_token: 'of-alice' }),
    makeTokenResponse({ access_token: 'next', expires_in: 3600 }),
  ];
  const alice = setUpAlice(t, idp, { runner: machine.runner }).with({ OS_USERNAME: undefined, OS_PASSWORD: undefined });
  const terminal = startOnTerminal(t, alice);
  await terminal.waitFor(`User name at ${idp.url}`);
  terminal.type('alice\r');
  await terminal.waitFor(new RegExp(`Password .*at ${idp.url}`));
  terminal.type(`${PASSWORD}\r`);
  t.equal((await terminal.ended).exitCode, 0, terminal.screen());
  readExecCredential(t, readStdout(alice));
  t.notMatch(terminal.screen(), /Project|canary/, "a provider's token has no project");
  machine.ahead = 601;
  t.equal(checkSuccess(t, await alice.run()).token, 'next');
  t.strictSame(checkSuccess(t, await alice.run()).token, 'next');
  t.equal(posts(idp), 2);
});

void t.test('a new refresh token is stored even if Keystone then fails', async (t) => {
  const idp = await startStandInProvider(t);
  const keystone = await startKeystoneForTest(t);
  const tokenResponse = respondJson(
    201,
    { token: { methods: ['openid'], user: { id: 'a', name: 'alice' }, expires_at: '2099-01-01T00:00:00Z' } },
    { 'x-subject-token': 'gAAAA-of-the-stand-in' },
  );
  const alice = setUpAlice(t, idp).with({
    CLIENT_KEYSTONE_AUTH_TOKEN_KIND: undefined,
    OS_AUTH_URL: `${keystone.url}/v3`,
    OS_IDENTITY_PROVIDER: 'a/b c',
    OS_PROTOCOL: 'openid',
  });
  const renew = (): Promise<RunResult> => alice.with({ OS_PASSWORD: undefined }).run('--force-refresh');
  idp.tokenResponses = ['one', 'two', 'three'].map((word) => makeTokenResponse({ refresh_token: word }));
  keystone.answerAlways(tokenResponse);
  const unscoped = ['the token has no scope'];
  checkSuccess(t, await alice.run(), unscoped);
  keystone.answerAlways(respondJson(500, {}));
  checkFailure(t, await renew(), EXIT_STATUS.unreachable, { says: ['Keystone failed with error 500'] });
  keystone.answerAlways(tokenResponse);
  checkSuccess(t, await renew(), unscoped);
  const refreshes = idp.requests.map(({ form }) => form['refresh_token']).filter((word) => word !== undefined);
  t.strictSame(refreshes, ['one', 'two']);
  const path = '/v3/OS-FEDERATION/identity_providers/a%2Fb%20c/protocols/openid/auth';
  t.ok(keystone.requests.every((request) => request.path === path && request.method === 'POST'));
  t.equal(keystone.requests[0]?.headers.authorization, 'Bearer access-of-the-stand-in');
});

void t.test('the clock of a provider that sends no Date is known from the lifetime of its token', async (t) => {
  const idp = await startStandInProvider(t);
  idp.sendsDate = false;
  for (const aheadMs of [3_600_000, -3_600_000]) {
    const now = Date.now();
    const exp = Math.floor((now + aheadMs) / 1000) + 300;
    const token = `eyJhbGciOiJub25lIn0.${Buffer.from(JSON.stringify({ exp })).toString('base64url')}.c2ln`;
    idp.tokenResponses = [makeTokenResponse({ access_token: token, expires_in: 300 })];
    const alice = setUpAlice(t, idp, { runner: (login) => runBundles(login, { now: () => now }) });
    const { expirationTimestamp } = checkSuccess(t, await alice.run());
    t.ok(Math.abs(Date.parse(expirationTimestamp) - now - 300_000) <= 1000, expirationTimestamp);
  }
});
