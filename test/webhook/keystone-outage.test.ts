// Outages of Keystone, with a stand-in: unknown tokens are not accepted, cached tokens still are, and the webhook
// recovers immediately.

import { randomBytes } from 'node:crypto';
import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { changeResponse, respondHtml, respondJson, respondKeystoneError } from '../support/stand-in-faults.ts';
import { respondRedirect } from '../support/stand-in-faults.ts';
import { startStandInKeystone } from '../support/stand-in-keystone.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import type { Handler } from '../support/stand-in-keystone/handlers.ts';
import { makeFakeToken, makeTestPki, startWebhookProcess, makeTokenReview } from '../support/webhook-process.ts';
import type { WebhookProcess } from '../support/webhook-process.ts';

t.setTimeout(170_000);

const pki = await makeTestPki(t);
const VALIDATE = 'GET /v3/auth/tokens';

interface OutageFixture {
  readonly standIn: StandInKeystone;
  readonly webhook: WebhookProcess;
  readonly logIn: () => Promise<string>;
  readonly countValidations: () => number;
}

async function setUp(t: Test, args: readonly string[] = [], standIn?: StandInKeystone): Promise<OutageFixture> {
  const server = standIn ?? (await startStandInKeystone());
  if (standIn === undefined) t.teardown(() => server.close());
  const caArgs = server.url.startsWith('https') ? ['--keystone-ca-file', pki.ca] : [];
  const webhook = await startWebhookProcess(t, { keystoneUrl: `${server.url}/v3`, pki, args: [...caArgs, ...args] });
  return {
    standIn: server,
    webhook,
    logIn: () => logIn(server),
    countValidations: () =>
      server.requests.filter(({ method, path }) => `${method} ${path}`.startsWith(VALIDATE)).length,
  };
}

async function logIn({ url }: StandInKeystone): Promise<string> {
  const user = { name: 'alice', domain: { name: 'acme' }, password: 's3cret' };
  const scope = { project: { name: 'web', domain: { name: 'acme' } } };
  const request = url.startsWith('https') ? requestTls : requestPlain;
  return new Promise((resolve, reject) => {
    request(`${url}/v3/auth/tokens`, { method: 'POST', rejectUnauthorized: false }, (response) => {
      response.resume();
      resolve(String(response.headers['x-subject-token']));
    })
      .once('error', reject)
      .end(JSON.stringify({ auth: { identity: { methods: ['password'], password: { user } }, scope } }));
  });
}

const neverAnswer: Handler = () => undefined;
const answerLate: Handler = async (_request, response, { makeDefaultResponse }) => {
  await sleep(10_000);
  const { status, headers, body } = makeDefaultResponse();
  response.writeHead(status, headers).end(JSON.stringify(body));
};

const FAULTS: Readonly<Record<string, Handler>> = {
  hung: neverAnswer,
  slow: answerLate,
  reset: (_request, _response, { resetConnection }) => {
    resetConnection();
  },
  '500': respondKeystoneError(500, 'An unexpected error prevented the server from fulfilling your request.'),
  '502 from a proxy': respondHtml(502),
  '503': respondJson(503, {}),
  '429': respondJson(429, { error: { code: 429, message: 'later' } }, { 'retry-after': '60' }),
  '401 from a proxy': respondHtml(401),
  '403': respondKeystoneError(403, 'You are not authorized'),
  '404 from a proxy': respondHtml(404),
  HTML: respondHtml(200),
  'no token': respondJson(200, {}),
  'a token without an expiry': changeResponse((response) => ({ ...response, body: { token: { user: {} } } })),
  'a list': respondJson(200, []),
  'a redirect elsewhere': respondRedirect(302, 'http://127.0.0.1:9/'),
};

void t.test('faults of Keystone', async (t) => {
  for (const [title, handler] of Object.entries(FAULTS)) {
    await t.test(title, async (t) => {
      const { standIn, webhook, logIn, countValidations } = await setUp(t);
      const [known, unknown] = [await logIn(), await logIn()];
      t.match(await webhook.reviewToken(known), { authenticated: true });
      standIn.answerAlways(handler, VALIDATE);
      const { status, body, ms } = await webhook.postReview(makeTokenReview(unknown));
      t.match({ status, body }, { status: 200, body: { status: { authenticated: false, error: String } } });
      t.notOk(JSON.stringify(body).includes(unknown), 'the response does not contain the token');
      t.ok(ms < 5_000, `answered after ${Math.round(ms)} ms`);
      t.match(await webhook.reviewToken(known), { authenticated: true }, 'a cached token is still accepted');
      const before = countValidations();
      standIn.removeHandlers();
      const recovery = await webhook.postReview(makeTokenReview(unknown));
      t.match(recovery.body, { status: { authenticated: true } }, 'the failure is not cached');
      t.ok(recovery.ms < 2_000, `recovered after ${Math.round(recovery.ms)} ms`);
      t.equal(countValidations(), before + 1);
      t.equal(await webhook.stop(), 0);
      t.notOk(webhook.readOutput().includes(unknown), 'the log does not contain the token');
    });
  }
});

void t.test('Keystone is killed and restarted', async (t) => {
  const first = await startStandInKeystone();
  const { webhook } = await setUp(t, [], first);
  const token = await logIn(first);
  await first.close();
  t.match(await webhook.reviewToken(token), { authenticated: false, error: /nothing listens there/ });
  const second = await startStandInKeystone({ port: first.port });
  t.teardown(() => second.close());
  const fresh = await logIn(second);
  t.match(await webhook.reviewToken(fresh), { authenticated: true });
  t.strictSame(
    await webhook.reviewToken(token),
    { authenticated: false },
    'the restarted Keystone does not know the old token',
  );
});

