// The issuer: discovery, keys, exchanges, and what it refuses. Runs against a stand-in Keystone.

import { statSync, writeFileSync } from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';
import { createLocalJWKSet, jwtVerify } from 'jose';
import type { JSONWebKeySet, JWTPayload } from 'jose';
import { makeMalformedToken } from '../support/malformed-tokens.ts';
import { AUDIENCE, encodeForm, ISSUER_URL, makeForm, postForm } from '../support/issuer-settings.ts';
import { runIssuerCommand, startIssuer } from '../support/issuer.ts';
import type { TestIssuer } from '../support/issuer.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { findRecordedUser } from '../support/stand-in-keystone/users.ts';
import { sendResponse } from '../support/stand-in-keystone/responses.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeFakeToken } from '../support/webhook-client.ts';
import type { WebhookResponse } from '../support/webhook-client.ts';
import { countValidations, issueToken, startTestKeystone, VALIDATION } from '../support/webhook-keystone.ts';
import { startKeystoneWithClock } from '../support/webhook-keystone.ts';
import { connectOverHttp2 } from '../support/webhook-over-http2.ts';
import { shareTestPki } from '../support/webhook-settings.ts';

const PREFIX = new URL(ISSUER_URL).pathname;

interface TokenAnswer {
  readonly access_token: string;
  readonly issued_token_type: string;
  readonly token_type: string;
  readonly expires_in: number;
}

/** Verifies a token with the published keys. */
async function verify(issuer: TestIssuer, token: string, audience = AUDIENCE): Promise<JWTPayload> {
  const { body } = await issuer.sendRequest({ path: `${PREFIX}/jwks` });
  const rules = { issuer: ISSUER_URL, audience, currentDate: new Date(issuer.clock.now()) };
  return (await jwtVerify(token, createLocalJWKSet(body as JSONWebKeySet), rules)).payload;
}

function checkRefused(t: Test, response: WebhookResponse, status: number, error: string, name: string): void {
  t.match(response, { status, body: { error, error_description: /^[\x20-\x7e]+$/ } }, name);
  t.match(response.headers, { 'cache-control': 'no-store', 'x-request-id': /^[0-9a-f-]{36}$/ }, name);
}

