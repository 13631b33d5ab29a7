// Against a stand-in, for a Keystone that fails: nobody unknown gets in, who is known stays in, and it is over when it is over.

import { randomBytes } from 'node:crypto';
import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import {
  changeResponse,
  respondHtml,
  respondJson,
  respondKeystoneError,
  respondRedirect,
} from '../support/stand-in-faults.ts';
import { startStandInKeystone } from '../support/stand-in-keystone.ts';
import type { Handler, StandInKeystone } from '../support/stand-in-keystone.ts';
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
  const own = server.url.startsWith('https') ? ['--keystone-ca-file', pki.ca] : [];
  const webhook = await startWebhookProcess(t, { keystoneUrl: `${server.url}/v3`, pki, args: [...own, ...args] });
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
  return new Promise((done, fail) => {
    request(`${url}/v3/auth/tokens`, { method: 'POST', rejectUnauthorized: false }, (response) => {
      response.resume();
      done(String(response.headers['x-subject-token']));
    })
      .once('error', fail)
      .end(JSON.stringify({ auth: { identity: { methods: ['password'], password: { user } }, scope } }));
  });
}

const silence: Handler = () => undefined;
const slow: Handler = async (_request, response, { makeDefaultResponse }) => {
  await sleep(10_000);
  const { status, headers, body } = makeDefaultResponse();
  response.writeHead(status, headers).end(JSON.stringify(body));
};

const FAULTS: Readonly<Record<string, Handler>> = {
  hung: silence,
  slow: slow,
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
  'a token without an expiry': changeResponse((answer) => ({ ...answer, body: { token: { user: {} } } })),
  'a list': respondJson(200, []),
  'a redirect elsewhere': respondRedirect(302, 'http://127.0.0.1:9/'),
};

void t.test('whatever Keystone does', async (t) => {
  for (const [is, handler] of Object.entries(FAULTS)) {
    await t.test(is, async (t) => {
      const { standIn, webhook, logIn, countValidations } = await setUp(t);
      const [known, unknown] = [await logIn(), await logIn()];
      t.match(await webhook.reviewToken(known), { authenticated: true });
      standIn.answerAlways(handler, VALIDATE);
      const { status, body, ms } = await webhook.postReview(makeTokenReview(unknown));
      t.match({ status, body }, { status: 200, body: { status: { authenticated: false, error: String } } });
      t.notOk(JSON.stringify(body).includes(unknown), 'the token is not said back');
      t.ok(ms < 5_000, `answered after ${Math.round(ms)} ms`);
      t.match(await webhook.reviewToken(known), { authenticated: true }, 'who is known stays in');
      const before = countValidations();
      standIn.removeHandlers();
      const over = await webhook.postReview(makeTokenReview(unknown));
      t.match(over.body, { status: { authenticated: true } }, 'an outage is not remembered');
      t.ok(over.ms < 2_000, `recovered after ${Math.round(over.ms)} ms`);
      t.equal(countValidations(), before + 1);
      t.equal(await webhook.stop(), 0);
      t.notOk(webhook.readOutput().includes(unknown), 'no log holds the token');
    });
  }
});

void t.test('a Keystone that is killed and comes back', async (t) => {
  const first = await startStandInKeystone();
  const { webhook } = await setUp(t, [], first);
  const token = await logIn(first);
  await first.close();
  t.match(await webhook.reviewToken(token), { authenticated: false, error: /nothing listens there/ });
  const second = await startStandInKeystone({ port: first.port });
  t.teardown(() => second.close());
  const fresh = await logIn(second);
  t.match(await webhook.reviewToken(fresh), { authenticated: true });
  t.strictSame(await webhook.reviewToken(token), { authenticated: false }, 'and knows nothing of the old token');
});

