/**
 * The listener that a browser comes back to, against what any page of that browser and any user of the machine can send
 * to it: nothing of that may end the login, fail it, or be repeated in an answer.
 */
import { createServer, request } from 'node:http';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { openCallbackListener } from '../../src/plugin/browser/callback-listener.ts';
import type { CallbackListener, CallbackListenerSettings } from '../../src/plugin/browser/callback-listener.ts';
import { AuthRejected, ConfigError } from '../../src/shared/base/errors.ts';

const STATE = 'state-w3Zq';
const CANARY = 'canary-code-81';
const ORIGIN = 'https://keystone.example.com:5000';
const FORM = 'application/x-www-form-urlencoded';

interface CallbackRequest {
  readonly verb?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Where it goes to, whatever its Host says. */
  readonly address?: string;
}

interface CallbackResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

async function open(t: Test, parts: Partial<CallbackListenerSettings> = {}): Promise<CallbackListener> {
  const listener = await openCallbackListener({
    url: 'http://127.0.0.1:0/callback',
    verb: 'GET',
    portHint: 'set --redirect-port to another',
    detail: () => undefined,
    ...parts,
  });
  t.teardown(() => {
    listener.close();
  });
  return listener;
}

/** undefined where the connection was closed without an answer. */
async function send(
  { url }: CallbackListener,
  { verb = 'GET', path, headers = {}, body, address }: CallbackRequest,
): Promise<CallbackResponse | undefined> {
  const { host, hostname, port, pathname } = new URL(url);
  const to = address ?? (hostname === 'localhost' ? '127.0.0.1' : hostname.replace(/^\[|\]$/g, ''));
  return new Promise((done) => {
    const type = verb === 'POST' ? { 'content-type': FORM } : {};
    const outgoing = request(
      { host: to, port, method: verb, path: path ?? pathname, headers: { host, ...type, ...headers }, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('close', () => {
          done({ status: response.statusCode ?? 0, headers: response.headers, body: text });
        });
      },
    );
    outgoing.on('error', () => {
      done(undefined);
    });
    outgoing.end(body);
  });
}

const acceptCode = (values: ReadonlyMap<string, string>): string | undefined => {
  if (values.get('state') !== STATE) return undefined;
  if (values.has('error')) throw new AuthRejected('auth-rejected', 'the provider refused');
  return values.get('code');
};

const right = `/callback?code=${CANARY}&state=${STATE}`;

function checkPage(t: Test, answer: CallbackResponse | undefined, status: number): void {
  t.equal(answer?.status, status);
  if (answer === undefined) return;
  t.equal(answer.headers['cache-control'], 'no-store');
  t.equal(answer.headers['referrer-policy'], 'no-referrer');
  t.equal(answer.headers['x-content-type-options'], 'nosniff');
  t.match(answer.headers['content-security-policy'], /^default-src 'none'; .*frame-ancestors 'none'/);
  t.notOk(
    Object.keys(answer.headers).some((name) => name.startsWith('access-control-')),
    'no other page may read it',
  );
  t.notMatch(answer.body, /<script|src=|href=|canary|state-w3Zq/i, 'it runs, loads and repeats nothing');
}

/** Sends each of `corpus`; none may count. */
async function checkRefused(
  t: Test,
  listener: CallbackListener,
  corpus: Readonly<Record<string, CallbackRequest>>,
): Promise<void> {
  for (const [name, sent] of Object.entries(corpus)) {
    const answer = await send(listener, sent);
    const status = answer?.status ?? 0;
    t.ok([0, 400, 404, 405, 417, 431].includes(status), `${name} is answered with ${String(status)}`);
    if (status === 400 || status === 404) t.notMatch(answer?.body, /canary|state-w3Zq/, `${name} is not repeated`);
  }
}

void t.test('the one right request ends it, and then nothing listens any more', async (t) => {
  const listener = await open(t);
  const received = listener.receive(acceptCode);
  checkPage(t, await send(listener, { path: right }), 200);
  t.equal(await received, CANARY);
  listener.close();
  t.equal(await send(listener, { path: right }), undefined);
});

