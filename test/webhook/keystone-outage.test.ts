// Outages of Keystone, with a stand-in: unknown tokens are not accepted, cached tokens still are, and the webhook
// recovers immediately. keystone-authenticator.test.ts has what only time decides.

import t from 'tap';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { changeResponse, respondHtml, respondJson, respondKeystoneError } from '../support/stand-in-faults.ts';
import { respondRedirect } from '../support/stand-in-faults.ts';
import { startStandInKeystone } from '../support/stand-in-keystone.ts';
import type { Handler } from '../support/stand-in-keystone/handlers.ts';
import { sendResponse } from '../support/stand-in-keystone/responses.ts';
import { waitUntil } from '../support/wait-until.ts';
import { countValidations, countValidTokens, issueToken, startTestKeystone } from '../support/webhook-keystone.ts';
import { startKeystoneWithClock, VALIDATION } from '../support/webhook-keystone.ts';
import { shareTestPki } from '../support/webhook-settings.ts';
import { startWebhook } from '../support/webhook.ts';

/** How long a review waits without `--review-timeout`. */
const TIMEOUT_MS = 4_800;

interface Fault {
  readonly handler: Handler;
  /** Keystone sends nothing before the timeout. */
  readonly isSilent?: true;
}

const answerWith = (handler: Handler): Fault => ({ handler });

const FAULTS: Readonly<Record<string, Fault>> = {
  'never answers': { handler: () => undefined, isSilent: true },
  'sends headers and no body': {
    handler: (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    },
    isSilent: true,
  },
  'resets the connection': answerWith((_request, _response, { resetConnection }) => {
    resetConnection();
  }),
  'answers 500': answerWith(
    respondKeystoneError(500, 'An unexpected error prevented the server from fulfilling your request.'),
  ),
  'is behind a proxy that answers 502': answerWith(respondHtml(502)),
  'answers 503': answerWith(respondJson(503, {})),
  'answers 429': answerWith(respondJson(429, { error: { code: 429, message: 'later' } }, { 'retry-after': '60' })),
  'is behind a proxy that answers 401': answerWith(respondHtml(401)),
  'is behind a proxy that answers 403': answerWith(respondHtml(403)),
  'is behind a gateway that answers 401': answerWith(respondJson(401, { error: 'unauthorized' })),
  'is behind a gateway that answers 403': answerWith(respondJson(403, { error: { status: 'PERMISSION_DENIED' } })),
  'answers 404 with the body of another error': answerWith(respondJson(404, { error: { code: 500, message: 'x' } })),
  'does not say who owns the token': answerWith(
    changeResponse(({ body, ...response }) => {
      const { token } = body as { token: object };
      return { ...response, body: { token: { ...token, user: {} } } };
    }),
  ),
  'is behind a proxy that answers 404': answerWith(respondHtml(404)),
  'answers with HTML': answerWith(respondHtml(200)),
  'answers without a token': answerWith(respondJson(200, {})),
  'answers with a token without an expiry': answerWith(
    changeResponse((response) => ({ ...response, body: { token: { user: {} } } })),
  ),
  'answers with a list': answerWith(respondJson(200, [])),
  'redirects elsewhere': answerWith(respondRedirect(302, 'http://127.0.0.1:9/')),
};

for (const [fault, { handler, isSilent }] of Object.entries(FAULTS)) {
  void t.test(`a Keystone that ${fault} neither admits nor refuses a token`, async (t) => {
    const keystone = await startTestKeystone(t);
    const webhook = await startWebhook(t, { keystone });
    const [known, unknown] = [issueToken(keystone), issueToken(keystone)];
    t.match(await webhook.reviewToken(known), { authenticated: true });

    keystone.answerAlways(handler, VALIDATION);
    let isAnswered = false;
    const reviewing = webhook.reviewToken(unknown).finally(() => (isAnswered = true));
    if (isSilent) {
      await waitUntil('Keystone has the request', () => countValidations(keystone) === 2);
      await webhook.clock.advance(TIMEOUT_MS - 1);
      t.notOk(isAnswered, 'the webhook waits for Keystone');
      await webhook.clock.advance(1);
    }
    const status = await reviewing;
    t.match(status, { authenticated: false, error: String });
    t.notOk(JSON.stringify(status).includes(unknown), 'the response does not contain the token');
    const waitedMs = webhook.clock.monotonicMs();
    t.equal(waitedMs, isSilent ? TIMEOUT_MS : 0, 'it answers in time, or without any wait');
    t.match(await webhook.reviewToken(known), { authenticated: true }, 'a cached token is still accepted');

    const before = countValidations(keystone);
    keystone.removeHandlers();
    t.match(await webhook.reviewToken(unknown), { authenticated: true }, 'the failure is not cached');
    t.equal(webhook.clock.monotonicMs(), waitedMs, 'it recovers without any wait');
    t.equal(countValidations(keystone), before + 1);
    t.equal(await webhook.stop(), 0);
    t.notOk(webhook.readOutput().includes(unknown), 'the log does not contain the token');
  });
}

