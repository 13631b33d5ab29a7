// Tokens of OpenID Connect issuers: valid ones of a real provider, and invalid ones of a stand-in. Keystone must not
// receive tokens of the issuer, nor the issuer tokens of Keystone.

import { generateKeyPairSync, sign } from 'node:crypto';
import t from 'tap';
import type { Test } from 'tap';
import { damageEnd } from '../support/damaged-token.ts';
import { decideDevice, testWithFederation } from '../support/federation.ts';
import { sendRequest } from '../support/send-request.ts';
import { DISCOVERY_PATH, JWKS_PATH } from '../support/stand-in-issuer.ts';
import { forgeJwt, makeIssuerKey, signJwt, startStandInIssuer } from '../support/stand-in-issuer.ts';
import type { IssuerKey, StandInIssuer } from '../support/stand-in-issuer.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { logIn } from '../support/tenancy.ts';
import { watchRequests, listRequests } from '../support/request-log.ts';
import { waitUntil } from '../support/wait-until.ts';
import { issueToken, startTestKeystone } from '../support/webhook-keystone.ts';
import { CLIENT_ID, shareTestPki } from '../support/webhook-settings.ts';
import { failToStart, startWebhook } from '../support/webhook.ts';
import type { TestWebhook } from '../support/webhook.ts';

const pki = await shareTestPki();
const KEY = makeIssuerKey('first');
const UNKNOWN_KEY = makeIssuerKey('strange');

/** How long a review waits without `--review-timeout`. */
const REVIEW_MS = 4_800;

interface Servers {
  readonly issuer: StandInIssuer;
  readonly keystone: StandInKeystone;
}

async function startServers(t: Test): Promise<Servers> {
  const [issuer, keystone] = await Promise.all([startStandInIssuer(t, pki, [KEY]), startTestKeystone(t)]);
  return { issuer, keystone };
}

async function setUp(t: Test, args: readonly string[] = []): Promise<Servers & { readonly webhook: TestWebhook }> {
  const servers = await startServers(t);
  return { ...servers, webhook: await startWebhook(t, { ...servers, args }) };
}

/** Valid claims now and for five minutes; by the clock of a webhook, if there is one. */
const makeClaims = ({ url }: StandInIssuer, changes: object = {}, clock?: TestWebhook['clock']): object => {
  const seconds = Math.floor((clock?.now() ?? Date.now()) / 1_000);
  return { iss: url, sub: 'u-1', aud: CLIENT_ID, exp: seconds + 300, iat: seconds, ...changes };
};

testWithFederation(
  'tokens of a real provider and of a real Keystone are accepted',
  async (t, federation, environment) => {
    const keystone = watchRequests(environment.http);
    const { url } = federation.identityProvider;
    const client = federation.clients.public;
    const { ca } = environment.pki;
    const args = ['--oidc-issuer-url', url, '--oidc-client-id', client.id, '--oidc-ca-file', ca];
    const webhook = await startWebhook(t, { keystone, pki: environment.pki, args });

    const response = await sendRequest(`${url}/device/auth`, {
      form: { client_id: client.id, scope: 'openid profile' },
      ca,
    });
    const device = JSON.parse(response.body) as { device_code: string; user_code: string };
    await decideDevice(url, ca, { userCode: device.user_code, action: 'approve', user: federation.users.alice.name });
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: device.device_code,
      client_id: client.id,
    };
    const issued = JSON.parse((await sendRequest(`${url}/token`, { form, ca })).body) as { id_token: string };
    const status = await webhook.reviewToken(issued.id_token);
    t.strictSame(status, {
      authenticated: true,
      user: { username: `${url}#${federation.users.alice.name}`, uid: '', groups: [], extra: {} },
    });
    t.equal(listRequests(keystone).length, 0, 'no request to Keystone');
    t.strictSame(await webhook.reviewToken(damageEnd(issued.id_token)), { authenticated: false });
    t.match(webhook.readOutput(), /its signature is wrong/);

    const { users, projects } = environment.tenancy;
    const token = await logIn(environment.http, users.alice, { project: { id: projects.demo.id } });
    t.match(await webhook.reviewToken(token), { authenticated: true, user: { uid: users.alice.id } });
    t.equal(listRequests(keystone).length, 2);

    const another = await startWebhook(t, {
      keystone,
      pki: environment.pki,
      args: [...args, '--oidc-client-id', 'another'],
    });
    t.strictSame(await another.reviewToken(issued.id_token), { authenticated: false }, 'issued for another client');
    t.match(another.readOutput(), /its claim \\"aud\\" is missing or wrong/);
    t.notOk(webhook.readOutput().includes(issued.id_token) || another.readOutput().includes(issued.id_token));
  },
);

