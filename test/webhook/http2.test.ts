// The server over HTTP/2: it answers as over HTTP/1.1, on one connection for many reviews, and its limits hold.
// hostile-clients.test.ts has the attacks.

import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import t from 'tap';
import {
  encodeHeaders,
  FLAG,
  FRAME,
  makeFrame,
  makeReviewHeaders,
  makeWindowUpdate,
  SETTING,
} from '../support/http2-frames.ts';
import type { Handler } from '../support/stand-in-keystone/handlers.ts';
import { findRecordedUser } from '../support/stand-in-keystone/users.ts';
import { sendResponse } from '../support/stand-in-keystone/responses.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeAccessReview, makeFakeToken, makeTokenReview } from '../support/webhook-client.ts';
import type { WebhookResponse } from '../support/webhook-client.ts';
import { countValidations, issueToken, startTestKeystone, VALIDATION } from '../support/webhook-keystone.ts';
import { connectFrameClient, connectOverHttp2, makeReviewFrames } from '../support/webhook-over-http2.ts';
import type { FrameClient } from '../support/webhook-over-http2.ts';
import { shareTestPki } from '../support/webhook-settings.ts';
import { startWebhook } from '../support/webhook.ts';
import type { TestWebhook } from '../support/webhook.ts';

const pki = await shareTestPki();

const HEADERS_MS = 10_000;
const REQUEST_MS = 15_000;
const KEEP_ALIVE_MS = 120_000;

const REVIEW = makeAccessReview({ roles: ['member'] });

/** Lets time pass, as long as a server takes that checks its connections every second. */
async function pass(webhook: TestWebhook, ms: number): Promise<void> {
  await webhook.clock.advance(ms);
  await webhook.clock.advance(1_000);
}

void t.test('each path gives the same answer over HTTP/1.1 and HTTP/2', async (t) => {
  const webhook = await startWebhook(t);
  const client = await connectOverHttp2(t, webhook.port, pki);
  const post = (body: string, headers: Readonly<Record<string, string>> = {}) =>
    ({ method: 'POST', path: '/webhook', body, headers }) as const;
  const rows = [
    { request: { path: '/healthz' }, status: 200 },
    { request: { path: '/readyz?verbose' }, status: 200 },
    { request: { path: '/healthz', method: 'HEAD' }, status: 200 },
    { request: { path: '/healthz', method: 'POST', body: '' }, status: 404 },
    { request: { path: '/nowhere' }, status: 404 },
    { request: { path: '/webhook/' }, status: 404 },
    { request: { path: '/webhook' }, status: 405 },
    { request: { path: '/webhook', method: 'PUT', body: '{}' }, status: 405 },
    { request: post(''), status: 400 },
    { request: post('nonsense'), status: 400 },
    { request: post('['.repeat(500_000)), status: 400 },
    { request: post('{}', { 'content-type': 'x;;;' }), status: 415 },
    { request: post(`{"x":"${'a'.repeat(1024 * 1024)}"}`), status: 413 },
    { request: post(JSON.stringify(REVIEW), { 'content-type': 'text/plain' }), status: 200 },
    { request: post(JSON.stringify(makeTokenReview('junk', 'v1beta1'))), status: 200 },
  ];
  const pick = ({ status, body, headers }: WebhookResponse) => ({
    status,
    body,
    headers: ['content-type', 'content-length', 'allow'].map((name) => headers[name]),
  });
  for (const { request, status } of rows) {
    const title = JSON.stringify(request).slice(0, 80);
    const [first, second] = [await webhook.sendRequest(request), await client.sendRequest(request)];
    t.equal(second.status, status, title);
    t.strictSame(pick(second), pick(first), title);
  }
  const { body } = await client.sendRequest({ path: '/metrics' });
  t.match(body, /keystone_auth_token_reviews_total\{result="refused",source="shape"\} 2/, 'both protocols are counted');
  t.match(body, /keystone_auth_bad_requests_total 10\n/);
});

