// The parts of an exchange at the issuer, without a server: the form, the errors, and what becomes of Keystone's verdicts.

import { createHash } from 'node:crypto';
import t from 'tap';
import { checkFormType, MAX_FORM_BYTES, readExchangeRequest } from '../../src/webhook/issuer/exchange-request.ts';
import { makeExchange } from '../../src/webhook/issuer/exchange.ts';
import type { OPTIONAL_CLAIMS } from '../../src/webhook/issuer/audience.ts';
import { makeClaims } from '../../src/webhook/issuer/id-token.ts';
import type { ExchangeSettings, ExchangeTrace } from '../../src/webhook/issuer/exchange.ts';
import { parseAudiences } from '../../src/webhook/issuer/audiences-file.ts';
import { EXCHANGE_REFUSAL_CAUSES, OAuthError, renderOAuthError } from '../../src/webhook/issuer/oauth-error.ts';
import { makeSigningKey } from '../../src/webhook/issuer/signing-key.ts';
import type { CheckedToken } from '../../src/webhook/authn/cached-validator.ts';
import type { ValidToken } from '../../src/webhook/authn/validate-token.ts';
import { Secret } from '../../src/shared/base/secret.ts';
import { makeForm } from '../support/issuer-settings.ts';
import { makeFakeToken } from '../support/webhook-client.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
const ISSUER = 'https://tokens.example.com';
const OWNER = {
  user: { id: 'u1', name: 'alice' },
  userDomain: { id: 'd1', name: 'acme' },
  project: { id: 'p1', name: 'web' },
  projectDomain: { id: 'd1', name: 'acme' },
  roles: ['member'],
};
const key = await makeSigningKey('ES256', { createdAt: 0, signsFrom: 0 });

type Result = CheckedToken['result'];

const makeValid = (endMs = 3_600_000, groupCount = 0): Result => ({
  kind: 'valid',
  owner: OWNER,
  groups: Array.from({ length: groupCount }, (_, index) => {
    const id = createHash('sha256').update(String(index)).digest('hex');
    return { id, name: `group-${id}`, domainId: 'd1' };
  }),
  expiresAt: NOW + endMs,
  keystoneExpiresAt: NOW + endMs,
});

interface Fixture {
  readonly exchange: (token?: string, audience?: string) => Promise<{ readonly isRepeated: boolean }>;
  readonly trace: ExchangeTrace;
  readonly asked: string[];
  readonly dropped: unknown[];
}

function setUp(checked: Partial<CheckedToken> = {}, settings: Partial<ExchangeSettings> = {}): Fixture {
  const [trace, asked, dropped] = [{} as ExchangeTrace, [] as string[], [] as unknown[]];
  const audiences = parseAudiences('audiences: [{name: a, allow: [{roles: [member]}]}]', 'f');
  const result = checked.result ?? makeValid();
  const exchange = makeExchange({
    issuer: ISSUER,
    audiences: () => audiences,
    check: (token) => {
      asked.push(token.reveal());
      return Promise.resolve({ source: 'keystone', ...checked, result });
    },
    namingRules: {
      usernameFormat: '%n',
      groupFormat: '%n',
      allowedNames: [],
      roleMappings: [],
      allowsMappedSystemNames: false,
    },
    allowsAnyTokenShape: false,
    currentKey: () => key,
    now: () => NOW,
    onNamesDropped: (...names) => dropped.push(names),
    ...settings,
  });
  return {
    exchange: (token = makeFakeToken(NOW), audience = 'a') =>
      exchange({ subjectToken: new Secret(token), audience }, 'client', trace),
    trace,
    asked,
    dropped,
  };
}

void t.test('the content type must be that of a form', (t) => {
  const type = 'application/x-www-form-urlencoded';
  for (const good of [type, type.toUpperCase(), `${type};charset=utf-8`, `${type} ; x`, `${type}\t`]) {
    t.doesNotThrow(() => {
      checkFormType(good);
    }, good);
  }
  for (const wrong of [
    undefined,
    '',
    'undefined',
    `x${type}`,
    `${type}x`,
    `${type}-x;`,
    'application/json',
    `${type} x`,
  ]) {
    t.throws(
      () => {
        checkFormType(wrong);
      },
      { code: 'invalid_request', status: 400, cause: 'request' },
      String(wrong),
    );
  }
  t.equal(MAX_FORM_BYTES, 65_536);
  t.end();
});