void t.test('the claims of Keycloak and Dex become a user and groups', async (t) => {
  const keycloak = ['--oidc-username-claim', 'preferred_username', '--oidc-username-prefix', 'kc:'];
  const groups = ['--oidc-groups-claim', 'groups', '--oidc-groups-prefix', 'kc:'];
  const first = await setUp(t, [...keycloak, ...groups, '--oidc-required-claim', 'azp=kubectl, typ=ID']);
  // The claims of Keycloak 24.
  const claims = {
    azp: 'kubectl',
    typ: 'ID',
    aud: ['account', CLIENT_ID],
    preferred_username: 'alice',
    groups: ['/devs', '/devs', '/ops'],
    email_verified: false,
  };
  t.strictSame(await first.webhook.reviewToken(signJwt(makeClaims(first.issuer, claims), KEY)), {
    authenticated: true,
    user: { username: 'kc:alice', uid: '', groups: ['kc:/devs', 'kc:/ops'], extra: {} },
  });
  const wrongClaim = signJwt(makeClaims(first.issuer, { ...claims, azp: 'other' }), KEY);
  t.strictSame(await first.webhook.reviewToken(wrongClaim), { authenticated: false });
  t.match(first.webhook.readOutput(), /claim \\"azp\\" does not have the required value/);

  const second = await setUp(t, ['--oidc-username-claim', 'email', '--oidc-groups-claim', 'groups']);
  const sign = (changes: object): string => signJwt(makeClaims(second.issuer, changes), KEY);
  // The claims of Dex 2.40.
  const dex = { sub: 'CgVhbGljZRIFbG9jYWw', email: 'alice@example.com', email_verified: true, groups: 'devs' };
  t.match(await second.webhook.reviewToken(sign(dex), 'v1beta1'), {
    authenticated: true,
    user: { username: 'alice@example.com', groups: ['devs'] },
  });
  t.match(await second.webhook.reviewToken(sign({ ...dex, groups: ['system:masters', 'devs', ''] })), {
    authenticated: true,
    user: { groups: ['devs'] },
  });
  t.match(second.webhook.readOutput(), /"names":\["system:masters"\].*were dropped/, 'dropped names are logged');
  const refusedClaims: Readonly<Record<string, [object, RegExp]>> = {
    'not verified': [{ ...dex, email_verified: false }, /not verified/],
    'verified as text': [{ ...dex, email_verified: 'true' }, /not verified/],
    'no name': [{ ...dex, email: undefined }, /no user name in the claim \\"email\\"/],
    'an empty name': [{ ...dex, email: '' }, /no user name/],
    'a list of names': [{ ...dex, email: ['a'] }, /no user name/],
    'a name that Kubernetes reserves': [{ ...dex, email: 'system:admin' }, /begins with \\"system:\\"/],
    'groups that are numbers': [{ ...dex, groups: [1] }, /is not a list of groups/],
    'groups in an object': [{ ...dex, groups: { a: 1 } }, /is not a list of groups/],
  };
  for (const [title, [changes, reason]] of Object.entries(refusedClaims)) {
    const offset = second.webhook.readOutput().length;
    t.strictSame(await second.webhook.reviewToken(sign(changes)), { authenticated: false }, title);
    t.match(second.webhook.readOutput().slice(offset), reason, title);
  }
});