void t.test('what any page can send neither ends nor fails it', async (t) => {
  const listener = await open(t);
  let settled = false;
  const received = listener.receive(acceptCode).finally(() => (settled = true));
  const { port } = new URL(listener.url);
  const frame = { 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'iframe' };
  await checkRefused(t, listener, {
    'another state': { path: `/callback?code=${CANARY}&state=other` },
    'no state': { path: `/callback?code=${CANARY}` },
    'an error without the state': { path: '/callback?error=access_denied' },
    'an error with another state': { path: '/callback?error=access_denied&state=x' },
    'two states': { path: `/callback?code=x&state=other&state=${STATE}` },
    'two codes': { path: `/callback?code=x&code=${CANARY}&state=${STATE}` },
    'no query': { path: '/callback' },
    'another path': { path: `/?code=${CANARY}&state=${STATE}` },
    'a longer path': { path: `/callback/x?code=${CANARY}&state=${STATE}` },
    'a path that leads back': { path: `/x/../callback?code=${CANARY}&state=${STATE}` },
    'an absolute target': { path: `http://127.0.0.1:${port}${right}` },
    'a favicon': { path: '/favicon.ico' },
    HEAD: { verb: 'HEAD', path: right },
    POST: { verb: 'POST', path: right, body: `code=${CANARY}&state=${STATE}` },
    OPTIONS: { verb: 'OPTIONS', path: right, headers: { 'access-control-request-private-network': 'true' } },
    "an attacker's host": { path: right, headers: { host: `rebound.example:${port}` } },
    'a host without the port': { path: right, headers: { host: '127.0.0.1' } },
    'localhost where the address was given': { path: right, headers: { host: `localhost:${port}` } },
    'a hidden frame': { path: right, headers: frame },
    'an image': { path: right, headers: { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' } },
    'a script': { path: right, headers: { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' } },
    'markup in the query': { path: `/callback?code=<script>canary</script>&state=%3Cb%3E` },
    'endless headers': { path: right, headers: { cookie: 'x'.repeat(100_000) } },
  });
  t.equal(settled, false);
  const page = { 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'document' };
  checkPage(t, await send(listener, { path: right, headers: { ...page, cookie: 'x'.repeat(20_000) } }), 200);
  t.equal(await received, CANARY);
});

void t.test('the provider says no', async (t) => {
  const listener = await open(t);
  const received = listener.receive(acceptCode);
  received.catch(() => undefined);
  checkPage(
    t,
    await send(listener, { path: `/callback?error=access_denied&error_description=canary&state=${STATE}` }),
    200,
  );
  await t.rejects(received, { message: 'the provider refused' });
});

void t.test('nothing counts before it is waited for', async (t) => {
  const listener = await open(t);
  checkPage(t, await send(listener, { path: right }), 400);
  const received = listener.receive(acceptCode);
  await send(listener, { path: right });
  t.equal(await received, CANARY);
});

void t.test('the first of many at once counts, and only the first', async (t) => {
  const listener = await open(t);
  const received = listener.receive(acceptCode);
  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, index) =>
      send(listener, { path: `/callback?code=c${String(index)}&state=${STATE}` }),
    ),
  );
  t.equal(answers.filter((answer) => answer?.status === 200).length, 1);
  t.match(await received, /^c\d+$/);
});

void t.test('a form from Keystone', async (t) => {
  const listener = await open(t, { verb: 'POST', url: 'http://localhost:0/auth/websso/', origin: ORIGIN });
  let settled = false;
  const received = listener.receive((values) => values.get('token')).finally(() => (settled = true));
  const body = `token=${CANARY}`;
  const post = (headers: Record<string, string>, parts: Partial<CallbackRequest> = {}): CallbackRequest => ({
    verb: 'POST',
    body,
    headers,
    ...parts,
  });
  await checkRefused(t, listener, {
    'from another page': post({ origin: 'https://evil.example' }),
    'from another port': post({ origin: 'https://keystone.example.com' }),
    'from another page, which the referrer tells': post({ origin: 'null', referer: 'https://evil.example/' }),
    'from a page of localhost': post({ origin: 'http://localhost:8080' }),
    'from a hidden frame': post({ origin: 'null', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' }),
    'by a script': post({ origin: ORIGIN, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'empty' }),
    'as text': post({ origin: ORIGIN, 'content-type': 'text/plain' }),
    'as JSON': post(
      { origin: ORIGIN, 'content-type': 'application/json' },
      { body: JSON.stringify({ token: CANARY }) },
    ),
    'with another field': post({ origin: ORIGIN }, { body: `token2=${CANARY}` }),
    'with two tokens': post({ origin: ORIGIN }, { body: `${body}&token=other` }),
    'with nothing in it': post({ origin: ORIGIN }, { body: '' }),
    'in the query': post({ origin: ORIGIN }, { path: `/auth/websso/?${body}`, body: '' }),
    'as GET': { path: `/auth/websso/?${body}` },
    'more than 64 KiB': post({ origin: ORIGIN }, { body: `token=${'x'.repeat(70_000)}` }),
    'the path without its slash': post({ origin: ORIGIN }, { path: '/auth/websso' }),
  });
  t.equal(settled, false);
  const navigation = { 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'document' };
  const headers = { origin: 'null', referer: `${ORIGIN}/`, 'content-type': `${FORM}; charset=utf-8`, ...navigation };
  checkPage(t, await send(listener, post(headers)), 200);
  t.equal(await received, CANARY);
});

void t.test('a form that comes slowly, or never ends, is in nobody’s way', async (t) => {
  const listener = await open(t, { verb: 'POST', url: 'http://127.0.0.1:0/auth/websso/' });
  const received = listener.receive((values) => values.get('token'));
  const { host, port } = new URL(listener.url);
  const head = `POST /auth/websso/ HTTP/1.1\r\nHost: ${host}\r\nContent-Type: ${FORM}\r\n`;
  const starts = [
    `${head}Content-Length: 1000\r\n\r\ntoken=`,
    `${head}Transfer-Encoding: chunked\r\n\r\n5\r\ntoken\r\n`,
    'POST /au',
    '',
  ];
  const sockets = starts.map((text) => {
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => undefined).resume();
    socket.write(text);
    return new Promise((done) => socket.once('close', done));
  });
  await sleep(100);
  await send(listener, { verb: 'POST', body: `token=${CANARY}` });
  t.equal(await received, CANARY);
  listener.close();
  await Promise.all(sockets);
  t.pass('all are cut off at the end');
});

void t.test('half a request is cut off although nobody else comes', { timeout: 25_000 }, async (t) => {
  const listener = await open(t, { verb: 'POST', url: 'http://127.0.0.1:0/x' });
  void listener.receive(() => undefined);
  const { host, port } = new URL(listener.url);
  const socket = connect(Number(port), '127.0.0.1');
  const closed = new Promise((done) =>
    socket
      .on('error', () => undefined)
      .resume()
      .once('close', done),
  );
  socket.write(`POST /x HTTP/1.1\r\nHost: ${host}\r\nContent-Type: ${FORM}\r\nContent-Length: 1000\r\n\r\n`);
  const dripping = setInterval(() => socket.write('x'), 200);
  t.teardown(() => {
    clearInterval(dripping);
  });
  const began = Date.now();
  await closed;
  t.ok(Date.now() - began < 15_000, 'within the time that a request has');
});

void t.test('localhost is both addresses, and nothing but loopback', async (t) => {
  const listener = await open(t, { url: 'http://localhost:0/callback' });
  const { port } = new URL(listener.url);
  for (const address of ['127.0.0.1', '::1']) {
    t.equal((await send(listener, { address, path: '/favicon.ico' }))?.status, 404, address);
  }
  const others = Object.values(networkInterfaces()).flatMap((found) => found ?? []);
  for (const { address, internal } of others.filter((one) => !one.internal)) {
    t.equal(await send(listener, { address, path: right, headers: { host: `localhost:${port}` } }), undefined, address);
    t.notOk(internal);
  }
});

void t.test('logins at once have ports of their own', async (t) => {
  const listeners = await Promise.all([open(t), open(t), open(t, { url: 'http://[::1]:0/callback' })]);
  t.equal(new Set(listeners.map(({ url }) => url)).size, 3);
  const received = listeners.map(async (listener, index) =>
    listener.receive((values) => (values.get('state') === String(index) ? values.get('code') : undefined)),
  );
  for (const [index, listener] of listeners.entries()) {
    const foreign = await send(listener, { path: `/callback?code=foreign&state=${String(index + 1)}` });
    t.equal(foreign?.status, 400, 'the answer to another login does not count');
    await send(listener, { path: `/callback?code=own${String(index)}&state=${String(index)}` });
  }
  t.strictSame(await Promise.all(received), ['own0', 'own1', 'own2']);
});

async function occupy(t: Test, host: string, port = 0): Promise<number> {
  const server: Server = createServer();
  t.teardown(() => server.close());
  await new Promise<void>((done, fail) => server.once('error', fail).listen(port, host, done));
  return (server.address() as AddressInfo).port;
}

void t.test('a port in use is an error that says how to choose another', async (t) => {
  for (const address of ['127.0.0.1', '::1']) {
    const port = await occupy(t, address);
    // Whoever listens on the other address of localhost would get the token.
    const opened = openCallbackListener({
      url: `http://localhost:${String(port)}/`,
      verb: 'POST',
      portHint: 'set OS_REDIRECT_PORT to another',
      detail: () => undefined,
    });
    const error = await opened.catch((reason: unknown) => reason);
    t.ok(error instanceof ConfigError, address);
    t.match(error, { hint: 'set OS_REDIRECT_PORT to another' });
    t.match(error, { message: new RegExp(`port ${String(port)}.*another program uses it`) });
    if (address === '::1') await occupy(t, '127.0.0.1', port);
  }
});