void t.test('a form has 32 parameters at most, and no actor', (t) => {
  const form = new URLSearchParams(makeForm('token', 'a')).toString();
  const more = (count: number): string => form + Array.from({ length: count }, (_, index) => `&x${index}=1`).join('');
  t.equal(readExchangeRequest(more(28)).subjectToken.reveal(), 'token');
  t.throws(() => readExchangeRequest(more(29)), { code: 'invalid_request' });
  for (const actor of ['actor_token=x', 'actor_token_type=x']) {
    t.throws(() => readExchangeRequest(`${form}&${actor}`), { code: 'invalid_request', message: /actor/ }, actor);
  }
  t.equal(readExchangeRequest(`${form}&actor_token=&resource=&x=`).audience, 'a', 'empty ones count as absent');
  t.end();
});

void t.test('an error is rendered without what breaks its text', (t) => {
  t.equal(
    renderOAuthError(new OAuthError('invalid_grant', 'a "b" \\ c\u00e9\n~')),
    '{"error":"invalid_grant","error_description":"a \'b\' \' c??~"}',
  );
  t.match(new OAuthError('access_denied', 'x'), { status: 403, cause: 'not-allowed', retryAfterSeconds: undefined });
  t.match(new OAuthError('access_denied', 'x', { status: 418, cause: 'rate', retryAfterSeconds: 7 }), {
    ...{ status: 418, cause: 'rate', retryAfterSeconds: 7 },
  });
  for (const cause of ['request', 'rate', 'own-token', 'too-large', 'expired', 'scope'] as const) {
    t.ok(EXCHANGE_REFUSAL_CAUSES.includes(cause), cause);
  }
  t.end();
});

void t.test('an error says whether a login helps, and when to try again', async (t) => {
  const refuse = (cause: 'not-accepted' | 'expired' | 'unrecognized' | 'scope' | 'access-rules'): Result => ({
    ...{ kind: 'refused', cause, reason: 'because' },
  });
  for (const cause of ['not-accepted', 'expired', 'unrecognized'] as const) {
    await t.rejects(setUp({ result: refuse(cause) }).exchange(), { code: 'invalid_grant', cause, message: 'because' });
  }
  for (const cause of ['scope', 'access-rules'] as const) {
    await t.rejects(setUp({ result: refuse(cause) }).exchange(), { code: 'access_denied', status: 403, cause });
  }
  const unknown: Result = { kind: 'unknown', reason: 'silence' };
  const busy = { code: 'temporarily_unavailable', retryAfterSeconds: 5 };
  await t.rejects(setUp({ result: unknown, source: 'gate' }).exchange(), { ...busy, status: 429, cause: 'rate' });
  await t.rejects(setUp({ result: unknown }).exchange(), { ...busy, status: 503, cause: 'keystone' });
});

void t.test('what cannot be a Keystone token is not asked about', async (t) => {
  const { exchange, asked } = setUp();
  const claims = Buffer.from(JSON.stringify({ iss: ISSUER })).toString('base64url');
  const own = `e30.${claims}.c2ln`;
  await t.rejects(exchange(own), { code: 'invalid_grant', cause: 'own-token' });
  await t.rejects(exchange('nonsense'), { code: 'invalid_grant', cause: 'unrecognized' });
  t.strictSame(asked, []);
  const any = setUp({}, { allowsAnyTokenShape: true });
  await any.exchange('nonsense');
  t.strictSame(any.asked, ['nonsense']);
});

void t.test('the trace has the audience and the user as soon as they are known', async (t) => {
  const refused = setUp({ result: { kind: 'refused', cause: 'not-accepted', reason: 'x' } });
  await t.rejects(refused.exchange());
  t.strictSame(refused.trace, { audience: 'a' });
  const other = setUp();
  await t.rejects(other.exchange(undefined, 'b'), { code: 'invalid_target' });
  t.strictSame(other.trace, { uid: 'u1', projectId: 'p1' });
  const good = setUp();
  t.match(await good.exchange(), { isRepeated: false, kid: key.kid, username: 'alice', projectId: 'p1' });
  t.strictSame(good.trace, { audience: 'a', uid: 'u1', projectId: 'p1' });
  t.strictSame(good.dropped, []);
});

void t.test('a token that is about to end gives none, and a repeated one has not ended', async (t) => {
  for (const endMs of [0, 500, 1_000, 1_999]) {
    await t.rejects(setUp({ result: makeValid(endMs) }).exchange(), { code: 'invalid_grant', cause: 'expired' });
  }
  let now = NOW;
  const { exchange } = setUp({ result: makeValid(3_000) }, { now: () => now });
  t.match(await exchange(), { isRepeated: false, claims: { iat: NOW / 1_000, exp: NOW / 1_000 + 2 } });
  t.match(await exchange(), { isRepeated: true });
  now += 2_000;
  await t.rejects(exchange(), { cause: 'expired' });
});