void t.test('a Keystone with a wrong certificate', async (t) => {
  for (const [certificate, says] of [
    [pki.untrusted.server, /certificate is not trusted/],
    [pki.expired, /certificate has expired/],
    [pki.wrongHost, /for another host name/],
  ] as const) {
    const standIn = await startStandInKeystone({ tls: certificate });
    t.teardown(() => standIn.close());
    const { webhook, logIn, countValidations } = await setUp(t, [], standIn);
    t.match(await webhook.reviewToken(await logIn()), { authenticated: false, error: says });
    t.equal(countValidations(), 0, 'the token is not sent');
  }
});

void t.test('a hang of all, and then none: the narrow gate is free again', async (t) => {
  const { standIn, webhook, logIn } = await setUp(t, ['--keystone-concurrency', '4', '--keystone-rate', '1000']);
  const tokens = await Promise.all(Array.from({ length: 24 }, logIn));
  standIn.answerAlways(silence, VALIDATE);
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

void t.test('a thousand reviews of a new token are one question', async (t) => {
  const { webhook, logIn, countValidations } = await setUp(t);
  const token = await logIn();
  const answers = await Promise.all(Array.from({ length: 1_000 }, () => webhook.postReview(makeTokenReview(token))));
  t.ok(answers.every(({ body }) => (body as { status: { authenticated: boolean } }).status.authenticated));
  t.equal(countValidations(), 1);
});

void t.test('a flood of garbage does not lock out who is known', async (t) => {
  const { webhook, logIn, countValidations } = await setUp(t, ['--cache-ttl', '1']);
  const token = await logIn();
  t.match(await webhook.reviewToken(token), { authenticated: true });
  // What a rush after a quiet time may use at once.
  await Promise.all(Array.from({ length: 150 }, () => webhook.reviewToken(makeFakeToken(randomBytes))));
  const before = countValidations();
  const startedAt = performance.now();
  const garbage: Promise<unknown>[] = [];
  let denials = 0;
  let reviews = 0;
  while (performance.now() - startedAt < 4_000) {
    for (let one = 0; one < 20; one += 1) garbage.push(webhook.reviewToken(makeFakeToken(randomBytes)));
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
    `${garbage.length} garbage tokens in ${seconds.toFixed(1)} s: ${rate.toFixed(1)} requests/s to Keystone, ${denials} of ${reviews} denied`,
  );
});

void t.test('a token in use is asked about before its time is over, and nobody waits for that', async (t) => {
  const { standIn, webhook, logIn, countValidations } = await setUp(t, ['--cache-ttl', '6']);
  const token = await logIn();
  t.match(await webhook.reviewToken(token), { authenticated: true });
  const late: Handler = async (_request, response, { makeDefaultResponse }) => {
    await sleep(300);
    const { status, headers, body } = makeDefaultResponse();
    response.writeHead(status, headers).end(JSON.stringify(body));
  };
  standIn.answerAlways(late, VALIDATE);
  const startedAt = performance.now();
  let reviews = 0;
  while (performance.now() - startedAt < 7_000) {
    reviews += 1;
    const { authenticated } = await webhook.reviewToken(token);
    if (authenticated !== true) t.fail('kept out');
    await sleep(50);
  }
  t.equal(countValidations(), 2, 'once at first, and once more');
  const { body } = await webhook.sendRequest({ path: '/metrics' });
  t.match(body, `keystone_auth_token_reviews_total{result="accepted",source="cache"} ${reviews}\n`);
});

void t.test('a token is not good beyond its own end', async (t) => {
  const { standIn, webhook, logIn } = await setUp(t);
  standIn.lifetimeSeconds = 2;
  const token = await logIn();
  t.match(await webhook.reviewToken(token), { authenticated: true });
  await sleep(2_500);
  t.strictSame(await webhook.reviewToken(token), { authenticated: false });
});

void t.test("Keystone's clock is what its tokens end by", async (t) => {
  const { standIn, webhook, logIn } = await setUp(t);
  standIn.clockAheadSeconds = -7_200;
  t.match(await webhook.reviewToken(await logIn()), { authenticated: true }, 'two hours behind');
});