void t.test('a webhook recovers when Keystone is killed and started again', async (t) => {
  const first = await startStandInKeystone({ port: await findFreePort() });
  t.teardown(() => first.close());
  const webhook = await startWebhook(t, { keystone: first });
  const token = issueToken(first);
  await first.close();
  t.match(await webhook.reviewToken(token), { authenticated: false, error: /nothing listens there/ });
  const second = await startTestKeystone(t, { port: first.port });
  t.match(await webhook.reviewToken(issueToken(second)), { authenticated: true });
  t.strictSame(
    await webhook.reviewToken(token),
    { authenticated: false },
    'the restarted Keystone does not know the old token',
  );
});

void t.test('a token is never sent to a Keystone with an invalid certificate', async (t) => {
  const pki = await shareTestPki();
  for (const [certificate, reason] of [
    [pki.untrusted.server, /certificate is not trusted/],
    [pki.expired, /certificate has expired/],
    [pki.wrongHost, /for another host name/],
  ] as const) {
    const keystone = await startTestKeystone(t, { tls: certificate });
    const webhook = await startWebhook(t, { keystone });
    t.match(await webhook.reviewToken(issueToken(keystone)), { authenticated: false, error: reason });
    t.equal(countValidations(keystone), 0, 'the token is not sent');
  }
  const keystone = await startTestKeystone(t, { tls: pki.server });
  const webhook = await startWebhook(t, { keystone });
  t.match(await webhook.reviewToken(issueToken(keystone)), { authenticated: true }, 'a valid certificate');
});

void t.test('200 simultaneous reviews of a new token cause one request', async (t) => {
  const keystone = await startTestKeystone(t);
  const webhook = await startWebhook(t, { keystone, args: ['--log-level', 'info'] });
  const token = issueToken(keystone);
  const statuses = await Promise.all(Array.from({ length: 200 }, () => webhook.reviewToken(token)));
  t.ok(statuses.every(({ authenticated }) => authenticated === true));
  t.equal(countValidations(keystone), 1);
});

void t.test('a cached token is validated again in the background before its time in the cache ends', async (t) => {
  const keystone = await startTestKeystone(t);
  const webhook = await startWebhook(t, { keystone, args: ['--cache-ttl', '6'] });
  const token = issueToken(keystone);
  t.match(await webhook.reviewToken(token), { authenticated: true });
  let reviewCount = 0;
  const review = async (): Promise<void> => {
    reviewCount += 1;
    t.match(await webhook.reviewToken(token), { authenticated: true });
  };
  await webhook.clock.advance(3_999);
  await review();
  await webhook.clock.advance(0);
  t.equal(countValidations(keystone), 1, 'not before two thirds of the time');

  let answerKeystone: () => void = () => undefined;
  const answerLater: Handler = (_request, response, { makeDefaultResponse }) => {
    answerKeystone = () => {
      sendResponse(response, makeDefaultResponse());
    };
  };
  keystone.answerAlways(answerLater, VALIDATION);
  await webhook.clock.advance(1);
  await review();
  await waitUntil('Keystone is asked again', () => countValidations(keystone) === 2);
  for (let round = 0; round < 10; round += 1) await review();
  t.equal(countValidations(keystone), 2, 'one request at a time, and no review waits for it');
  answerKeystone();
  // Time must not pass before: the first verdict is cached until 6 s.
  await waitUntil('the verdict is cached again', async () => (await countValidTokens(webhook)) === 2);
  while (webhook.clock.monotonicMs() < 7_000) {
    await webhook.clock.advance(100);
    await review();
  }
  t.equal(countValidations(keystone), 2, 'validated once at first, and once in the background');
  const { body } = await webhook.sendRequest({ path: '/metrics' });
  t.match(body, `keystone_auth_token_reviews_total{result="accepted",source="cache"} ${reviewCount}\n`);
});

void t.test('a cached token is refused as soon as it expires, without a request', async (t) => {
  const { keystone, follow } = await startKeystoneWithClock(t, { lifetimeSeconds: 20 });
  const webhook = await startWebhook(t, { keystone });
  follow(webhook.clock);
  const token = issueToken(keystone);
  t.match(await webhook.reviewToken(token), { authenticated: true });
  await webhook.clock.advance(10_000);
  t.match(await webhook.reviewToken(token), { authenticated: true }, 'before its expiry');
  await webhook.clock.advance(15_000);
  t.strictSame(await webhook.reviewToken(token), { authenticated: false }, 'after its expiry');
  t.equal(countValidations(keystone), 1);
  t.match(webhook.readOutput(), /the token has expired/);
});

void t.test('the expiry of a token is corrected by the clock of Keystone', async (t) => {
  const keystone = await startTestKeystone(t);
  const webhook = await startWebhook(t, { keystone });
  keystone.clockAheadSeconds = -7_200;
  t.match(
    await webhook.reviewToken(issueToken(keystone)),
    { authenticated: true },
    'a Keystone whose clock is two hours behind',
  );
});
