import t from 'tap';
import type { Test } from 'tap';
import { KeystoneProtocolError } from '../../src/shared/base/errors.ts';
import { openHttpClient } from '../../src/shared/http/http-client.ts';
import { logInWithDevice } from '../../src/shared/oidc/device-authorization.ts';
import type { Clock } from '../../src/shared/base/clock.ts';
import type { DeviceLogin, DeviceInstructions } from '../../src/shared/oidc/device-authorization.ts';
import { resolveProvider } from '../../src/shared/oidc/provider.ts';
import type { OAuthTokens } from '../../src/shared/oidc/token-request.ts';
import { fakeHost } from '../support/fake-host.ts';
import { makeErrorResponse, startStandInProvider, makeTokenResponse } from '../support/stand-in-provider.ts';
import type { StandInProvider } from '../support/stand-in-provider.ts';

const PENDING = makeErrorResponse('authorization_pending');

interface DeviceLoginResult {
  readonly tokens: OAuthTokens;
  readonly invitations: readonly DeviceInstructions[];
  /** The waits before the polls, in ms. */
  readonly waits: readonly number[];
}

/** A clock on which a wait is over at once. */
function makeHastyClock(): Clock & { readonly waits: readonly number[] } {
  const waits: number[] = [];
  return {
    waits,
    monotonicMs: () => waits.reduce((sum, ms) => sum + ms, 0),
    startTimer(ms, task) {
      waits.push(ms);
      task();
      return () => undefined;
    },
  };
}

async function logIn(t: Test, idp: StandInProvider, more: Partial<DeviceLogin> = {}): Promise<DeviceLoginResult> {
  const http = await openHttpClient({
    host: fakeHost({ now: Date.now }),
    tls: {
      insecure: false,
      ca: undefined,
      systemAuthorities: [],
      cert: undefined,
      key: undefined,
      files: [],
      paths: {},
    },
    trustedOrigins: undefined,
    chooseProxy: () => ({ proxy: undefined, because: 'a test' }),
    userAgent: 'test',
    deadlineMs: 300_000,
    log: () => undefined,
  });
  t.teardown(() => http.close());
  const discovery = { url: `${idp.url}/.well-known/openid-configuration`, origin: 'OS_DISCOVERY_ENDPOINT' };
  const provider = await resolveProvider(
    http,
    { discovery, endpoints: {}, allowHttp: false },
    { grant: 'urn:ietf:params:oauth:grant-type:device_code', endpoints: ['device_authorization', 'token'] },
  );
  const invitations: DeviceInstructions[] = [];
  const clock = makeHastyClock();
  const tokens = await logInWithDevice(http, provider, {
    client: { id: 'kubectl', secret: undefined },
    scope: 'openid profile',
    usesPkce: false,
    subject: 'the user in the browser',
    loginTimeoutMs: 60_000,
    showInstructions: (invitation) => invitations.push(invitation),
    clock,
    ...more,
  });
  return { tokens, invitations, waits: clock.waits };
}

const polls = ({ requests }: StandInProvider): StandInProvider['requests'] =>
  requests.filter(({ line }) => line === 'POST /token');

void t.test('the login polls until the provider has a token, and waits before each poll', async (t) => {
  const idp = await startStandInProvider(t);
  idp.tokenResponses = [PENDING, makeTokenResponse({ refresh_token: 'canary-refresh' })];
  const { tokens, invitations, waits } = await logIn(t, idp);
  t.equal(tokens.accessToken?.reveal(), 'access-of-the-stand-in');
  t.equal(tokens.refreshToken?.reveal(), 'canary-refresh');
  t.strictSame(invitations, [{ url: 'https://idp.example.com/device', hasCodeInUrl: false, userCode: 'WDJB-MJHT' }]);
  t.strictSame(waits, [1_000, 1_000], 'the interval of the provider before each poll');
  const [, authorization] = idp.requests;
  t.strictSame(authorization?.form, { client_id: 'kubectl', scope: 'openid profile' });
  t.strictSame(
    polls(idp).map(({ form }) => form),
    Array.from({ length: 2 }, () => ({
      client_id: 'kubectl',
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: 'canary-device-code',
    })),
  );
});