void t.test('a token that does not fit into a header is not issued', async (t) => {
  t.match(await setUp({ result: makeValid(3_600_000, 100) }).exchange(), { isRepeated: false });
  await t.rejects(setUp({ result: makeValid(3_600_000, 300) }).exchange(), {
    ...{ code: 'access_denied', cause: 'too-large', message: 'a token with 301 groups is too large' },
  });
});

void t.test('a form that asks for something else is refused', (t) => {
  const form = makeForm('token', 'a');
  const rows: readonly (readonly [change: Record<string, string>, code: string, message: RegExp])[] = [
    [{ grant_type: 'password' }, 'unsupported_grant_type', /^grant_type must be urn:/],
    [{ subject_token_type: 'x' }, 'invalid_request', /^subject_token_type must be urn:/],
    [{ requested_token_type: 'x' }, 'invalid_request', /^requested_token_type must be urn:/],
    [{ resource: 'x' }, 'invalid_target', /use audience$/],
    ...['grant_type', 'subject_token', 'subject_token_type', 'audience'].map(
      (name) => [{ [name]: '' }, 'invalid_request', new RegExp(`^the parameter ${name} is missing$`)] as const,
    ),
  ];
  for (const [change, code, message] of rows) {
    const text = new URLSearchParams({ ...form, ...change }).toString();
    t.throws(() => readExchangeRequest(text), { code, message }, JSON.stringify(change));
  }
  const text = new URLSearchParams(form).toString();
  t.throws(() => readExchangeRequest(`${text}&audience=a`), { code: 'invalid_request', message: /is repeated$/ });
  const requested = 'requested_token_type=urn:ietf:params:oauth:token-type:id_token';
  t.equal(readExchangeRequest(`${text}&${requested}`).audience, 'a');
  t.end();
});

void t.test('a token has the claims of its audience, and ends with the first of three times', (t) => {
  const userInfo = { username: 'acme:alice', uid: 'u1', groups: ['g', 'p1'], extra: {} };
  const times = { now: NOW, expiresAt: NOW + 3_600_000, keystoneExpiresAt: NOW + 3_600_000 };
  const make = (names: readonly (typeof OPTIONAL_CLAIMS)[number][], change: Partial<typeof times> = {}) => {
    const audience = { name: 'a', lifetimeMs: 600_000, claims: new Set(names), rules: [] };
    const { jti, ...claims } = makeClaims(ISSUER, audience, { owner: OWNER, userInfo }, { ...times, ...change });
    t.match(jti, /^[\da-f-]{36}$/);
    return claims;
  };
  const iat = NOW / 1_000;
  const bare = { iss: ISSUER, sub: 'u1', aud: 'a', iat, nbf: iat - 300, exp: iat + 600 };
  t.strictSame(make([]), bare);
  const acme = { id: 'd1', name: 'acme' };
  t.strictSame(make(['preferred_username']), { ...bare, preferred_username: 'acme:alice' });
  t.strictSame(make(['groups']), { ...bare, groups: ['g', 'p1'] });
  t.strictSame(make(['domain']), { ...bare, openstack: { domain: acme } });
  t.strictSame(make(['project']), { ...bare, openstack: { project: { id: 'p1', name: 'web', domain: acme } } });
  t.strictSame(make(['roles']), { ...bare, openstack: { roles: ['member'] } });
  t.equal(make([], { expiresAt: NOW + 100_000 }).exp, iat + 99, 'by our clock');
  t.equal(make([], { keystoneExpiresAt: NOW + 100_000 }).exp, iat + 99, "by Keystone's");
  t.end();
});

void t.test('the names of a token are those of the webhook, and a rule must allow its owner', async (t) => {
  const named = (name: string, groups: readonly string[]): Result => ({
    ...(makeValid() as ValidToken),
    owner: { ...OWNER, user: { id: 'u1', name } },
    groups: groups.map((group) => ({ id: 'g', name: group, domainId: 'd1' })),
  });
  const dropping = setUp({ result: named('alice', ['devs', 'system:masters']) });
  t.match(await dropping.exchange(), { claims: { groups: ['devs', 'p1'] } });
  t.strictSame(dropping.dropped, [['u1', ['system:masters']]]);
  await t.rejects(setUp({ result: named('system:admin', []) }).exchange(), {
    ...{ code: 'access_denied', cause: 'user-name', message: /begins with "system:"/ },
  });
  const other = parseAudiences('audiences: [{name: a, allow: [{roles: [admin]}]}]', 'f');
  await t.rejects(setUp({}, { audiences: () => other }).exchange(), {
    ...{ code: 'access_denied', cause: 'not-allowed', message: 'the audience is not for this user and project' },
  });
});
