/** The error message for each response without a token, by status, headers and body. */
import t from 'tap';
import type { Test } from 'tap';
import { explainResponse } from '../../src/shared/keystone/explain-response.ts';
import type { AuthRequest } from '../../src/shared/keystone/auth-request.ts';

interface Row {
  /** Of the request. Default: that of a login. */
  readonly path?: string;
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly says: RegExp;
  readonly hint: RegExp;
  readonly code: string;
}

const request: AuthRequest = { verb: 'POST', path: 'auth/tokens', subject: 'alice on project demo', expected: {} };
const HTML = '<html><head><title>Sign in</title></head><body>canary</body></html>';
const html = { 'content-type': 'text/html; charset=utf-8' };

const error = (code: number, message: string, more: object = {}): unknown => ({
  error: { code, title: 'T', message, ...more },
});

const ROWS: Readonly<Record<string, Row>> = {
  'a missing domain': {
    status: 400,
    body: error(400, 'Expecting to find domain in user. The server could not comply with the request.'),
    says: /^Keystone rejected the request: Expecting to find domain in user/,
    hint: /^set OS_USER_DOMAIN_NAME$/,
    code: 'request-rejected',
  },
  "a project's missing domain": {
    status: 400,
    body: error(400, 'Expecting to find domain in project.'),
    says: /Expecting to find domain in project/,
    hint: /^set OS_PROJECT_DOMAIN_NAME$/,
    code: 'request-rejected',
  },
  'refused, and Keystone does not say why': {
    status: 401,
    body: error(401, 'The request you have made requires authentication.'),
    says: /alice on project demo: wrong credentials, disabled or locked account, or no role in the scope \(Keystone does not tell/,
    hint: /check user, password, domain/,
    code: 'auth-rejected',
  },
  'no role, as Rust Keystone says it': {
    status: 500,
    body: { error: { code: 500, message: 'internal server error: actor has no roles on scope' } },
    says: /^Keystone refused the login for alice on project demo: the user has no role there$/,
    hint: /^choose another project or domain/,
    code: 'auth-rejected',
  },
  "a user's domain that does not exist, as Rust Keystone says it": {
    status: 500,
    body: { error: { code: 500, message: 'internal server error: domain acme not found' } },
    says: /^Keystone does not find what the request names: domain acme not found$/,
    hint: /^check the names and IDs that you set$/,
    code: 'credential-unknown',
  },
  'an expired password': {
    status: 401,
    body: error(401, 'The password is expired and needs to be changed for user: 1234.'),
    says: /password of alice on project demo has expired/,
    hint: /openstack user password set/,
    code: 'password-expired',
  },
  'a receipt': {
    status: 401,
    headers: { 'openstack-auth-receipt': 'R' },
    body: {
      receipt: { methods: ['password'] },
      required_auth_methods: [
        ['password', 'totp'],
        ['password', 'x', 'y'],
      ],
    },
    says: /requires another factor from alice on project demo: totp, or x and y$/,
    hint: /./,
    code: 'factor-required',
  },
  'a disabled method': {
    status: 401,
    body: error(401, 'Attempted to authenticate with an unsupported method.', {
      identity: { methods: ['password', 'token'] },
    }),
    says: /does not offer this auth method/,
    hint: /it offers password, token/,
    code: 'method-not-offered',
  },
  'something unknown': {
    status: 404,
    body: error(404, 'Could not find Application Credential: 1.'),
    says: /does not find.*Application Credential: 1$/,
    hint: /./,
    code: 'credential-unknown',
  },
  'a token that cannot be exchanged': {
    status: 403,
    body: error(403, 'rescope a scoped token'),
    says: /forbids.*rescope a scoped token/,
    hint: /./,
    code: 'auth-rejected',
  },
  'the wrong path': {
    status: 404,
    headers: html,
    body: HTML,
    says: /^no Keystone v3 answers at http:\/\/k\/v3$/,
    hint: /OS_AUTH_URL/,
    code: 'not-keystone',
  },
  'the wrong path at Rust Keystone': {
    status: 404,
    body: '',
    says: /^no Keystone v3 answers at http:\/\/k\/v3$/,
    hint: /OS_AUTH_URL/,
    code: 'not-keystone',
  },
  'a federation at Rust Keystone': {
    path: 'OS-FEDERATION/identity_providers/corp/protocols/openid/auth',
    status: 404,
    body: '',
    says: /^this Keystone does not have the auth method: it has no v3\/OS-FEDERATION\/identity_providers\/corp\/protocols\/openid\/auth$/,
    hint: /^set another OS_AUTH_TYPE; Rust Keystone has v4federation and v4jwt/,
    code: 'protocol',
  },
  'a federation where there is no Keystone': {
    path: 'OS-FEDERATION/identity_providers/corp/protocols/openid/auth',
    status: 404,
    headers: html,
    body: HTML,
    says: /^no Keystone v3 answers at http:\/\/k\/v3$/,
    hint: /OS_AUTH_URL/,
    code: 'not-keystone',
  },
  'a rate limit': {
    status: 429,
    headers: { 'retry-after': '42' },
    body: error(429, 'Too many.'),
    says: /limits the rate/,
    hint: /^try again in 42 s$/,
    code: 'rate-limited',
  },
  'a rate limit until a date': {
    status: 429,
    headers: { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' },
    body: '',
    says: /limits the rate/,
    hint: /at Wed, 21 Oct 2026 07:28:00 GMT/,
    code: 'rate-limited',
  },
  'an error of the server': {
    status: 500,
    body: error(500, 'An unexpected error prevented the server.'),
    says: /^Keystone failed with error 500$/,
    hint: /again later/,
    code: 'unavailable',
  },
  'a gateway': {
    status: 503,
    headers: html,
    body: HTML,
    says: /unavailable \(503 from a proxy in front of it\)/,
    hint: /again later/,
    code: 'unavailable',
  },
  'a captive portal': {
    status: 200,
    headers: html,
    body: HTML,
    says: /^http:\/\/k\/v3 answered with HTML, which is not Keystone$/,
    hint: /sign in to the network/,
    code: 'not-keystone',
  },
  'text instead of JSON': {
    status: 200,
    headers: { 'content-type': 'text/plain' },
    body: 'canary',
    says: /answered with no JSON, which is not Keystone$/,
    hint: /OS_AUTH_URL/,
    code: 'not-keystone',
  },
  'the error format of other services': {
    status: 403,
    body: { errors: [{ title: 'Forbidden', detail: 'not from here' }] },
    says: /not from here/,
    hint: /./,
    code: 'auth-rejected',
  },
  "Rust Keystone's shape": {
    status: 403,
    body: { error: { code: 403, message: 'not you' } },
    says: /not you/,
    hint: /./,
    code: 'auth-rejected',
  },
};

function check(t: Test, { path = request.path, status, body, headers = {}, says, hint, code }: Row): void {
  const all: Readonly<Record<string, string>> = { 'x-openstack-request-id': 'req-7', ...headers };
  const answer = {
    status,
    header: (name: string) => all[name],
    body: typeof body === 'string' ? body : JSON.stringify(body),
    respondedAt: 0,
    serverAheadMs: 0,
    setCookies: [],
  };
  const explained = explainResponse({ ...request, path }, 'http://k/v3', answer);
  t.match(explained.message, says);
  t.match(explained.hint, hint);
  t.equal(explained.code, code);
  t.equal(explained.requestId, 'req-7');
  t.notMatch(explained.message + (explained.hint ?? ''), /[<>]|canary/, 'no HTML and no text of a page');
}

for (const [name, row] of Object.entries(ROWS)) {
  void t.test(name, async (t) => check(t, row));
}
