// Tokens of OpenID Connect issuers: of the real provider, and of a stand-in those that no honest issuer makes. Keystone must not
// hear of them, nor the issuer of Keystone's.

import { generateKeyPairSync, sign } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { decideDevice, testWithFederation } from '../support/federation.ts';
import { sendRequest } from '../support/send-request.ts';
import {
  DISCOVERY_PATH,
  forgeJwt,
  JWKS_PATH,
  makeIssuerKey,
  signJwt,
  startStandInIssuer,
} from '../support/stand-in-issuer.ts';
import type { StandInIssuer } from '../support/stand-in-issuer.ts';
import { startStandInKeystone } from '../support/stand-in-keystone.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { logIn } from '../support/tenancy.ts';
import { makeTestPki, startWebhookProcess } from '../support/webhook-process.ts';
import type { WebhookProcess } from '../support/webhook-process.ts';
import { watchRequests, listRequests } from '../support/test-environment.ts';

t.setTimeout(170_000);

const pki = await makeTestPki(t);
const KEY = makeIssuerKey('first');
const STRANGE = makeIssuerKey('strange');
const CLIENT = 'kubernetes';

interface OidcFixture {
  readonly issuer: StandInIssuer;
  readonly keystone: StandInKeystone;
  readonly webhook: WebhookProcess;
}

async function setUp(
  t: Test,
  args: readonly string[] = [],
  prepare: (issuer: StandInIssuer) => void = () => undefined,
): Promise<OidcFixture> {
  const [issuer, keystone] = await Promise.all([startStandInIssuer(t, pki, [KEY]), startStandInKeystone()]);
  t.teardown(() => keystone.close());
  prepare(issuer);
  const own = ['--oidc-issuer-url', issuer.url, '--oidc-client-id', CLIENT, '--oidc-ca-file', pki.ca];
  const webhook = await startWebhookProcess(t, {
    keystoneUrl: `${keystone.url}/v3`,
    pki,
    args: [...own, ...args],
  });
  return { issuer, keystone, webhook };
}

const seconds = (): number => Math.floor(Date.now() / 1000);

/** What the webhook says after `seen` characters; its lines come a moment after its answer. */
async function saysSoon(t: Test, webhook: WebhookProcess, seen: number, says: RegExp, is: string): Promise<void> {
  const startedAt = performance.now();
  while (!says.test(webhook.readOutput().slice(seen)) && performance.now() - startedAt < 5_000) await sleep(10);
  t.match(webhook.readOutput().slice(seen), says, is);
}

/** Claims that are right. */
const claimsOf = ({ url }: StandInIssuer, more: object = {}): object => ({
  iss: url,
  sub: 'u-1',
  aud: CLIENT,
  exp: seconds() + 300,
  iat: seconds(),
  ...more,
});

testWithFederation('the real provider, beside a real Keystone', async (t, federation, world) => {
  const keystone = watchRequests(world.http);
  const { url } = federation.identityProvider;
  const client = federation.clients.public;
  const { ca } = world.pki;
  const args = ['--oidc-issuer-url', url, '--oidc-client-id', client.id, '--oidc-ca-file', ca];
  const webhook = await startWebhookProcess(t, { keystoneUrl: `${keystone.url}/v3`, pki: world.pki, args });

  const begun = await sendRequest(`${url}/device/auth`, {
    form: { client_id: client.id, scope: 'openid profile' },
    ca,
  });
  const device = JSON.parse(begun.body) as { device_code: string; user_code: string };
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
  t.equal(listRequests(keystone).length, 0, 'Keystone is not asked');
  t.strictSame(await webhook.reviewToken(`${issued.id_token.slice(0, -4)}AAAA`), { authenticated: false });
  await saysSoon(t, webhook, 0, /its signature is wrong/, 'its signature');

  const { users, projects } = world.tenancy;
  const token = await logIn(world.http, users.alice, { project: { id: projects.demo.id } });
  t.match(await webhook.reviewToken(token), { authenticated: true, user: { uid: users.alice.id } });
  t.equal(listRequests(keystone).length, 2);

  const another = await startWebhookProcess(t, {
    keystoneUrl: `${keystone.url}/v3`,
    pki: world.pki,
    args: [...args, '--oidc-client-id', 'another'],
  });
  t.strictSame(await another.reviewToken(issued.id_token), { authenticated: false }, 'made for another client');
  await saysSoon(t, another, 0, /its claim \\"aud\\" is missing or wrong/, 'its audience');
  t.notOk(webhook.readOutput().includes(issued.id_token) || another.readOutput().includes(issued.id_token));
});