void t.test('discovery and keys are published, can be cached, and contain nothing private', async (t) => {
  const issuer = await startIssuer(t, { args: ['--jwks-max-age', '120'] });
  const discovery = await issuer.sendRequest({ path: `${PREFIX}/.well-known/openid-configuration` });
  t.match(discovery.headers, { 'cache-control': 'public, max-age=120', 'content-type': /^application\/json/ });
  t.strictSame(discovery.body, {
    issuer: ISSUER_URL,
    jwks_uri: `${ISSUER_URL}/jwks`,
    token_endpoint: `${ISSUER_URL}/token`,
    grant_types_supported: ['urn:ietf:params:oauth:grant-type:token-exchange'],
    token_endpoint_auth_methods_supported: ['none'],
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
  });
  const keys = await issuer.sendRequest({ path: `${PREFIX}/jwks` });
  t.match(keys.headers, { 'cache-control': 'public, max-age=120' });
  const [key, ...others] = (keys.body as { keys: object[] }).keys;
  t.strictSame(others, []);
  t.strictSame(Object.keys(key ?? {}).toSorted(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
  t.match(await issuer.sendRequest({ path: '/jwks' }), { status: 404 }, 'only below the path of the issuer');
  t.match(await issuer.sendRequest({ path: '/readyz' }), { status: 200 });
  t.equal(statSync(issuer.keyFile ?? '').mode & 0o777, 0o600);
});

void t.test('a Keystone token becomes a token of the issuer with the same user as in the webhook', async (t) => {
  const keystone = await startTestKeystone(t);
  const issuer = await startIssuer(t, { keystone });
  const token = issueToken(keystone);
  const response = await postForm(issuer, makeForm(token));
  t.match(response, { status: 200, headers: { 'cache-control': 'no-store' } });
  const answer = response.body as TokenAnswer;
  t.match(answer, {
    issued_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    token_type: 'N_A',
    expires_in: 600,
  });
  const { jti, iat = 0, ...claims } = await verify(issuer, answer.access_token);
  t.match(jti, /^[0-9a-f-]{36}$/);
  const acme = { id: 'ad46c8976da647fd85585c4db77c8ca0', name: 'acme' };
  t.strictSame(claims, {
    iss: ISSUER_URL,
    sub: '97b785ee1b534333bc6bd72787eed648',
    aud: AUDIENCE,
    nbf: iat - 300,
    exp: iat + 600,
    preferred_username: 'alice',
    groups: ['c8e48b74036546c5b12bfc798932c4e2'],
    openstack: {
      domain: acme,
      project: { id: 'c8e48b74036546c5b12bfc798932c4e2', name: 'web', domain: acme },
      roles: ['reader', 'member'],
    },
  });
  await t.rejects(verify(issuer, answer.access_token, 'cluster-b'), { code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' });
  const log = issuer.readOutput();
  t.notMatch(log, token, 'the log contains no Keystone token');
  t.notMatch(log, answer.access_token.split('.')[2] ?? '?', 'and none of the issued ones');
  const line = log.split('\n').find((text) => text.includes('"token issued"')) ?? '{}';
  t.match(JSON.parse(line), {
    audience: AUDIENCE,
    uid: claims.sub,
    username: 'alice',
    jti,
    requestId: response.headers['x-request-id'],
  });
  const { body } = await issuer.sendRequest({ path: '/metrics' });
  t.match(body, /keystone_auth_exchanges_total\{audience="cluster-a",result="issued"\} 1/);
});

void t.test(
  'a Keystone token that is exchanged again at once gives the same token, which is issued once',
  async (t) => {
    const keystone = await startTestKeystone(t);
    const allow = [{ roles: ['member'] }];
    const audiences = { audiences: ['cluster-a', 'cluster-b'].map((name) => ({ name, allow })) };
    const issuer = await startIssuer(t, { keystone, audiences });
    const token = issueToken(keystone);
    const exchange = async (subject = token, audience = AUDIENCE): Promise<TokenAnswer> =>
      (await postForm(issuer, makeForm(subject, audience))).body as TokenAnswer;
    const count = (message: string): number => issuer.readOutput().split(`"msg":"${message}"`).length - 1;
    const first = await exchange();
    await issuer.clock.advance(2_000);
    const again = await exchange();
    t.equal(again.access_token, first.access_token);
    t.equal(again.expires_in, 598, 'its end stays');
    t.same([count('token issued'), count('token issued again')], [1, 1]);

    t.not((await exchange(token, 'cluster-b')).access_token, first.access_token, 'not for another audience');
    t.not((await exchange(issueToken(keystone))).access_token, first.access_token, 'nor another login');
    await runIssuerCommand('rotate', '--compromised', '--signing-keys-file', issuer.keyFile ?? '');
    issuer.signal('SIGHUP');
    await waitUntil('the keys are read', () => count('a new signing key is published') === 1);
    const rotated = await exchange();
    t.match(await verify(issuer, rotated.access_token), { aud: AUDIENCE }, 'nor after its key was withdrawn');
    await issuer.clock.advance(6_000);
    t.not((await exchange()).access_token, rotated.access_token, 'nor after Keystone was asked again');

    writeFileSync(issuer.audiencesFile, JSON.stringify({ audiences: [{ name: AUDIENCE, allow: [{ roles: ['x'] }] }] }));
    issuer.signal('SIGHUP');
    await waitUntil('the audiences are read again', () => count('reloaded') === 1);
    checkRefused(t, await postForm(issuer, makeForm(token)), 403, 'access_denied', 'nor after the rules have changed');
  },
);

void t.test('a valid token does not make the log grow with each exchange', async (t) => {
  const keystone = await startTestKeystone(t);
  const issuer = await startIssuer(t, { keystone });
  const token = issueToken(keystone);
  for (let sent = 0; sent < 10; sent += 1) {
    await Promise.all(Array.from({ length: 50 }, () => postForm(issuer, makeForm(token))));
  }
  await issuer.stop();
  const log = issuer.readOutput();
  t.match(log, /"leftOut":\{"token issued again":\d+\}/);
  t.ok(log.split('\n').length < 200, log.slice(-500));
});

void t.test('a token never outlives the Keystone token', async (t) => {
  const keystone = await startTestKeystone(t, { lifetimeSeconds: 200 });
  const issuer = await startIssuer(t, { keystone });
  const { body } = await postForm(issuer, makeForm(issueToken(keystone)));
  const { expires_in: seconds } = body as TokenAnswer;
  t.ok(seconds <= 200 && seconds > 0, `${seconds} s`);
});

void t.test('with any clock, a token ends no later than the Keystone token, by both clocks', async (t) => {
  for (const aheadSeconds of [-300, -30, 0, 30, 300]) {
    const { keystone, follow } = await startKeystoneWithClock(t, { lifetimeSeconds: 500 });
    keystone.clockAheadSeconds = aheadSeconds;
    const issuer = await startIssuer(t, { keystone });
    follow(issuer.clock);
    const token = issueToken(keystone);
    const { body } = await postForm(issuer, makeForm(token));
    const { exp = 0, iat = 0 } = await verify(issuer, (body as TokenAnswer).access_token);
    const end = (keystone.sessions.get(token)?.expiresAt.getTime() ?? 0) / 1_000;
    t.ok(exp <= end, `Keystone ${aheadSeconds} s ahead: by its clock, ${end - exp} s before`);
    t.ok(exp <= end - aheadSeconds + 5, 'by the clock of the issuer');
    t.ok(exp - iat > 150 && exp - iat <= 500, `valid for ${exp - iat} s`);
    const warning = /the clock of this machine is \d+ s (?:ahead of|behind) Keystone's; synchronize both/;
    t.equal(warning.test(issuer.readOutput()), Math.abs(aheadSeconds) > 60, 'the log says so if it matters');
  }
});

void t.test('the log says once that clocks differ, and that they agree again', async (t) => {
  const { keystone, follow } = await startKeystoneWithClock(t);
  const issuer = await startIssuer(t, { keystone });
  follow(issuer.clock);
  const exchange = (aheadSeconds: number) => {
    keystone.clockAheadSeconds = aheadSeconds;
    return postForm(issuer, makeForm(issueToken(keystone)));
  };
  for (const aheadSeconds of [0, 120, 120, 90, 0, 0, -120]) t.match(await exchange(aheadSeconds), { status: 200 });
  const lines = issuer
    .readOutput()
    .split('\n')
    .filter((line) => line.includes('the clock of this machine'));
  const expected = [
    /is 1[12]\d s behind Keystone's/,
    /agrees with Keystone's again/,
    /is 1[12]\d s ahead of Keystone's/,
  ];
  t.equal(lines.length, expected.length);
  for (const [index, pattern] of expected.entries()) t.match(lines[index], pattern);
});

void t.test('an audience gives only the claims that it lists, for its own lifetime', async (t) => {
  const keystone = await startTestKeystone(t);
  const allow = [{ roles: ['member'] }];
  const issuer = await startIssuer(t, {
    keystone,
    audiences: {
      audiences: [
        { name: 'bare', 'lifetime-seconds': 60, claims: ['preferred_username'], allow },
        { name: 'roles', claims: ['roles'], allow },
      ],
    },
  });
  const token = issueToken(keystone);
  const bare = (await postForm(issuer, makeForm(token, 'bare'))).body as TokenAnswer;
  t.equal(bare.expires_in, 60);
  const standard = ['aud', 'exp', 'iat', 'iss', 'jti', 'nbf', 'sub'];
  t.strictSame(
    Object.keys(await verify(issuer, bare.access_token, 'bare')).toSorted(),
    [...standard, 'preferred_username'].toSorted(),
  );
  const roles = (await postForm(issuer, makeForm(token, 'roles'))).body as TokenAnswer;
  const claims = await verify(issuer, roles.access_token, 'roles');
  t.strictSame(claims['openstack'], { roles: ['reader', 'member'] });
  t.equal(countValidations(keystone), 1, 'one login, one question, two audiences');
});

void t.test(
  'a request that is wrong is refused in the words of OAuth 2.0, without a request to Keystone',
  async (t) => {
    const keystone = await startTestKeystone(t);
    const issuer = await startIssuer(t, { keystone });
    const token = issueToken(keystone);
    const form = makeForm(token);
    const encoded = new URLSearchParams(form).toString();
    const without = (name: string): Record<string, string> =>
      Object.fromEntries(Object.entries(form).filter(([key]) => key !== name));
    const forms: readonly (readonly [name: string, form: Record<string, string> | string, error: string])[] = [
      ...['grant_type', 'subject_token', 'subject_token_type', 'audience'].map(
        (name) => [`no ${name}`, without(name), 'invalid_request'] as const,
      ),
      ['an empty audience', { ...form, audience: '' }, 'invalid_request'],
      ['another grant', { ...form, grant_type: 'client_credentials' }, 'unsupported_grant_type'],
      [
        'another kind of token',
        { ...form, subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' },
        'invalid_request',
      ],
      [
        'a wish for a refresh token',
        { ...form, requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
        'invalid_request',
      ],
      ['an actor', { ...form, actor_token: token }, 'invalid_request'],
      ['a resource', { ...form, resource: 'https://example.com' }, 'invalid_target'],
      ['two audiences', `${encoded}&audience=cluster-b`, 'invalid_request'],
      ['the same audience twice', `${encoded}&audience=${AUDIENCE}`, 'invalid_request'],
      ['two tokens', `${encoded}&subject_token=${token}`, 'invalid_request'],
      ['a hundred parameters', `${encoded}${'&x'.repeat(100)}`, 'invalid_request'],
      ['forty parameters', encoded + Array.from({ length: 40 }, (_, i) => `&x${i}=`).join(''), 'invalid_request'],
      ['nothing', '', 'invalid_request'],
      ['bytes', '\0\xff%ff%', 'invalid_request'],
      ['JSON in a form', JSON.stringify(form), 'invalid_request'],
    ];
    for (const [name, wrong, error] of forms) checkRefused(t, await postForm(issuer, wrong), 400, error, name);

    const path = `${PREFIX}/token`;
    const post = (headers: Record<string, string>, body: string, target = path) =>
      issuer.sendRequest({ method: 'POST', path: target, body, headers });
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    checkRefused(t, await post({}, encoded), 400, 'invalid_request', 'no content type');
    const json = { 'content-type': 'application/json' };
    checkRefused(t, await post(json, JSON.stringify(form)), 400, 'invalid_request', 'JSON');
    checkRefused(t, await post({ 'content-type': 'text/plain' }, encoded), 400, 'invalid_request', 'text');
    checkRefused(t, await post(type, '', `${path}?${encoded}`), 400, 'invalid_request', 'the token in the URL');
    checkRefused(t, await post(type, `${encoded}&x=${'y'.repeat(70_000)}`), 413, 'invalid_request', 'a large body');
    const get = await issuer.sendRequest({ path });
    checkRefused(t, get, 405, 'invalid_request', 'GET');
    t.equal(get.headers.allow, 'POST');
    t.equal(countValidations(keystone), 0);
    t.match(await postForm(issuer, form), { status: 200 }, 'the issuer still works');
  },
);

void t.test('only who has a valid token learns which audiences there are', async (t) => {
  const keystone = await startTestKeystone(t);
  const issuer = await startIssuer(t, { keystone, args: ['--metrics', 'off'] });
  const names = [AUDIENCE, 'cluster-b', 'CLUSTER-A', '__proto__'];
  const withheld = issueToken(keystone);
  keystone.revoke(withheld);
  for (const [what, makeToken] of Object.entries({
    'a made-up token': (): string => makeFakeToken(issuer.clock.now()),
    'an impossible token': (): string => 'nonsense',
    'a revoked token': (): string => withheld,
  })) {
    const answers = [];
    for (const name of names) {
      const { status, body, headers } = await postForm(issuer, makeForm(makeToken(), name));
      const shown = Object.entries(headers).filter(([header]) => !['date', 'x-request-id'].includes(header));
      answers.push({ status, body, headers: Object.fromEntries(shown) });
    }
    t.match(answers[0], { status: 400, body: { error: 'invalid_grant' } }, what);
    for (const answer of answers) t.strictSame(answer, answers[0], what);
  }
  t.match(await issuer.sendRequest({ path: '/metrics' }), { status: 404 });
  const token = issueToken(keystone);
  for (const name of names.slice(1)) {
    checkRefused(t, await postForm(issuer, makeForm(token, name)), 400, 'invalid_target', name);
  }
  t.notMatch(issuer.readOutput(), /cluster-b|CLUSTER-A|__proto__/);
});

void t.test('a token that Keystone does not accept, or that gives nothing, is refused', async (t) => {
  const keystone = await startTestKeystone(t);
  const otherCloud = await startTestKeystone(t);
  const issuer = await startIssuer(t, { keystone });
  const alice = findRecordedUser('alice');
  const issue = (scope?: unknown): string =>
    keystone.issueToken(alice, ['password'], scope).headers['x-subject-token'] ?? '';
  const exchange = (token: string): Promise<WebhookResponse> => postForm(issuer, makeForm(token));

  checkRefused(t, await exchange(issueToken(otherCloud)), 400, 'invalid_grant', 'a token of another cloud');
  checkRefused(t, await exchange(makeFakeToken()), 400, 'invalid_grant', 'a token that Keystone never made');
  checkRefused(t, await exchange('junk'), 400, 'invalid_grant', 'what no Keystone makes');
  checkRefused(t, await exchange(issue({ unscoped: {} })), 403, 'access_denied', 'a token without a scope');
  const domain = { domain: { name: 'acme' } };
  checkRefused(t, await exchange(issue(domain)), 403, 'access_denied', 'a token for a domain');
  const db = { project: { name: 'db', domain: { name: 'acme' } } };
  checkRefused(t, await exchange(issue(db)), 403, 'access_denied', 'a project in which she is no member');

  const token = issueToken(keystone);
  const { body } = await exchange(token);
  const own = (body as TokenAnswer).access_token;
  checkRefused(t, await exchange(own), 400, 'invalid_grant', 'a token of the issuer itself');
  keystone.revoke(token);
  await issuer.clock.advance(5_000);
  checkRefused(t, await exchange(token), 400, 'invalid_grant', 'a revoked token');
});

/** Changes what Keystone says about tokens. */
function changeValidation(keystone: StandInKeystone, change: (token: Record<string, unknown>) => object): void {
  keystone.answerAlways((_request, response, { makeDefaultResponse }) => {
    const answer = makeDefaultResponse();
    const { token } = answer.body as { token: Record<string, unknown> };
    sendResponse(response, { ...answer, body: { token: { ...token, ...change(token) } } });
  }, VALIDATION);
}

void t.test('names that Kubernetes reserves do not come from Keystone', async (t) => {
  const keystone = await startTestKeystone(t);
  const issuer = await startIssuer(t, { keystone });
  const { id } = findRecordedUser('alice');
  const names = ['devs', 'system:masters', 'SYSTEM:masters', 'kubeadm:cluster-admins', 'a:b', '0'.repeat(32)];
  keystone.answerAlways((_request, response) => {
    const groups = names.map((name, index) => ({ id: `g${index}`, name, domain_id: 'd' }));
    sendResponse(response, { status: 200, headers: {}, body: { groups } });
  }, `GET /v3/users/${id}/groups`);
  const { body } = await postForm(issuer, makeForm(issueToken(keystone)));
  const claims = await verify(issuer, (body as TokenAnswer).access_token);
  t.strictSame(claims['groups'], ['devs', 'c8e48b74036546c5b12bfc798932c4e2']);
  t.match(issuer.readOutput(), /names were dropped/);
  changeValidation(keystone, (token) => ({ user: { ...(token['user'] as object), name: 'system:admin' } }));
  const refused = await postForm(issuer, makeForm(issueToken(keystone)));
  checkRefused(t, refused, 403, 'access_denied', 'a user with a reserved name');
});

void t.test(
  'an application credential with access rules gets no token, unless the operator accepts that',
  async (t) => {
    const keystone = await startTestKeystone(t);
    const issuer = await startIssuer(t, { keystone });
    const accepting = await startIssuer(t, { keystone, args: ['--access-rules', 'accept'] });
    changeValidation(keystone, () => ({ application_credential: { id: 'a', access_rules: [] } }));
    const token = issueToken(keystone);
    checkRefused(t, await postForm(issuer, makeForm(token)), 403, 'access_denied', 'refused');
    t.match(await postForm(accepting, makeForm(token)), { status: 200 });
  },
);

void t.test('with any shape of token, a token of the issuer itself never reaches Keystone', async (t) => {
  const keystone = await startTestKeystone(t);
  const issuer = await startIssuer(t, { keystone, args: ['--any-token-shape'] });
  const { body } = await postForm(issuer, makeForm(issueToken(keystone)));
  const before = countValidations(keystone);
  const own = (body as TokenAnswer).access_token;
  checkRefused(t, await postForm(issuer, makeForm(own)), 400, 'invalid_grant', 'its own token');
  t.equal(countValidations(keystone), before);
});

void t.test('with any shape of token, what does not fit into a header is no Keystone token', async (t) => {
  const keystone = await startTestKeystone(t);
  const issuer = await startIssuer(t, { keystone, args: ['--any-token-shape'] });
  const rows: readonly (readonly [name: string, token: string])[] = [
    ['a line break', 'canary\r\nx-subject-token: other'],
    ['a null byte', 'canary\0'],
    ['a letter beyond Latin-1', 'canary\u0141'],
    ['a space that a header loses', 'canary '],
    ['more than Keystone reads', `canary${'x'.repeat(20_000)}`],
  ];
  for (const [name, token] of rows) {
    checkRefused(t, await postForm(issuer, makeForm(token)), 400, 'invalid_grant', name);
  }
  t.equal(countValidations(keystone), 0);
  t.notMatch(issuer.readOutput(), /internal error|canary/);
  t.match(await postForm(issuer, makeForm('of-another-shape')), { status: 400 }, 'Keystone is asked about others');
  t.equal(countValidations(keystone), 1);
});

void t.test('the rules of an audience count that are in force when Keystone has answered', async (t) => {
  const keystone = await startTestKeystone(t);
  const issuer = await startIssuer(t, { keystone });
  let answerKeystone: (() => void) | undefined;
  keystone.answerNext((_request, response, { makeDefaultResponse }) => {
    answerKeystone = () => {
      sendResponse(response, makeDefaultResponse());
    };
  }, VALIDATION);
  const exchanging = postForm(issuer, makeForm(issueToken(keystone)));
  const sendAnswer = await waitUntil('Keystone has the request', () => answerKeystone);
  writeFileSync(
    issuer.audiencesFile,
    JSON.stringify({ audiences: [{ name: AUDIENCE, allow: [{ roles: ['cluster-admin'] }] }] }),
  );
  issuer.signal('SIGHUP');
  await waitUntil('the audiences are read again', () => /"what":"audiences".*"reloaded"/.test(issuer.readOutput()));
  sendAnswer();
  checkRefused(t, await exchanging, 403, 'access_denied', 'the rule that allowed it is gone');
});

void t.test('a Keystone that is away or broken is not taken for a refusal', async (t) => {
  const keystone = await startTestKeystone(t);
  const issuer = await startIssuer(t, { keystone });
  const token = issueToken(keystone);
  keystone.answerAlways((_request, response) => {
    sendResponse(response, { status: 503, headers: {} });
  }, VALIDATION);
  const response = await postForm(issuer, makeForm(token));
  checkRefused(t, response, 503, 'temporarily_unavailable', 'Keystone answers 503');
  t.match(response.headers, { 'retry-after': /^\d+$/ });
  const nowhere = await startIssuer(t);
  checkRefused(t, await postForm(nowhere, makeForm(token)), 503, 'temporarily_unavailable', 'nothing listens');
});

void t.test('a flood of made-up tokens does not reach Keystone, and users still get tokens', async (t) => {
  const keystone = await startTestKeystone(t);
  const issuer = await startIssuer(t, { keystone, args: ['--keystone-rate', '1'] });
  const token = issueToken(keystone);
  t.match(await postForm(issuer, makeForm(token)), { status: 200 });
  const counts = new Map<string, number>();
  let answered = 0;
  const flood = Array.from({ length: 400 }, (_, index) =>
    postForm(issuer, makeForm(index % 2 === 0 ? makeFakeToken() : makeMalformedToken(index))).then(
      ({ status, headers }) => {
        const key = `${status}${headers['retry-after'] === undefined ? '' : ' retry'}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
        answered += 1;
      },
    ),
  );
  // A known token goes first. On a connection of its own: the flood uses all others.
  const exchangeKnown = async (): Promise<void> => {
    const body = encodeForm(makeForm(token));
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const path = `${PREFIX}/token`;
    t.match(await issuer.sendRequest({ method: 'POST', path, body, headers, tls: {} }), { status: 200 });
  };
  // Those in the queue wait for virtual time. It passes, by one turn, if nobody has been answered during an exchange.
  let before = -1;
  await waitUntil('all are answered', async () => {
    if (answered === before) await issuer.clock.advance(1_000);
    before = answered;
    await exchangeKnown();
    return answered === flood.length;
  });
  await Promise.all(flood);
  t.equal(counts.get('400'), 400 - (counts.get('429 retry') ?? 0), JSON.stringify([...counts]));
  t.ok((counts.get('429 retry') ?? 0) > 50, 'most of those with the shape of a token are turned away');
  const asked = keystone.requests.filter(
    ({ path, headers }) => path.startsWith('/v3/auth/tokens') && headers['x-subject-token'] !== token,
  ).length;
  // A burst of 100, and then one per second.
  const limit = 101 + issuer.clock.monotonicMs() / 1_000;
  t.ok(asked <= limit, `Keystone was asked about ${asked} of them, and about ${limit} at most`);
});

void t.test('the issuer speaks HTTP/2 with the same answers', async (t) => {
  const keystone = await startTestKeystone(t);
  const issuer = await startIssuer(t, { keystone });
  const client = await connectOverHttp2(t, issuer.port, await shareTestPki());
  const response = await postForm(client, makeForm(issueToken(keystone)));
  t.match(response, { status: 200, headers: { 'cache-control': 'no-store', 'x-request-id': /./ } });
  checkRefused(t, await postForm(client, makeForm('junk')), 400, 'invalid_grant', 'junk');
  t.match(await client.sendRequest({ path: `${PREFIX}/jwks` }), { status: 200, body: { keys: [{ alg: 'ES256' }] } });
});