void t.test('an invalid certificate', async (t) => {
  for (const [certificate, reason] of [
    [pki.untrusted.server, /certificate is not trusted/],
    [pki.expired, /certificate has expired/],
    [pki.wrongHost, /for another host name/],
  ] as const) {
    const standIn = await startStandInKeystone({ tls: certificate });
    t.teardown(() => standIn.close());
    const { webhook, logIn, countValidations } = await setUp(t, [], standIn);
    t.match(await webhook.reviewToken(await logIn()), { authenticated: false, error: reason });
    t.equal(countValidations(), 0, 'the token is not sent');
  }
});

void t.test('requests that hang do not block those after the outage', async (t) => {
  const { standIn, webhook, logIn } = await setUp(t, ['--keystone-concurrency', '4', '--keystone-rate', '1000']);
  const tokens = await Promise.all(Array.from({ length: 24 }, logIn));
  standIn.answerAlways(neverAnswer, VALIDATE);
  const during = tokens.slice(0, 20).map((token) => webhook.postReview(makeTokenReview(token)));
  await sleep(1_500);
  standIn.removeHandlers();
  const after = await Promise.all(tokens.slice(20).map((token) => webhook.postReview(makeTokenReview(token))));
  for (const { body, ms } of after) {
    t.match(body, { status: { authenticated: true } });
    t.ok(ms < 2_000, `${Math.round(ms)} ms after Keystone was back`);
  }
  for (const { ms, body } of await Promise.all(during)) {
    t.ok(ms < 5_000, `${Math.round(ms)} ms`);
    t.match(body, { status: { authenticated: Boolean } });
  }
});

void t.test('a thousand reviews of a new token cause one request', async (t) => {
  const { webhook, logIn, countValidations } = await setUp(t);
  const token = await logIn();
  const responses = await Promise.all(Array.from({ length: 1_000 }, () => webhook.postReview(makeTokenReview(token))));
  t.ok(responses.every(({ body }) => (body as { status: { authenticated: boolean } }).status.authenticated));
  t.equal(countValidations(), 1);
});

void t.test('a flood of garbage tokens does not lock out known tokens', async (t) => {
  const { webhook, logIn, countValidations } = await setUp(t, ['--cache-ttl', '1']);
  const token = await logIn();
  t.match(await webhook.reviewToken(token), { authenticated: true });
  // Uses up the burst.
  await Promise.all(Array.from({ length: 150 }, () => webhook.reviewToken(makeFakeToken(randomBytes))));
  const before = countValidations();
  const startedAt = performance.now();
  const garbage: Promise<unknown>[] = [];
  let denials = 0;
  let reviews = 0;
  while (performance.now() - startedAt < 4_000) {
    for (let index = 0; index < 20; index += 1) garbage.push(webhook.reviewToken(makeFakeToken(randomBytes)));
    reviews += 1;
    const status = await webhook.sendRequest({
      method: 'POST',
      path: '/webhook',
      body: JSON.stringify(makeTokenReview(token)),
      tls: {},
    });
    if (!(status.body as { status: { authenticated: boolean } }).status.authenticated) denials += 1;
    await sleep(40);
  }
  const verdicts = (await Promise.all(garbage)) as { authenticated: boolean }[];
  const seconds = (performance.now() - startedAt) / 1_000;
  const rate = (countValidations() - before) / seconds;
  t.equal(denials, 0, `${reviews} reviews of a known token`);
  t.notOk(verdicts.some(({ authenticated }) => authenticated));
  t.ok(rate <= 20, `${garbage.length} garbage tokens: ${rate.toFixed(1)} requests/s to Keystone`);
  t.comment(
    `${garbage.length} garbage tokens in ${seconds.toFixed(1)} s: ${rate.toFixed(1)} requests/s to Keystone, ` +
      `${denials} of ${reviews} denied`,
  );
});

void t.test('a cached token is validated again in the background before it expires', async (t) => {
  const { standIn, webhook, logIn, countValidations } = await setUp(t, ['--cache-ttl', '6']);
  const token = await logIn();
  t.match(await webhook.reviewToken(token), { authenticated: true });
  const answerAfterDelay: Handler = async (_request, response, { makeDefaultResponse }) => {
    await sleep(300);
    const { status, headers, body } = makeDefaultResponse();
    response.writeHead(status, headers).end(JSON.stringify(body));
  };
  standIn.answerAlways(answerAfterDelay, VALIDATE);
  const startedAt = performance.now();
  let reviews = 0;
  while (performance.now() - startedAt < 7_000) {
    reviews += 1;
    const { authenticated } = await webhook.reviewToken(token);
    if (authenticated !== true) t.fail('a review was refused');
    await sleep(50);
  }
  t.equal(countValidations(), 2, 'validated once at first, and once in the background');
  const { body } = await webhook.sendRequest({ path: '/metrics' });
  t.match(body, `keystone_auth_token_reviews_total{result="accepted",source="cache"} ${reviews}\n`);
});

void t.test('a cached token expires when the token does', async (t) => {
  const { standIn, webhook, logIn } = await setUp(t);
  standIn.lifetimeSeconds = 2;
  const token = await logIn();
  t.match(await webhook.reviewToken(token), { authenticated: true });
  await sleep(2_500);
  t.strictSame(await webhook.reviewToken(token), { authenticated: false });
});

void t.test('the expiry is corrected by the clock of Keystone', async (t) => {
  const { standIn, webhook, logIn } = await setUp(t);
  standIn.clockAheadSeconds = -7_200;
  t.match(
    await webhook.reviewToken(await logIn()),
    { authenticated: true },
    'a Keystone whose clock is two hours behind',
  );
});