void t.test('what issuers put into their tokens', async (t) => {
  const keycloak = ['--oidc-username-claim', 'preferred_username', '--oidc-username-prefix', 'kc:'];
  const groups = ['--oidc-groups-claim', 'groups', '--oidc-groups-prefix', 'kc:'];
  const first = await setUp(t, [...keycloak, ...groups, '--oidc-required-claim', 'azp=kubectl, typ=ID']);
  // As of Keycloak 24.
  const claims = {
    azp: 'kubectl',
    typ: 'ID',
    aud: ['account', CLIENT],
    preferred_username: 'alice',
    groups: ['/devs', '/devs', '/ops'],
    email_verified: false,
  };
  t.strictSame(await first.webhook.reviewToken(signJwt(claimsOf(first.issuer, claims), KEY)), {
    authenticated: true,
    user: { username: 'kc:alice', uid: '', groups: ['kc:/devs', 'kc:/ops'], extra: {} },
  });
  const lacking = signJwt(claimsOf(first.issuer, { ...claims, azp: 'other' }), KEY);
  t.strictSame(await first.webhook.reviewToken(lacking), { authenticated: false });
  await saysSoon(t, first.webhook, 0, /claim \\"azp\\" is not what is required/, 'the claim');

  const second = await setUp(t, ['--oidc-username-claim', 'email', '--oidc-groups-claim', 'groups']);
  const of = (more: object): string => signJwt(claimsOf(second.issuer, more), KEY);
  // As of Dex 2.40.
  const dex = { sub: 'CgVhbGljZRIFbG9jYWw', email: 'alice@example.com', email_verified: true, groups: 'devs' };
  t.match(await second.webhook.reviewToken(of(dex), 'v1beta1'), {
    authenticated: true,
    user: { username: 'alice@example.com', groups: ['devs'] },
  });
  t.match(await second.webhook.reviewToken(of({ ...dex, groups: ['system:masters', 'devs', ''] })), {
    authenticated: true,
    user: { groups: ['devs'] },
  });
  await saysSoon(t, second.webhook, 0, /"names":\["system:masters"\].*were dropped/, 'what was dropped');
  const refused: Readonly<Record<string, [object, RegExp]>> = {
    'not verified': [{ ...dex, email_verified: false }, /not verified/],
    'verified in words': [{ ...dex, email_verified: 'true' }, /not verified/],
    'no name': [{ ...dex, email: undefined }, /no user name in the claim \\"email\\"/],
    'an empty name': [{ ...dex, email: '' }, /no user name/],
    'a list of names': [{ ...dex, email: ['a'] }, /no user name/],
    "Kubernetes' own": [{ ...dex, email: 'system:admin' }, /begins with \\"system:\\"/],
    'groups that are numbers': [{ ...dex, groups: [1] }, /no list of groups/],
    'groups in an object': [{ ...dex, groups: { a: 1 } }, /no list of groups/],
  };
  for (const [is, [more, says]] of Object.entries(refused)) {
    const seen = second.webhook.readOutput().length;
    t.strictSame(await second.webhook.reviewToken(of(more)), { authenticated: false }, is);
    await saysSoon(t, second.webhook, seen, says, is);
  }
});