void t.test('a body without a length that is too large is refused, and the connection is still usable', async (t) => {
  const webhook = await startWebhook(t);
  const client = await connectOverHttp2(t, webhook.port, pki);
  for (let round = 0; round < 5; round += 1) {
    const stream = client.session.request({ ':method': 'POST', ':path': '/webhook' });
    stream.on('error', () => undefined).write('a'.repeat(2 * 1024 * 1024));
    const [headers] = (await once(stream, 'response')) as [Readonly<Record<string, unknown>>];
    t.equal(headers[':status'], 413);
    await once(stream.resume(), 'close');
  }
  t.match(await client.postReview(REVIEW), { status: 200 });
});

void t.test('200 reviews at a time on one connection get the answers to their own tokens and versions', async (t) => {
  const users = Array.from({ length: 100 }, (_, number) => ({
    ...findRecordedUser('alice'),
    id: number.toString(16).padStart(32, '0'),
    name: `user-${number}`,
  }));
  const keystone = await startTestKeystone(t, { users });
  const webhook = await startWebhook(t, { keystone });
  const tokens = users.map((user) => issueToken(keystone, user));
  const client = await connectOverHttp2(t, webhook.port, pki);
  const review = async (user: number, version: string): Promise<void> => {
    const { status, body } = await client.postReview(makeTokenReview(tokens[user] ?? '', version));
    t.match(
      { status, body },
      {
        status: 200,
        body: {
          apiVersion: `authentication.k8s.io/${version}`,
          status: { authenticated: true, user: { username: `user-${user}` } },
        },
      },
    );
  };
  // The first round asks Keystone, which takes its time; the other ones are answered from the cache.
  for (let round = 0; round < 3; round += 1) {
    const reviews = Promise.all(users.flatMap((_, user) => [review(user, 'v1'), review(user, 'v1beta1')]));
    await reviews;
  }
  t.equal(countValidations(keystone), users.length);
});

void t.test('client certificates are required over HTTP/2 too', async (t) => {
  const webhook = await startWebhook(t, {
    args: ['--client-ca-file', pki.ca, '--allowed-client-names', 'alice', '--metrics', 'clients'],
  });
  const certificateOf = ({ cert, key }: { cert: string; key: string }) => ({
    cert: readFileSync(cert),
    key: readFileSync(key),
  });
  const rows = [
    { name: 'nobody', tls: {}, status: 401 },
    { name: 'a certificate of another CA', tls: certificateOf(pki.untrusted.server), status: 401 },
    { name: 'another name', tls: certificateOf(pki.server), status: 401 },
    { name: 'alice', tls: certificateOf(pki.client), status: 200 },
  ];
  for (const { name, tls, status } of rows) {
    const client = await connectOverHttp2(t, webhook.port, pki, tls);
    t.match(await client.postReview(REVIEW), { status }, name);
    t.match(await client.sendRequest({ path: '/metrics' }), { status }, `${name}: /metrics`);
    t.match(await client.sendRequest({ path: '/healthz' }), { status: 200 }, `${name}: /healthz`);
  }
});

void t.test('a connection without a request is closed after 10 s, and an idle one after two minutes', async (t) => {
  const webhook = await startWebhook(t);
  const [silent, halfHeaders, used] = await Promise.all([
    connectFrameClient(t, webhook.port, pki),
    connectFrameClient(t, webhook.port, pki),
    connectFrameClient(t, webhook.port, pki),
  ]);
  await halfHeaders.send(makeFrame(FRAME.headers, FLAG.none, 1, encodeHeaders(makeReviewHeaders(10))));
  await used.send(...makeReviewFrames(1, JSON.stringify(REVIEW)));
  await waitUntil('the review is answered', () => used.frames.some(({ type }) => type === FRAME.data));
  await pass(webhook, HEADERS_MS);
  await waitUntil('those without a request are closed', () => silent.isClosed() && halfHeaders.isClosed());
  t.notOk(used.isClosed());
  for (let passed = HEADERS_MS; passed < KEEP_ALIVE_MS; passed += 10_000) {
    t.notOk(used.isClosed(), `it is open after ${passed} ms`);
    // A ping is no use of the connection.
    await used.send(makeFrame(FRAME.ping, FLAG.none, 0, Buffer.alloc(8)));
    await webhook.clock.advance(10_000);
  }
  await pass(webhook, 0);
  await waitUntil('the idle one is closed', () => used.isClosed());
  t.ok(
    used.frames.some(({ type }) => type === FRAME.goaway),
    'with a notice',
  );
});

