// A Keystone that needs seconds for each request still logs users in, and the API server gets its answers in time.
// Against a stand-in, and against a real Keystone behind a proxy that holds its responses back.

import t from 'tap';
import type { Test } from 'tap';
import { startDelayingProxy } from '../support/delaying-proxy.ts';
import { respondJson, respondKeystoneError } from '../support/stand-in-faults.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import type { Handler } from '../support/stand-in-keystone/handlers.ts';
import { sendResponse } from '../support/stand-in-keystone/responses.ts';
import { findRecordedUser } from '../support/stand-in-keystone/users.ts';
import { logIn } from '../support/tenancy.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import { waitUntil } from '../support/wait-until.ts';
import type { TokenStatus } from '../support/webhook-client.ts';
import { countValidations, issueToken, startTestKeystone, VALIDATION } from '../support/webhook-keystone.ts';
import { startWebhook } from '../support/webhook.ts';
import type { TestWebhook } from '../support/webhook.ts';

const GROUPS = 'GET /v3/users/';
const ACCEPTED = { authenticated: true, user: { username: 'alice' } };
/** The API server does not cache it. */
const UNKNOWN = { authenticated: false, error: /no answer about the token after 4\.8 s; a later review gets it/ };

/** Responses that wait for the test. */
class HeldBackResponses {
  readonly #responses: (() => void)[] = [];

  readonly add = (respond: () => void): void => void this.#responses.push(respond);