void t.test('forged and invalid tokens are refused', async (t) => {
  const { issuer, keystone, webhook } = await setUp(t);
  const claims = makeClaims(issuer, {}, webhook.clock);
  const now = Math.floor(webhook.clock.now() / 1_000);
  const validToken = signJwt(claims, KEY);
  t.match(await webhook.reviewToken(validToken), { authenticated: true, user: { username: `${issuer.url}#u-1` } });
  const [header = '', , signature = ''] = validToken.split('.');
  const pem = KEY.publicKey.export({ type: 'spki', format: 'pem' });
  const { n = '', ...rest } = KEY.publicKey.export({ format: 'jwk' });
  const unknownJwk = UNKNOWN_KEY.publicKey.export({ format: 'jwk' });
  const admin = Buffer.from(JSON.stringify({ ...claims, sub: 'admin' })).toString('base64url');
  const signChanged = (changes: object, header: object = {}): string =>
    signJwt(makeClaims(issuer, changes, webhook.clock), KEY, header);
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const es256Header = Buffer.from('{"alg":"ES256","kid":"first"}').toString('base64url');
  const es256Input = `${es256Header}.${validToken.split('.')[1] ?? ''}`;
  const es256Signature = sign('sha256', Buffer.from(es256Input), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' });
  const wrongAlgorithm = /its algorithm is not allowed/;
  const unrecognized = /belongs to neither Keystone nor a configured issuer/;
  const unreadable = /it is not a readable JWT/;
  const wrongClaim = (claim: string): RegExp => new RegExp(`its claim \\\\"${claim}\\\\" is missing or wrong`);
  const invalidTokens: Readonly<Record<string, [token: string, reason: RegExp]>> = {
    'alg none': [forgeJwt(claims, { alg: 'none' }), wrongAlgorithm],
    'alg None': [forgeJwt(claims, { alg: 'None', kid: KEY.kid }), wrongAlgorithm],
    'alg none with a signature': [`${forgeJwt(claims, { alg: 'none' })}${signature}`, wrongAlgorithm],
    'no alg': [forgeJwt(claims, { typ: 'JWT' }, 'x'), unreadable],
    'HS256 with the public key': [forgeJwt(claims, { alg: 'HS256', kid: KEY.kid }, pem), wrongAlgorithm],
    'HS256 with the modulus': [
      forgeJwt(claims, { alg: 'HS256', kid: KEY.kid }, Buffer.from(n, 'base64url')),
      wrongAlgorithm,
    ],
    'HS256 with an empty secret': [forgeJwt(claims, { alg: 'HS256', kid: KEY.kid }, ''), wrongAlgorithm],
    'RS256 without a signature': [forgeJwt(claims, { alg: 'RS256', kid: KEY.kid }), /signature is wrong/],
    'another algorithm of the same key': [signChanged({}, { alg: 'PS256' }), wrongAlgorithm],
    'an algorithm of another key': [`${es256Input}.${es256Signature.toString('base64url')}`, wrongAlgorithm],
    'another payload': [`${header}.${admin}.${signature}`, /signature is wrong/],
    'the signature of another key': [signJwt(claims, { ...UNKNOWN_KEY, kid: KEY.kid }), /signature is wrong/],
    'a key inside the token': [
      signJwt(
        claims,
        { ...UNKNOWN_KEY, kid: KEY.kid },
        { jwk: unknownJwk, jku: `${issuer.url}/evil`, x5u: `${issuer.url}/evil` },
      ),
      /signature is wrong/,
    ],
    'a critical header': [signChanged({}, { crit: ['exp'], exp: 1 }), unreadable],
    'not encoded': [signChanged({}, { b64: false, crit: ['b64'] }), /unreadable|not a readable JWT|signature/],
    expired: [signChanged({ exp: now - 31 }), /has expired/],
    'not yet valid': [signChanged({ nbf: now + 60 }), wrongClaim('nbf')],
    'no expiry': [signChanged({ exp: undefined }), wrongClaim('exp')],
    'an expiry that is text': [signChanged({ exp: 'never' }), wrongClaim('exp')],
    'no audience': [signChanged({ aud: undefined }), wrongClaim('aud')],
    'another audience': [signChanged({ aud: 'kubernetes2' }), wrongClaim('aud')],
    'other audiences': [signChanged({ aud: ['a', 'b'] }), wrongClaim('aud')],
    'an audience in an object': [signChanged({ aud: { 0: CLIENT_ID } }), wrongClaim('aud')],
    'another issuer': [signChanged({ iss: 'https://dex.example.com' }), unrecognized],
    'the issuer with a slash': [signChanged({ iss: `${issuer.url}/` }), unrecognized],
    'a list of issuers': [signChanged({ iss: [issuer.url] }), unrecognized],
    'no issuer': [signChanged({ iss: undefined }), unrecognized],
    'a service account': [
      signChanged({ iss: 'kubernetes/serviceaccount', sub: 'system:serviceaccount:a:b' }),
      unrecognized,
    ],
    'too long': [signChanged({ x: 'x'.repeat(40_000) }), unrecognized],
    'far too long': [signChanged({ x: 'x'.repeat(700_000) }), unrecognized],
    'five parts': [`${validToken}.x.y`, unrecognized],
    'two parts': [validToken.slice(0, validToken.lastIndexOf('.')), unrecognized],
    'with a space in it': [validToken.replace('.', ' .'), unrecognized],
  };
  t.equal(typeof rest.e, 'string');
  for (const [title, [token, reason]] of Object.entries(invalidTokens)) {
    const offset = webhook.readOutput().length;
    t.strictSame(await webhook.reviewToken(token), { authenticated: false }, title);
    t.match(webhook.readOutput().slice(offset), reason, title);
  }
  for (const title of ['a clock that is behind ours', 'a clock that is ahead of ours']) {
    const changes = title.includes('behind') ? { exp: now - 10 } : { nbf: now + 10 };
    t.match(await webhook.reviewToken(signChanged(changes)), { authenticated: true }, title);
  }
  t.strictSame(issuer.requestedPaths, [DISCOVERY_PATH, JWKS_PATH], 'the keys were fetched once');
  t.equal(keystone.requests.length, 0, 'no request to Keystone');
});

const countKeyReads = ({ requestedPaths }: StandInIssuer): number =>
  requestedPaths.filter((path) => path === JWKS_PATH).length;

void t.test('a flood of unknown keys causes one request to the issuer in ten seconds', async (t) => {
  const { issuer, keystone, webhook } = await setUp(t);
  const { clock } = webhook;
  const sign = (key: IssuerKey, header: object = {}): string => signJwt(makeClaims(issuer, {}, clock), key, header);
  t.match(await webhook.reviewToken(sign(KEY)), { authenticated: true });
  for (let round = 0; round < 5; round += 1) {
    const flood = Array.from({ length: 100 }, (_, number) =>
      webhook.reviewToken(sign({ ...UNKNOWN_KEY, kid: `strange-${number}` })),
    );
    const statuses = await Promise.all(flood);
    t.ok(
      statuses.every(({ authenticated }) => authenticated === false),
      'no forged token is accepted',
    );
    t.match(await webhook.reviewToken(sign(KEY)), { authenticated: true }, 'valid tokens are still accepted');
    t.equal(countKeyReads(issuer), 1 + Math.floor(clock.monotonicMs() / 10_000));
    await clock.advance(5_000);
  }

  const second = makeIssuerKey('second');
  issuer.keys = [KEY, second];
  // The last flood was answered with keys that were read five seconds ago.
  t.match(
    await webhook.reviewToken(sign(second)),
    { authenticated: false, error: /read a moment ago/ },
    'kube-apiserver does not cache this response',
  );
  await clock.advance(4_999);
  t.match(await webhook.reviewToken(sign(second)), { authenticated: false, error: /read a moment ago/ });
  await clock.advance(1);
  t.match(await webhook.reviewToken(sign(second)), { authenticated: true }, 'a new key is accepted after ten seconds');
  t.match(await webhook.reviewToken(sign(second, { kid: undefined })), { authenticated: true }, 'without a key ID');
  t.equal(keystone.requests.length, 0);
  const { body } = await webhook.sendRequest({ path: '/metrics' });
  t.match(body, `keystone_auth_issuer_key_reads_total{result="ok"} ${countKeyReads(issuer)}\n`);
  t.match(body, /keystone_auth_token_reviews_total\{result="accepted",source="oidc"\} \d/);
});

void t.test('an issuer that is down or sends invalid keys admits nobody and refuses nobody', async (t) => {
  const servers = await startServers(t);
  const { issuer, keystone } = servers;
  const down = { status: 503, body: '' };
  issuer.responses = { [DISCOVERY_PATH]: down };
  const webhook = await startWebhook(t, servers);
  const { clock } = webhook;
  const token = signJwt(makeClaims(issuer, { exp: Math.floor(clock.now() / 1_000) + 7_200 }), KEY);
  const discovery = (body: object): string => JSON.stringify({ issuer: issuer.url, ...body });
  const faults: Readonly<Record<string, [StandInIssuer['responses'], RegExp]>> = {
    'an outage': [{ [DISCOVERY_PATH]: down }, /answered 503 for its discovery document/],
    'no JSON': [{ [DISCOVERY_PATH]: { status: 200, body: 'x' } }, /discovery document is not a JSON object/],
    'another issuer': [{ [DISCOVERY_PATH]: { status: 200, body: '{"issuer":"https://x"}' } }, /is for another issuer/],
    'keys over http': [
      { [DISCOVERY_PATH]: { status: 200, body: discovery({ jwks_uri: 'http://127.0.0.1/keys' }) } },
      /has no https:\/\/ URL of keys/,
    ],
    'a redirect elsewhere': [
      { [JWKS_PATH]: { status: 302, body: '', location: 'https://127.0.0.2/keys' } },
      /redirect/,
    ],
    'a key set that is too large': [
      { [JWKS_PATH]: { status: 200, body: `{"keys":[${' '.repeat(2_000_000)}]}` } },
      /larger than 1 MiB/,
    ],
    'no keys': [{ [JWKS_PATH]: { status: 200, body: '{"keys":{}}' } }, /contains no keys/],
    'no key set': [{ [JWKS_PATH]: { status: 404, body: '{}' } }, /answered 404 for its key set/],
  };
  t.match(await webhook.reviewToken(token), { authenticated: false, error: /answered 503/ });
  for (const [title, [responses, reason]] of Object.entries(faults)) {
    issuer.responses = responses;
    await clock.advance(1_000);
    const askedAt = clock.monotonicMs();
    t.match(await webhook.reviewToken(token), { authenticated: false, error: reason }, title);
    t.equal(clock.monotonicMs(), askedAt, `${title}: it answers without a wait`);
  }
  issuer.responses = {};
  t.match(await webhook.reviewToken(token), { authenticated: false, error: /404/ }, 'not asked again at once');
  await clock.advance(1_000);
  t.match(await webhook.reviewToken(token), { authenticated: true }, 'accepted a second after the outage');

  issuer.responses = { [DISCOVERY_PATH]: down };
  t.match(await webhook.reviewToken(token), { authenticated: true }, 'the cached keys still count in the next outage');
  await clock.advance(3_599_000);
  const offset = webhook.readOutput().length;
  t.match(await webhook.reviewToken(token), { authenticated: true }, 'for an hour');
  await waitUntil('the keys are read in the background', () =>
    webhook.readOutput().slice(offset).includes('answered 503'),
  );
  await clock.advance(1_000);
  t.match(await webhook.reviewToken(token), { authenticated: false, error: /answered 503/ }, 'and no longer');
  t.equal(keystone.requests.length, 0);
});

void t.test('an issuer that never answers delays a review by less than five seconds', async (t) => {
  const servers = await startServers(t);
  servers.issuer.silentPaths = [DISCOVERY_PATH];
  const webhook = await startWebhook(t, servers);
  const token = signJwt(makeClaims(servers.issuer, {}, webhook.clock), KEY);
  let isAnswered = false;
  const reviewing = webhook.reviewToken(token).finally(() => (isAnswered = true));
  // Not for a request to the issuer: the webhook sends one when it starts.
  await webhook.clock.waitForTimer(REVIEW_MS);
  await webhook.clock.advance(REVIEW_MS - 1);
  t.notOk(isAnswered);
  await webhook.clock.advance(1);
  t.match(await reviewing, { authenticated: false, error: String });
  servers.issuer.silentPaths = [];
  t.match(await webhook.reviewToken(token), { authenticated: true }, 'the keys are requested again');
  t.equal(webhook.clock.monotonicMs(), REVIEW_MS, 'without a wait');
});

void t.test('the keys of a slow issuer are remembered for the next review', async (t) => {
  const servers = await startServers(t);
  const { issuer } = servers;
  const heldBack: (() => void)[] = [];
  issuer.holdBack = (respond) => heldBack.push(respond);
  const webhook = await startWebhook(t, servers);
  const token = signJwt(makeClaims(issuer, {}, webhook.clock), KEY);
  const reviewing = webhook.reviewToken(token);
  await webhook.clock.waitForTimer(REVIEW_MS);
  for (const seconds of [3, 3]) {
    await waitUntil('the issuer has the request', () => heldBack.length > 0);
    await webhook.clock.advance(seconds * 1_000);
    heldBack.shift()?.();
  }
  t.match(await reviewing, { authenticated: false, error: /a later review gets it/ });
  await waitUntil('the keys are read', () => webhook.readOutput().includes('the keys of the issuer were read'));
  t.match(await webhook.reviewToken(token), { authenticated: true });
  t.strictSame(issuer.requestedPaths, [DISCOVERY_PATH, JWKS_PATH]);
});

void t.test('each authenticator gets only its own tokens', async (t) => {
  const sign = (issuer: StandInIssuer, key: IssuerKey = KEY): string => signJwt(makeClaims(issuer), key);
  const oidcOnly = await setUp(t, ['--authenticators', 'oidc', '--keystone-url', '']);
  t.match(await oidcOnly.webhook.reviewToken(sign(oidcOnly.issuer)), { authenticated: true });
  t.strictSame(await oidcOnly.webhook.reviewToken(issueToken(oidcOnly.keystone)), { authenticated: false });
  t.equal(oidcOnly.keystone.requests.length, 0, 'no request to Keystone');

  const keystoneOnly = await setUp(t, ['--authenticators', 'keystone']);
  t.strictSame(await keystoneOnly.webhook.reviewToken(sign(keystoneOnly.issuer)), { authenticated: false });
  t.match(await keystoneOnly.webhook.reviewToken(issueToken(keystoneOnly.keystone)), { authenticated: true });
  t.equal(keystoneOnly.issuer.requestedPaths.length, 0, 'no request to the issuer');

  const both = await setUp(t, ['--authenticators', 'oidc, keystone', '--any-token-shape']);
  t.match(await both.webhook.reviewToken(issueToken(both.keystone)), { authenticated: true });
  const requestCount = both.keystone.requests.length;
  const forgedToken = sign(both.issuer, { ...UNKNOWN_KEY, kid: KEY.kid });
  t.strictSame(await both.webhook.reviewToken(forgedToken), { authenticated: false });
  t.equal(both.keystone.requests.length, requestCount, 'no request to Keystone for a token of the issuer');
  t.strictSame(await both.webhook.reviewToken('any shape'), { authenticated: false });
  t.ok(both.keystone.requests.length > requestCount, 'a request to Keystone for any other token');
});

void t.test('invalid settings of an issuer end the start with one line', async (t) => {
  const issuer = ['--oidc-issuer-url', 'https://dex.example.com'];
  const invalidSettings: readonly [args: readonly string[], message: RegExp][] = [
    [['--authenticators', 'oidc'], /contains oidc, but no issuer is set/],
    [['--authenticators', 'keystone,ldap'], /must contain each of keystone and oidc once at most/],
    [['--authenticators', 'keystone,keystone'], /once at most/],
    [issuer, /--oidc-client-id is missing/],
    [['--oidc-issuer-url', 'http://dex.example.com', '--oidc-client-id', 'x'], /must be an https:\/\/ URL/],
    [['--oidc-issuer-url', 'https://a:b@dex.example.com', '--oidc-client-id', 'x'], /must be an https:\/\/ URL/],
    [['--oidc-issuer-url', 'https://dex.example.com/?x', '--oidc-client-id', 'x'], /must be an https:\/\/ URL/],
    [[...issuer, '--oidc-client-id', 'x', '--oidc-signing-algs', 'RS256,none'], /does not support "none"/],
    [[...issuer, '--oidc-client-id', 'x', '--oidc-signing-algs', 'HS256'], /does not support "HS256"/],
    [[...issuer, '--oidc-client-id', 'x', '--oidc-required-claim', 'x'], /must be NAME=VALUE/],
    [
      [...issuer, '--oidc-client-id', 'x', '--oidc-ca-file', '/nowhere'],
      /--oidc-ca-file: .nowhere cannot be read .ENOENT./,
    ],
  ];
  for (const [args, message] of invalidSettings) {
    t.match(await failToStart(t, { args }), { status: 3, stdout: '', stderr: message }, args.join(' '));
  }
});