const hasReset = ({ frames }: FrameClient, stream: number): boolean =>
  frames.some((frame) => frame.type === FRAME.reset && frame.stream === stream);

void t.test('a request that is not completed, or whose answer is not read, ends after 15 s', async (t) => {
  const webhook = await startWebhook(t);
  const client = await connectFrameClient(t, webhook.port, pki, [[SETTING.initialWindowSize, 0]]);
  const unfinished = makeFrame(FRAME.headers, FLAG.endHeaders, 1, encodeHeaders(makeReviewHeaders(100)));
  await client.send(unfinished, makeFrame(FRAME.data, FLAG.none, 1, Buffer.alloc(10)));
  await client.send(...makeReviewFrames(3, JSON.stringify(REVIEW)));
  await waitUntil('the headers of the answer arrive', () =>
    client.frames.some(({ type, stream }) => type === FRAME.headers && stream === 3),
  );
  await webhook.clock.advance(REQUEST_MS - 1);
  t.notOk(hasReset(client, 1) || hasReset(client, 3));
  await pass(webhook, 0);
  await waitUntil('both streams are reset', () => hasReset(client, 1) && hasReset(client, 3));
  t.notOk(client.isClosed(), 'the connection remains');
});

void t.test('a connection whose client reads nothing is closed', async (t) => {
  const webhook = await startWebhook(t);
  const client = await connectFrameClient(t, webhook.port, pki, [[SETTING.initialWindowSize, 2 ** 31 - 1]]);
  const other = await connectOverHttp2(t, webhook.port, pki);
  client.stopReading();
  await client.send(makeWindowUpdate(0, 2 ** 30));
  const headers = encodeHeaders([
    [':method', 'GET'],
    [':path', '/metrics'],
    [':scheme', 'https'],
    [':authority', 'x'],
  ]);
  const makeRequest = (stream: number): Buffer =>
    makeFrame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, stream, headers);
  // 40 MB, more than the buffers of the operating system hold.
  for (let batch = 0; batch < 120; batch += 1) {
    await client.send(...Array.from({ length: 50 }, (_, number) => makeRequest(2 * (batch * 50 + number) + 1)));
    await other.sendRequest({ path: '/healthz' });
  }
  for (let passed = 0; passed < 2 * REQUEST_MS + 2_000; passed += 1_000) await webhook.clock.advance(1_000);
  client.continueReading();
  await waitUntil('it is closed', () => client.isClosed());
  t.match(await other.sendRequest({ path: '/healthz' }), { status: 200 });
});

void t.test('a shutdown sends clients elsewhere, and completes the running reviews', async (t) => {
  const keystone = await startTestKeystone(t);
  const webhook = await startWebhook(t, { keystone });
  let answerKeystone: () => void = () => undefined;
  const answerLater: Handler = (_request, response) => {
    answerKeystone = () => {
      sendResponse(response, { status: 401, headers: {}, body: { error: { code: 401 } } });
    };
  };
  keystone.answerNext(answerLater, VALIDATION);
  const client = await connectOverHttp2(t, webhook.port, pki);
  const reviewing = client.postReview(makeTokenReview(makeFakeToken()));
  await waitUntil('Keystone has the request', () => countValidations(keystone) === 1);
  webhook.signal('SIGTERM');
  await once(client.session, 'goaway');
  t.notOk(client.session.destroyed);
  for (const path of ['/readyz', '/healthz']) {
    const other = await connectOverHttp2(t, webhook.port, pki);
    const gone = once(other.session, 'goaway');
    t.match(await other.sendRequest({ path }), { status: path === '/readyz' ? 503 : 200 }, 'new ones are served');
    await gone;
  }
  await webhook.clock.advance(1_000);
  answerKeystone();
  t.match(await reviewing, { status: 200, body: { status: { authenticated: false } } }, 'the review is completed');
  t.equal(await webhook.ended, 0);
});
