/** How the parts of a response without a token decide about the error: status, headers, body, and the request. */
import t from 'tap';
import { AdditionalFactorRequired } from '../../src/shared/base/errors.ts';
import type { PluginError } from '../../src/shared/base/errors.ts';
import type { AuthRequest } from '../../src/shared/keystone/auth-request.ts';
import { explainResponse } from '../../src/shared/keystone/explain-response.ts';

const REQUEST: AuthRequest = { verb: 'POST', path: 'auth/tokens', subject: 'alice', expected: {} };
const OTHER = { url: 'https://other.test/v3', peer: { name: 'another Keystone', setting: 'OS_OTHER_URL' } };

interface Given {
  readonly status: number;
  readonly body?: string | object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly request?: Partial<AuthRequest>;
}

function explain({ status, body = '', headers = {}, request = {} }: Given): PluginError {
  return explainResponse({ ...REQUEST, ...request }, 'https://k.test/v3', {
    status,
    header: (name) => headers[name],
    body: typeof body === 'string' ? body : JSON.stringify(body),
    respondedAt: 0,
    serverAheadMs: 0,
    setCookies: [],
  });
}

const fail = (message: string): object => ({ error: { message } });

void t.test('the text of Keystone is quoted without the full stop at its end', async (t) => {
  t.match(explain({ status: 403, body: fail('You must not. Really.') }).message, /: You must not\. Really$/);
});

void t.test('the text of an error is read in each of its three formats, and the first format wins', async (t) => {
  const errors = [{ title: 'a title', detail: 'a detail' }];
  t.match(explain({ status: 403, body: { ...fail('a message'), errors } }).message, /: a message$/);
  t.match(explain({ status: 403, body: { errors } }).message, /: a detail$/);
  t.match(explain({ status: 403, body: { errors: [{ title: 'a title' }] } }).message, /: a title$/);
  for (const body of [{}, { errors: [] }, { errors: [null] }, { errors: ['text'] }, 'a page']) {
    t.match(explain({ status: 403, body }).message, /^Keystone forbids the login for alice: $/, JSON.stringify(body));
  }
});

void t.test('a rejected request without a text says so', async (t) => {
  const { message, hint } = explain({ status: 400, body: {} });
  t.equal(message, 'Keystone rejected the request: it does not say why');
  t.equal(hint, 'check the names and IDs that you set');
});

void t.test('the domain that is missing is recognized whatever the case of the text', async (t) => {
  t.equal(explain({ status: 400, body: fail('DOMAIN IN Project') }).hint, 'set OS_PROJECT_DOMAIN_NAME');
  t.equal(explain({ status: 400, body: fail('subdomain in user') }).hint, 'check the names and IDs that you set');
  t.equal(explain({ status: 400, body: fail('domain in users') }).hint, 'check the names and IDs that you set');
});

void t.test('a password has expired only if the text says exactly that', async (t) => {
  t.equal(explain({ status: 401, body: fail('THE PASSWORD IS EXPIRED') }).code, 'password-expired');
  t.equal(explain({ status: 401, body: fail('The password is expired-ish') }).code, 'password-expired');
  t.equal(explain({ status: 401, body: fail('mypassword is expired') }).code, 'auth-rejected');
  t.equal(explain({ status: 401, body: fail('password is expiredness') }).code, 'auth-rejected');
});

void t.test('a receipt says which sets of methods are missing', async (t) => {
  const error = explain({
    status: 401,
    headers: { 'openstack-auth-receipt': 'a-receipt' },
    body: {
      receipt: { methods: ['password'] },
      required_auth_methods: [['password', 'totp', 5], 'nonsense', ['token']],
    },
  });
  t.ok(error instanceof AdditionalFactorRequired);
  if (!(error instanceof AdditionalFactorRequired)) return;
  t.equal(error.receipt.id.reveal(), 'a-receipt');
  t.strictSame(error.receipt.missingMethodSets, [['totp'], [], ['token']]);
});

void t.test('a 404 without an error of Keystone means that the path is wrong, and names what to check', async (t) => {
  t.match(explain({ status: 404, body: {} }), {
    code: 'not-keystone',
    message: 'no Keystone v3 answers at https://k.test/v3',
    hint: 'check OS_AUTH_URL',
  });
  t.equal(explain({ status: 404, request: { otherKeystone: OTHER } }).hint, 'check OS_OTHER_URL');
  t.match(explain({ status: 404, request: { version: 'v4' } }), {
    message: 'no Keystone v4 answers at https://k.test/v3',
    hint: 'check OS_AUTH_URL; only Rust Keystone has v4',
  });
  t.equal(explain({ status: 404, body: fail('no such user') }).code, 'credential-unknown');
});