  /** Waits for a request, lets it take its time, and responds. */
  async answerAfter(webhook: TestWebhook, seconds: number, count = 1): Promise<void> {
    await waitUntil('the request arrives', () => this.#responses.length >= count);
    await webhook.clock.advance(seconds * 1_000);
    for (const respond of this.#responses.splice(0, count)) respond();
  }
}

interface Fixture {
  readonly keystone: StandInKeystone;
  readonly webhook: TestWebhook;
  readonly held: HeldBackResponses;
}

async function setUp(t: Test, args: readonly string[] = []): Promise<Fixture> {
  const keystone = await startTestKeystone(t);
  const held = new HeldBackResponses();
  const holdBack: Handler = (_request, response, { makeDefaultResponse }) => {
    held.add(() => {
      sendResponse(response, makeDefaultResponse());
    });
  };
  keystone.answerAlways(holdBack);
  return { keystone, held, webhook: await startWebhook(t, { keystone, args }) };
}

const findGroupRequests = ({ requests }: StandInKeystone): readonly string[] =>
  requests.map(({ method, path }) => `${method} ${path}`).filter((line) => line.startsWith(GROUPS));

/** Reviews a token until its answer is remembered. */
async function waitForAcceptance(webhook: TestWebhook, token: string): Promise<TokenStatus> {
  let status: TokenStatus = {};
  await waitUntil('the answer is remembered', async () => {
    status = await webhook.reviewToken(token);
    return status['authenticated'] === true;
  });
  return status;
}

void t.test('a Keystone that needs 2.5 s and then 2 s logs a user in', async (t) => {
  const { held, webhook, keystone } = await setUp(t);
  const reviewing = webhook.reviewToken(issueToken(keystone));
  await held.answerAfter(webhook, 2.5);
  await held.answerAfter(webhook, 2);
  t.match(await reviewing, ACCEPTED);
  t.equal(webhook.clock.monotonicMs(), 4_500);
});

void t.test('a Keystone that needs 8 s for each request logs a user in with the next review', async (t) => {
  const { held, webhook, keystone } = await setUp(t);
  const token = issueToken(keystone);
  const reviewing = webhook.reviewToken(token);
  await held.answerAfter(webhook, 8);
  t.match(await reviewing, UNKNOWN);
  await held.answerAfter(webhook, 8);
  t.match(await waitForAcceptance(webhook, token), ACCEPTED);
  t.equal(countValidations(keystone), 1, 'it was asked once');
  t.equal(webhook.clock.monotonicMs(), 16_000, 'the next review does not wait');
});

void t.test('a refusal of a slow Keystone is remembered too', async (t) => {
  const { held, webhook, keystone } = await setUp(t);
  const token = issueToken(keystone);
  keystone.answerNext((_request, response) => {
    held.add(() => {
      sendResponse(response, { status: 404, headers: {}, body: { error: { code: 404, message: 'no' } } });
    });
  }, VALIDATION);
  const reviewing = webhook.reviewToken(token);
  await held.answerAfter(webhook, 8);
  t.match(await reviewing, UNKNOWN);
  await waitUntil('it is remembered', async () =>
    (await webhook.sendRequest({ path: '/metrics' })).body?.toString().includes('keystone_auth_refused_tokens 1\n'),
  );
  t.strictSame(await webhook.reviewToken(token), { authenticated: false });
  t.equal(countValidations(keystone), 1);
});

void t.test('the deadlines are options, up to the 30 s of kube-apiserver', async (t) => {
  const { held, webhook, keystone } = await setUp(t, ['--review-timeout', '30', '--keystone-timeout', '20']);
  const token = issueToken(keystone);
  const reviewing = webhook.reviewToken(token);
  await held.answerAfter(webhook, 8);
  await held.answerAfter(webhook, 11);
  t.match(await reviewing, ACCEPTED);

  const late = webhook.reviewToken(issueToken(keystone));
  await held.answerAfter(webhook, 19);
  await waitUntil('the groups are requested', () => findGroupRequests(keystone).length === 2);
  await webhook.clock.advance(1_000);
  t.match(await late, { authenticated: false, error: /within/ }, 'both requests share 20 s');
});

void t.test('the groups of a known user are requested beside a slow validation', async (t) => {
  const { held, webhook, keystone } = await setUp(t, ['--cache-ttl', '1']);
  const token = issueToken(keystone);
  const first = webhook.reviewToken(token);
  await held.answerAfter(webhook, 0);
  await held.answerAfter(webhook, 0);
  t.match(await first, ACCEPTED);
  await webhook.clock.advance(1_000);

  const second = webhook.reviewToken(token);
  await waitUntil('Keystone has the request', () => countValidations(keystone) === 2);
  await webhook.clock.advance(249);
  t.equal(findGroupRequests(keystone).length, 1, 'a fast Keystone is not asked for both at once');
  await webhook.clock.advance(1);
  await held.answerAfter(webhook, 4, 2);
  t.match(await second, ACCEPTED);
  t.equal(webhook.clock.monotonicMs(), 5_250, '4 s for both, not 8 s');
});

/** Makes a JWS token whose claims name this user. */
function makeJws({ clock }: TestWebhook, userId: string): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(clock.now() / 1_000) + 3_600;
  const claims = { sub: userId, exp, openstack_methods: ['password'] };
  return `${encode({ alg: 'ES256' })}.${encode(claims)}.c2lnbmF0dXJl`;
}

void t.test('the claims of a JWS token say whose groups are requested beside its validation', async (t) => {
  const { held, webhook, keystone } = await setUp(t);
  const bob = findRecordedUser('bob');
  for (const [userId, requested] of [
    [bob.id, [`${GROUPS}${bob.id}/groups`]],
    ['..', []],
    ['x/../../tokens', []],
  ] as const) {
    const before = findGroupRequests(keystone).length;
    const validations = countValidations(keystone);
    const reviewing = webhook.reviewToken(makeJws(webhook, userId));
    await waitUntil('Keystone has the request', () => countValidations(keystone) === validations + 1);
    await webhook.clock.advance(250);
    await held.answerAfter(webhook, 0, 1 + requested.length);
    t.strictSame(await reviewing, { authenticated: false }, 'Keystone does not know the token');
    t.strictSame(findGroupRequests(keystone).slice(before), requested);
  }
});

void t.test('groups of another user than the owner of the token do not count', async (t) => {
  const { webhook, keystone } = await setUp(t);
  const held = new HeldBackResponses();
  const [alice, bob] = [findRecordedUser('alice'), findRecordedUser('bob')];
  const domain = { id: 'd', name: 'd' };
  // The claims name alice, but Keystone says that the token is of bob.
  const details = {
    methods: ['password'],
    user: { id: bob.id, name: 'bob', domain },
    project: { id: 'p', name: 'web', domain },
    roles: [{ id: 'r', name: 'member' }],
    expires_at: new Date(webhook.clock.now() + 3_600_000).toISOString(),
  };
  keystone.answerAlways((_request, response) => {
    held.add(() => {
      sendResponse(response, { status: 200, headers: {}, body: { token: details } });
    });
  }, VALIDATION);
  for (const { id, name } of [alice, bob]) {
    const group = { id: `group-of-${name}`, name: `of-${name}`, domain_id: 'd' };
    keystone.answerAlways(respondJson(200, { groups: [group] }), `${GROUPS}${id}`);
  }
  const reviewing = webhook.reviewToken(makeJws(webhook, alice.id));
  await waitUntil('Keystone has the request', () => countValidations(keystone) === 1);
  await webhook.clock.advance(250);
  await waitUntil('the groups of alice are requested', () => findGroupRequests(keystone).length === 1);
  await held.answerAfter(webhook, 0);
  t.match(await reviewing, { authenticated: true, user: { username: 'bob', groups: ['of-bob', 'p'] } });
  t.strictSame(findGroupRequests(keystone), [`${GROUPS}${alice.id}/groups`, `${GROUPS}${bob.id}/groups`]);
});

void t.test('a discovery that fails slowly takes no time from later ones', async (t) => {
  const keystone = await startTestKeystone(t);
  const held = new HeldBackResponses();
  const webhook = await startWebhook(t, { keystone, args: ['--keystone-url', keystone.url] });
  keystone.answerAlways((_request, response) => {
    held.add(() => {
      sendResponse(response, {
        status: 300,
        headers: {},
        body: { versions: { values: [{ id: 'v2.0', status: 'stable' }] } },
      });
    });
  });
  const token = issueToken(keystone);
  for (let round = 0; round < 10; round += 1) {
    const reviewing = webhook.reviewToken(token);
    await held.answerAfter(webhook, 4);
    t.match(await reviewing, { authenticated: false, error: /but not v3/ });
  }
  keystone.removeHandlers();
  t.match(await webhook.reviewToken(token), ACCEPTED);
});

void t.test('a discovery that is answered 503 is not repeated before the API server has an answer', async (t) => {
  const keystone = await startTestKeystone(t);
  const webhook = await startWebhook(t, { keystone, args: ['--keystone-url', keystone.url] });
  keystone.answerAlways(respondJson(503, {}, { 'retry-after': '10' }));
  t.match(await webhook.reviewToken(issueToken(keystone)), { authenticated: false, error: /answered 503/ });
  t.equal(webhook.clock.monotonicMs(), 0);
});

void t.test('a discovery on a connection that has died does not keep other tokens waiting', async (t) => {
  const keystone = await startTestKeystone(t);
  const webhook = await startWebhook(t, { keystone, args: ['--keystone-url', keystone.url] });
  keystone.answerAlways(() => undefined);
  const first = webhook.reviewToken(issueToken(keystone));
  await waitUntil('Keystone has the request', () => keystone.requests.length === 1);
  await webhook.clock.advance(4_800);
  t.match(await first, UNKNOWN);
  keystone.removeHandlers();
  t.match(await webhook.reviewToken(issueToken(keystone)), ACCEPTED);
  t.equal(webhook.clock.monotonicMs(), 4_800);
});

void t.test("Keystone's own 403 for a token is a refusal, and is remembered", async (t) => {
  const keystone = await startTestKeystone(t);
  const webhook = await startWebhook(t, { keystone });
  const message = 'You are not authorized to perform the requested action: identity:validate_token.';
  keystone.answerAlways(respondKeystoneError(403, message, 'Forbidden'), VALIDATION);
  const token = issueToken(keystone);
  for (let round = 0; round < 3; round += 1) t.strictSame(await webhook.reviewToken(token), { authenticated: false });
  t.equal(countValidations(keystone), 1);
});

testWithKeystone('a real Keystone behind a slow proxy logs a user in', async (t, environment) => {
  const { users, projects } = environment.tenancy;
  const proxy = await startDelayingProxy(t, environment.http);
  const webhook = await startWebhook(t, { keystone: proxy, pki: environment.pki });
  const held = new HeldBackResponses();
  const token = await logIn(environment.http, users.alice, { project: { id: projects.demo.id } });
  proxy.holdBack = held.add;
  const first = webhook.reviewToken(token);
  await held.answerAfter(webhook, 8);
  t.match(await first, UNKNOWN);
  await held.answerAfter(webhook, 8);
  t.match(await waitForAcceptance(webhook, token), ACCEPTED);
  t.equal(proxy.requests.length, 2, 'one validation, and one request for the groups');

  const other = webhook.reviewToken(await logIn(environment.http, users.alice, { project: { id: projects.demo.id } }));
  await held.answerAfter(webhook, 2.5);
  await held.answerAfter(webhook, 2);
  t.match(await other, ACCEPTED);
});