void t.test('slow_down and failures of the provider increase the interval permanently', async (t) => {
  const idp = await startStandInProvider(t);
  idp.tokenResponses = [makeErrorResponse('slow_down'), PENDING, makeTokenResponse()];
  const { waits } = await logIn(t, idp);
  t.equal(polls(idp).length, 3);
  t.strictSame(waits, [1_000, 6_000, 6_000]);

  const failing = await startStandInProvider(t);
  failing.tokenResponses = [{ status: 503, body: '<html>later</html>' }, makeTokenResponse()];
  const { tokens, waits: longer } = await logIn(t, failing);
  t.ok(tokens.accessToken);
  t.equal(polls(failing).length, 2);
  t.strictSame(longer, [1_000, 6_000]);
});

void t.test('PKCE binds the codes to this run', async (t) => {
  const idp = await startStandInProvider(t);
  await logIn(t, idp, { usesPkce: true });
  const challenge = idp.requests.find(({ line }) => line === 'POST /device')?.form;
  t.equal(challenge?.['code_challenge_method'], 'S256');
  const verifier = polls(idp)[0]?.form['code_verifier'] ?? '';
  t.match(verifier, /^[\w-]{43}$/);
  const digest = await crypto.subtle.digest('SHA-256', Buffer.from(verifier));
  t.equal(challenge?.['code_challenge'], Buffer.from(digest).toString('base64url'));
});

void t.test('the login fails if no user logs in within the time limit or the lifetime of the code', async (t) => {
  const idp = await startStandInProvider(t);
  idp.tokenResponses = [PENDING];
  const clock = makeHastyClock();
  await t.rejects(logIn(t, idp, { loginTimeoutMs: 2_500, clock }), {
    code: 'auth-rejected',
    message: 'the login of the user in the browser was not finished within 3 s',
    hint: /--login-timeout/,
  });
  t.strictSame(clock.waits, [1_000, 1_000], 'no wait goes beyond the time limit');
  t.equal(polls(idp).length, 2);
  const short = await startStandInProvider(t);
  short.tokenResponses = [PENDING];
  short.deviceResponse = { body: { ...(short.deviceResponse.body as object), expires_in: 1.5 } };
  await t.rejects(logIn(t, short), { message: /within 2 s/ }, 'the lifetime of the device code is also a limit');
});

void t.test('invalid responses are not shown to the user', async (t) => {
  const hostile = [
    { verification_uri: 'javascript:alert(1)' },
    { verification_uri: 'file:///etc/passwd' },
    { verification_uri: 'https://idp.example.com@evil.example/' },
    { verification_uri: `https://idp.example.com/${'a'.repeat(3_000)}` },
    { verification_uri: undefined },
    { user_code: undefined },
    { user_code: 'a'.repeat(101) },
    { device_code: undefined },
  ];
  for (const change of hostile) {
    const idp = await startStandInProvider(t);
    idp.deviceResponse = { body: { ...(idp.deviceResponse.body as object), ...change } };
    await t.rejects(logIn(t, idp), KeystoneProtocolError, JSON.stringify(change).slice(0, 80));
    t.equal(polls(idp).length, 0);
  }
  const odd = await startStandInProvider(t);
  odd.deviceResponse = {
    body: {
      ...(odd.deviceResponse.body as object),
      verification_uri_complete: 'https://idp.example.com/\u001b]52;c;x\u0007?a=b',
    },
  };
  const { invitations } = await logIn(t, odd);
  t.match(invitations[0]?.url, /^https:\/\/idp\.example\.com\/%1B\]52;c;x%07\?a=b$/, 'control characters are escaped');
});