void t.test('a conflict with what exists is a rejected request', async (t) => {
  t.match(explain({ status: 409, body: fail('Duplicate entry.') }), {
    code: 'request-rejected',
    message: 'it already exists in Keystone: Duplicate entry',
    hint: 'choose another name',
  });
});

void t.test('a rate limit without a time, or with a text that only contains a number, is passed on', async (t) => {
  t.match(explain({ status: 429 }), { code: 'rate-limited', hint: 'try again later' });
  t.equal(explain({ status: 429, headers: { 'retry-after': 'in 5' } }).hint, 'try again at in 5');
  t.equal(explain({ status: 429, headers: { 'retry-after': '5 s' } }).hint, 'try again at 5 s');
  t.equal(explain({ status: 429, headers: { 'retry-after': '5' } }).hint, 'try again in 5 s');
});

void t.test('a gateway is named if the response is not from Keystone', async (t) => {
  for (const status of [502, 503, 504]) {
    t.match(explain({ status, body: 'a page' }), {
      code: 'unavailable',
      message: `Keystone is unavailable (${String(status)} from a proxy in front of it)`,
      hint: 'try again later',
    });
    t.equal(explain({ status, body: {} }).message, `Keystone is unavailable (${String(status)})`);
  }
  const headers = { 'retry-after': '120' };
  t.equal(explain({ status: 503, headers }).hint, 'try again later; it says Retry-After: 120');
});

void t.test('another status is a fault of the server from 500, and otherwise not from Keystone', async (t) => {
  t.match(explain({ status: 500 }), { code: 'unavailable', message: 'Keystone failed with error 500' });
  t.match(explain({ status: 499 }), { code: 'not-keystone' });
  const message = 'https://k.test/v3 answered with status 302, which is not Keystone';
  t.match(explain({ status: 302, body: {} }), { code: 'not-keystone', message });
  t.match(explain({ status: 300 }), { message: /answered with status 300/ });
  t.match(explain({ status: 299 }), { message: /answered with no JSON/ });
  t.match(explain({ status: 400 + 5, body: 'no JSON' }), { message: /answered with status 405/ });
  t.equal(
    explain({ status: 405, body: fail('Method not allowed.') }).message,
    'Keystone answered 405: Method not allowed',
  );
  t.equal(
    explain({ status: 399, body: {} }).message,
    'https://k.test/v3 answered with status 399, which is not Keystone',
  );
});

void t.test('a page is recognized by its type, and the setting to check is the one of the server', async (t) => {
  const html = (type: string): string => explain({ status: 200, headers: { 'content-type': type } }).message;
  t.match(html('text/html'), /answered with HTML/);
  t.match(html('application/xhtml+xml; x=HTML'), /answered with HTML/);
  t.match(html('text/xhtmlish'), /answered with no JSON/);
  t.match(explain({ status: 200 }).hint, /^check OS_AUTH_URL, and whether/);
  t.match(explain({ status: 200, request: { otherKeystone: OTHER } }).hint, /^check OS_OTHER_URL, and whether/);
});

void t.test('what the auth method knows replaces the explanation of a refusal, and of nothing else', async (t) => {
  const own = { code: 'factor-refused', message: 'the passcode is wrong', hint: 'use a new one' } as const;
  const request = { statusExplanations: { 400: own, 401: own, 404: own } };
  t.match(explain({ status: 401, request }), own);
  t.match(explain({ status: 404, body: fail('x'), request }), own);
  t.equal(explain({ status: 404, request }).code, 'not-keystone', 'the path is wrong');
  t.equal(explain({ status: 400, request }).code, 'request-rejected');
  t.equal(explain({ status: 401, body: fail('password is expired'), request }).code, 'password-expired');
  const noRole = explain({ status: 500, body: fail('internal server error: actor has no roles on scope'), request });
  t.match(noRole, { code: 'auth-rejected', message: /the user has no role there/ }, 'Rust Keystone says the cause');
  t.equal(explain({ status: 403, request }).code, 'auth-rejected', 'another status');
  t.not(explain({ status: 403, request }).message, own.message);
});

void t.test('the request ID of Keystone goes along, also with the explanation of an auth method', async (t) => {
  const headers = { 'x-openstack-request-id': ' req-7 ' };
  const own = { code: 'auth-rejected', message: 'm', hint: 'h' } as const;
  t.equal(explain({ status: 401, headers }).requestId, 'req-7');
  t.equal(explain({ status: 401, headers, request: { statusExplanations: { 401: own } } }).requestId, 'req-7');
  t.equal(explain({ status: 401 }).requestId, undefined);
});