void t.test('tokens that are not what they say', async (t) => {
  const { issuer, keystone, webhook } = await setUp(t);
  const right = claimsOf(issuer);
  const good = signJwt(right, KEY);
  t.match(await webhook.reviewToken(good), { authenticated: true, user: { username: `${issuer.url}#u-1` } });
  const [header = '', , signature = ''] = good.split('.');
  const pem = KEY.publicKey.export({ type: 'spki', format: 'pem' });
  const { n = '', ...rest } = KEY.publicKey.export({ format: 'jwk' });
  const strange = STRANGE.publicKey.export({ format: 'jwk' });
  const admin = Buffer.from(JSON.stringify({ ...right, sub: 'admin' })).toString('base64url');
  const of = (more: object, head: object = {}): string => signJwt(claimsOf(issuer, more), KEY, head);
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const es = `${Buffer.from('{"alg":"ES256","kid":"first"}').toString('base64url')}.${good.split('.')[1] ?? ''}`;
  const esSignature = sign('sha256', Buffer.from(es), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' });
  const algorithm = /its algorithm is not allowed/;
  const nobodys = /no token of Keystone or of an issuer/;
  const unreadable = /it is no JWT that can be read/;
  const wrong = (claim: string): RegExp => new RegExp(`its claim \\\\"${claim}\\\\" is missing or wrong`);
  const hostile: Readonly<Record<string, [token: string, says: RegExp]>> = {
    'alg none': [forgeJwt(right, { alg: 'none' }), algorithm],
    'alg None': [forgeJwt(right, { alg: 'None', kid: KEY.kid }), algorithm],
    'alg none with a signature': [`${forgeJwt(right, { alg: 'none' })}${signature}`, algorithm],
    'no alg': [forgeJwt(right, { typ: 'JWT' }, 'x'), unreadable],
    'HS256 with the public key': [forgeJwt(right, { alg: 'HS256', kid: KEY.kid }, pem), algorithm],
    'HS256 with the modulus': [forgeJwt(right, { alg: 'HS256', kid: KEY.kid }, Buffer.from(n, 'base64url')), algorithm],
    'HS256 with nothing': [forgeJwt(right, { alg: 'HS256', kid: KEY.kid }, ''), algorithm],
    'RS256 that is none': [forgeJwt(right, { alg: 'RS256', kid: KEY.kid }), /signature is wrong/],
    'another algorithm of the same key': [of({}, { alg: 'PS256' }), algorithm],
    'an algorithm of another key': [`${es}.${esSignature.toString('base64url')}`, algorithm],
    'another payload': [`${header}.${admin}.${signature}`, /signature is wrong/],
    "another's signature": [signJwt(right, { ...STRANGE, kid: KEY.kid }), /signature is wrong/],
    'a key of its own': [
      signJwt(
        right,
        { ...STRANGE, kid: KEY.kid },
        { jwk: strange, jku: `${issuer.url}/evil`, x5u: `${issuer.url}/evil` },
      ),
      /signature is wrong/,
    ],
    'a critical header': [of({}, { crit: ['exp'], exp: 1 }), unreadable],
    'not encoded': [of({}, { b64: false, crit: ['b64'] }), /unreadable|no JWT|signature/],
    expired: [of({ exp: seconds() - 31 }), /has expired/],
    'not yet valid': [of({ nbf: seconds() + 60 }), wrong('nbf')],
    'without an end': [of({ exp: undefined }), wrong('exp')],
    'an end in words': [of({ exp: 'never' }), wrong('exp')],
    'no audience': [of({ aud: undefined }), wrong('aud')],
    'another audience': [of({ aud: 'kubernetes2' }), wrong('aud')],
    'other audiences': [of({ aud: ['a', 'b'] }), wrong('aud')],
    'an audience in an object': [of({ aud: { 0: CLIENT } }), wrong('aud')],
    'another issuer': [of({ iss: 'https://dex.example.com' }), nobodys],
    'nearly this issuer': [of({ iss: `${issuer.url}/` }), nobodys],
    'a list of issuers': [of({ iss: [issuer.url] }), nobodys],
    'no issuer': [of({ iss: undefined }), nobodys],
    'a service account': [of({ iss: 'kubernetes/serviceaccount', sub: 'system:serviceaccount:a:b' }), nobodys],
    'too long': [of({ x: 'x'.repeat(40_000) }), nobodys],
    'far too long': [of({ x: 'x'.repeat(700_000) }), nobodys],
    'five parts': [`${good}.x.y`, nobodys],
    'two parts': [good.slice(0, good.lastIndexOf('.')), nobodys],
    'with a space': [`${good} `, nobodys],
  };
  t.equal(typeof rest.e, 'string');
  for (const [is, [token, says]] of Object.entries(hostile)) {
    const seen = webhook.readOutput().length;
    t.strictSame(await webhook.reviewToken(token), { authenticated: false }, is);
    await saysSoon(t, webhook, seen, says, is);
  }
  for (const is of ['a clock that is behind ours', 'a clock that is ahead of ours']) {
    const more = is.includes('behind') ? { exp: seconds() - 10 } : { nbf: seconds() + 10 };
    t.match(await webhook.reviewToken(of(more)), { authenticated: true }, is);
  }
  t.strictSame(issuer.requestedPaths, [DISCOVERY_PATH, JWKS_PATH], 'the issuer has been asked once');
  t.equal(keystone.requests.length, 0, 'and Keystone never');
});

void t.test('keys nobody knows, by the hundred, and a key that is new', async (t) => {
  const { issuer, keystone, webhook } = await setUp(t);
  t.match(await webhook.reviewToken(signJwt(claimsOf(issuer), KEY)), { authenticated: true });
  const startedAt = performance.now();
  const flood = (): Promise<Record<string, unknown>[]> =>
    Promise.all(
      Array.from({ length: 100 }, async (_, number) =>
        webhook.reviewToken(signJwt(claimsOf(issuer), { ...STRANGE, kid: `strange-${number}` })),
      ),
    );
  for (let round = 0; round < 5; round += 1) {
    for (const { authenticated } of await flood()) if (authenticated !== false) t.fail('a forged token counts');
    t.match(await webhook.reviewToken(signJwt(claimsOf(issuer), KEY)), { authenticated: true }, 'users do not notice');
  }
  const most = 2 + Math.floor((performance.now() - startedAt) / 10_000);
  const reads = issuer.requestedPaths.filter((path) => path === JWKS_PATH).length;
  t.ok(reads <= most, `500 tokens of unknown keys: the keys were read ${reads} times, ${most} at most`);

  const second = makeIssuerKey('second');
  issuer.keys = [KEY, second];
  const token = signJwt(claimsOf(issuer), second);
  let status = await webhook.reviewToken(token);
  const rotatedAt = performance.now();
  while (status['authenticated'] !== true && performance.now() - rotatedAt < 15_000) {
    t.match(status, { authenticated: false, error: /read a moment ago/ }, 'which kube-apiserver does not remember');
    await sleep(500);
    status = await webhook.reviewToken(token);
  }
  t.match(status, { authenticated: true }, `a new key counts after ${Math.round(performance.now() - rotatedAt)} ms`);
  const nameless = signJwt(claimsOf(issuer), second, { kid: undefined });
  t.match(await webhook.reviewToken(nameless), { authenticated: true }, 'a token that names no key');
  t.equal(keystone.requests.length, 0);
  const { body } = await webhook.sendRequest({ path: '/metrics' });
  t.match(body, /keystone_auth_issuer_key_reads_total\{result="ok"\} \d/);
  t.match(body, /keystone_auth_token_reviews_total\{result="accepted",source="oidc"\} \d/);
});

void t.test('an issuer that cannot be asked', async (t) => {
  const down = { status: 503, body: '' };
  const { issuer, keystone, webhook } = await setUp(t, [], (one) => {
    one.responses = { [DISCOVERY_PATH]: down };
  });
  const token = signJwt(claimsOf(issuer), KEY);
  const bad: Readonly<Record<string, [StandInIssuer['responses'], RegExp]>> = {
    'an outage': [{ [DISCOVERY_PATH]: down }, /answered 503 for its discovery document/],
    'no JSON': [{ [DISCOVERY_PATH]: { status: 200, body: 'x' } }, /discovery document is no JSON object/],
    'another issuer': [
      { [DISCOVERY_PATH]: { status: 200, body: '{"issuer":"https://x"}' } },
      /is that of another issuer/,
    ],
    'keys over http': [
      {
        [DISCOVERY_PATH]: {
          status: 200,
          body: JSON.stringify({ issuer: issuer.url, jwks_uri: 'http://127.0.0.1/keys' }),
        },
      },
      /names no https:\/\/ URL of keys/,
    ],
    'a redirect elsewhere': [
      { [JWKS_PATH]: { status: 302, body: '', location: 'https://127.0.0.2/keys' } },
      /redirect/,
    ],
    'keys that are too many': [
      { [JWKS_PATH]: { status: 200, body: `{"keys":[${' '.repeat(2_000_000)}]}` } },
      /larger than 1 MiB/,
    ],
    'no keys': [{ [JWKS_PATH]: { status: 200, body: '{"keys":{}}' } }, /holds no keys/],
    'no key set': [{ [JWKS_PATH]: { status: 404, body: '{}' } }, /answered 404 for its key set/],
  };
  for (const [is, [answers, says]] of Object.entries(bad)) {
    issuer.responses = answers;
    await sleep(1_050);
    const startedAt = performance.now();
    t.match(await webhook.reviewToken(token), { authenticated: false, error: says }, is);
    t.ok(performance.now() - startedAt < 5_000);
  }
  issuer.responses = {};
  const backAt = performance.now();
  while ((await webhook.reviewToken(token))['authenticated'] !== true && performance.now() - backAt < 5_000)
    await sleep(50);
  t.match(await webhook.reviewToken(token), { authenticated: true });
  const tookMs = performance.now() - backAt;
  t.ok(tookMs < 4_000, `the issuer is back, and counts after ${Math.round(tookMs)} ms`);
  issuer.responses = { [DISCOVERY_PATH]: down };
  t.match(await webhook.reviewToken(token), { authenticated: true }, 'and when it goes again, its keys are known');
  t.equal(keystone.requests.length, 0);
});

void t.test('who is asked, and in which order', async (t) => {
  const alone = await setUp(t, ['--authenticators', 'oidc', '--keystone-url', '']);
  t.match(await alone.webhook.reviewToken(signJwt(claimsOf(alone.issuer), KEY)), { authenticated: true });
  const keystoneToken = await logInAt(alone.keystone);
  const before = alone.keystone.requests.length;
  t.strictSame(await alone.webhook.reviewToken(keystoneToken), { authenticated: false });
  t.equal(alone.keystone.requests.length, before, 'Keystone is not among them');

  const without = await setUp(t, ['--authenticators', 'keystone']);
  t.strictSame(await without.webhook.reviewToken(signJwt(claimsOf(without.issuer), KEY)), { authenticated: false });
  t.match(await without.webhook.reviewToken(await logInAt(without.keystone)), { authenticated: true });
  t.equal(without.issuer.requestedPaths.length, 0, 'the issuer is not among them');

  const both = await setUp(t, ['--authenticators', 'oidc, keystone', '--any-token-shape']);
  t.match(await both.webhook.reviewToken(await logInAt(both.keystone)), { authenticated: true });
  const asked = both.keystone.requests.length;
  t.strictSame(await both.webhook.reviewToken(signJwt(claimsOf(both.issuer), { ...STRANGE, kid: 'first' })), {
    authenticated: false,
  });
  t.equal(both.keystone.requests.length, asked, "Keystone is not asked about the issuer's tokens");
  t.strictSame(await both.webhook.reviewToken('any shape'), { authenticated: false });
  t.ok(both.keystone.requests.length > asked, 'but about any other');
});

async function logInAt({ url }: StandInKeystone): Promise<string> {
  const user = { name: 'alice', domain: { name: 'acme' }, password: 's3cret' };
  const scope = { project: { name: 'web', domain: { name: 'acme' } } };
  const response = await fetch(`${url}/v3/auth/tokens`, {
    method: 'POST',
    body: JSON.stringify({ auth: { identity: { methods: ['password'], password: { user } }, scope } }),
  });
  return response.headers.get('x-subject-token') ?? '';
}

void t.test('settings that cannot be right', async (t) => {
  const issuer = ['--oidc-issuer-url', 'https://dex.example.com'];
  const bad: readonly [args: readonly string[], says: RegExp][] = [
    [['--authenticators', 'oidc'], /names oidc, but no issuer is set/],
    [['--authenticators', 'keystone,ldap'], /must name each of keystone and oidc once at most/],
    [['--authenticators', 'keystone,keystone'], /once at most/],
    [issuer, /--oidc-client-id is missing/],
    [['--oidc-issuer-url', 'http://dex.example.com', '--oidc-client-id', 'x'], /must be an https:\/\/ URL/],
    [['--oidc-issuer-url', 'https://a:b@dex.example.com', '--oidc-client-id', 'x'], /must be an https:\/\/ URL/],
    [['--oidc-issuer-url', 'https://dex.example.com/?x', '--oidc-client-id', 'x'], /must be an https:\/\/ URL/],
    [[...issuer, '--oidc-client-id', 'x', '--oidc-signing-algs', 'RS256,none'], /knows no "none"/],
    [[...issuer, '--oidc-client-id', 'x', '--oidc-signing-algs', 'HS256'], /knows no "HS256"/],
    [[...issuer, '--oidc-client-id', 'x', '--oidc-required-claim', 'x'], /must be NAME=VALUE/],
    [[...issuer, '--oidc-client-id', 'x', '--oidc-ca-file', '/nowhere'], /check --oidc-ca-file/],
  ];
  for (const [args, message] of bad) {
    const starting = startWebhookProcess(t, { keystoneUrl: 'http://127.0.0.1:9/v3', pki, args });
    await t.rejects(starting, { message }, args.join(' '));
  }
});
