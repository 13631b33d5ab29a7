/**
 * Tests the listener that a browser returns to against requests that any page and any user of the machine can send:
 * none of them may complete the login, make it fail, or appear in a response.
 */
import { createServer, request } from 'node:http';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import t from 'tap';
import type { Test } from 'tap';
import { findFreePort } from '../../scripts/lib/free-port.ts';
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
  /** The address to connect to, whatever the Host header says. */
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

/** Returns undefined when the connection closes without a response. */
async function send(
  { url }: CallbackListener,
  { verb = 'GET', path, headers = {}, body, address }: CallbackRequest,
): Promise<CallbackResponse | undefined> {
  const { host, hostname, port, pathname } = new URL(url);
  const target = address ?? (hostname === 'localhost' ? '127.0.0.1' : hostname.replace(/^\[|\]$/g, ''));
  return new Promise((resolve) => {
    const type = verb === 'POST' ? { 'content-type': FORM } : {};
    const outgoing = request(
      {
        host: target,
        port,
        method: verb,
        path: path ?? pathname,
        headers: { host, ...type, ...headers },
        agent: false,
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('close', () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
        });
      },
    );
    outgoing.on('error', () => {
      resolve(undefined);
    });
    outgoing.end(body);
  });
}

const acceptCode = (values: ReadonlyMap<string, string>): string | undefined => {
  if (values.get('state') !== STATE) return undefined;
  if (values.has('error')) throw new AuthRejected('auth-rejected', 'the provider refused');
  return values.get('code');
};

const VALID_PATH = `/callback?code=${CANARY}&state=${STATE}`;

function checkPage(t: Test, response: CallbackResponse | undefined, status: number): void {
  t.equal(response?.status, status);
  if (response === undefined) return;
  t.equal(response.headers['cache-control'], 'no-store');
  t.equal(response.headers['referrer-policy'], 'no-referrer');
  t.equal(response.headers['x-content-type-options'], 'nosniff');
  t.match(response.headers['content-security-policy'], /^default-src 'none'; .*frame-ancestors 'none'/);
  t.notOk(
    Object.keys(response.headers).some((name) => name.startsWith('access-control-')),
    'no other page can read it',
  );
  t.notMatch(response.body, /<script|src=|href=|canary|state-w3Zq/i, 'the page runs, loads and repeats nothing');
}

/** Sends each request of `corpus`; none may count. */
async function checkIgnored(
  t: Test,
  listener: CallbackListener,
  corpus: Readonly<Record<string, CallbackRequest>>,
): Promise<void> {
  for (const [name, callbackRequest] of Object.entries(corpus)) {
    const response = await send(listener, callbackRequest);
    const status = response?.status ?? 0;
    t.ok([0, 400, 404, 405, 417, 431].includes(status), `${name} gets status ${String(status)}`);
    if (status === 400 || status === 404)
      t.notMatch(response?.body, /canary|state-w3Zq/, `the response does not repeat ${name}`);
  }
}

void t.test('the one valid request completes the login and the listener closes', async (t) => {
  const listener = await open(t);
  const received = listener.receive(acceptCode);
  checkPage(t, await send(listener, { path: VALID_PATH }), 200);
  t.equal(await received, CANARY);
  listener.close();
  t.equal(await send(listener, { path: VALID_PATH }), undefined);
});

void t.test('requests of other pages neither complete the login nor make it fail', async (t) => {
  const listener = await open(t);
  let settled = false;
  const received = listener.receive(acceptCode).finally(() => (settled = true));
  const { port } = new URL(listener.url);
  const frame = { 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'iframe' };
  await checkIgnored(t, listener, {
    'another state': { path: `/callback?code=${CANARY}&state=other` },
    'no state': { path: `/callback?code=${CANARY}` },
    'an error without the state': { path: '/callback?error=access_denied' },
    'an error with another state': { path: '/callback?error=access_denied&state=x' },
    'two states': { path: `/callback?code=x&state=other&state=${STATE}` },
    'two codes': { path: `/callback?code=x&code=${CANARY}&state=${STATE}` },
    'no query': { path: '/callback' },
    'another path': { path: `/?code=${CANARY}&state=${STATE}` },
    'a longer path': { path: `/callback/x?code=${CANARY}&state=${STATE}` },
    'a path with dot segments': { path: `/x/../callback?code=${CANARY}&state=${STATE}` },
    'an absolute target': { path: `http://127.0.0.1:${port}${VALID_PATH}` },
    'a favicon': { path: '/favicon.ico' },
    HEAD: { verb: 'HEAD', path: VALID_PATH },
    POST: { verb: 'POST', path: VALID_PATH, body: `code=${CANARY}&state=${STATE}` },
    OPTIONS: { verb: 'OPTIONS', path: VALID_PATH, headers: { 'access-control-request-private-network': 'true' } },
    "an attacker's host": { path: VALID_PATH, headers: { host: `rebound.example:${port}` } },
    'a host without the port': { path: VALID_PATH, headers: { host: '127.0.0.1' } },
    'localhost instead of the address': { path: VALID_PATH, headers: { host: `localhost:${port}` } },
    'a hidden frame': { path: VALID_PATH, headers: frame },
    'an image': { path: VALID_PATH, headers: { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' } },
    'a script': { path: VALID_PATH, headers: { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' } },
    'markup in the query': { path: `/callback?code=<script>canary</script>&state=%3Cb%3E` },
    'endless headers': { path: VALID_PATH, headers: { cookie: 'x'.repeat(100_000) } },
  });
  t.equal(settled, false);
  const page = { 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'document' };
  checkPage(t, await send(listener, { path: VALID_PATH, headers: { ...page, cookie: 'x'.repeat(20_000) } }), 200);
  t.equal(await received, CANARY);
});

void t.test('an error from the provider ends the login', async (t) => {
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

void t.test('the listener ignores requests before it waits for one', async (t) => {
  const listener = await open(t);
  checkPage(t, await send(listener, { path: VALID_PATH }), 400);
  const received = listener.receive(acceptCode);
  await send(listener, { path: VALID_PATH });
  t.equal(await received, CANARY);
});

void t.test('the listener accepts only the first of many concurrent requests', async (t) => {
  const listener = await open(t);
  const received = listener.receive(acceptCode);
  const responses = await Promise.all(
    Array.from({ length: 20 }, async (_, index) =>
      send(listener, { path: `/callback?code=c${String(index)}&state=${STATE}` }),
    ),
  );
  t.equal(responses.filter((response) => response?.status === 200).length, 1);
  t.match(await received, /^c\d+$/);
});

void t.test('the listener accepts a form from Keystone', async (t) => {
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
  await checkIgnored(t, listener, {
    'from another page': post({ origin: 'https://evil.example' }),
    'from another port': post({ origin: 'https://keystone.example.com' }),
    'from another page, according to the Referer header': post({ origin: 'null', referer: 'https://evil.example/' }),
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

void t.test('slow or unfinished requests do not block the login', async (t) => {
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
    const sent = new Promise((resolve) => socket.write(text, resolve));
    return { sent, closed: new Promise((resolve) => socket.once('close', resolve)) };
  });
  // The listener accepts connections in their order, so it has these when the next one sends a request.
  await Promise.all(sockets.map(({ sent }) => sent));
  await send(listener, { verb: 'POST', body: `token=${CANARY}` });
  t.equal(await received, CANARY);
  listener.close();
  await Promise.all(sockets.map(({ closed }) => closed));
  t.pass('closes all connections at the end');
});

/** More than the listener keeps. */
const HELD_CONNECTIONS = 400;

void t.test('connections that others hold do not keep the browser out', async (t) => {
  const listener = await open(t);
  const received = listener.receive((values) => values.get('code'));
  const port = Number(new URL(listener.url).port);
  const closed: Promise<unknown>[] = [];
  for (let number = 0; number < HELD_CONNECTIONS; number += 1) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    closed.push(new Promise((resolve) => socket.once('close', resolve)));
    await new Promise((resolve) => socket.once('connect', resolve));
  }
  checkPage(t, await send(listener, { path: VALID_PATH }), 200);
  t.equal(await received, CANARY);
  await closed[0];
  t.pass('the oldest connection is closed');
});

void t.test('an unfinished request times out, although more of it comes again and again', async (t) => {
  const listener = await open(t, { verb: 'POST', url: 'http://127.0.0.1:0/x' });
  void listener.receive(() => undefined);
  const { host, port } = new URL(listener.url);
  const socket = connect(Number(port), '127.0.0.1');
  const closed = new Promise((resolve) =>
    socket
      .on('error', () => undefined)
      .resume()
      .once('close', resolve),
  );
  socket.write(`POST /x HTTP/1.1\r\nHost: ${host}\r\nContent-Type: ${FORM}\r\nContent-Length: 1000\r\n\r\n`);
  const dripping = setInterval(() => socket.write('x'), 200);
  t.teardown(() => {
    clearInterval(dripping);
  });
  await closed;
  t.pass('the listener closes the connection');
});

void t.test('localhost listens on both loopback addresses and on nothing else', async (t) => {
  const listener = await open(t, { url: 'http://localhost:0/callback' });
  const { port } = new URL(listener.url);
  for (const address of ['127.0.0.1', '::1']) {
    t.equal((await send(listener, { address, path: '/favicon.ico' }))?.status, 404, address);
  }
  const interfaces = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  for (const { address, internal } of interfaces.filter((one) => !one.internal)) {
    t.equal(
      await send(listener, { address, path: VALID_PATH, headers: { host: `localhost:${port}` } }),
      undefined,
      address,
    );
    t.notOk(internal);
  }
});

void t.test('concurrent logins use different ports', async (t) => {
  const listeners = await Promise.all([open(t), open(t), open(t, { url: 'http://[::1]:0/callback' })]);
  t.equal(new Set(listeners.map(({ url }) => url)).size, 3);
  const received = listeners.map(async (listener, index) =>
    listener.receive((values) => (values.get('state') === String(index) ? values.get('code') : undefined)),
  );
  for (const [index, listener] of listeners.entries()) {
    const foreign = await send(listener, { path: `/callback?code=foreign&state=${String(index + 1)}` });
    t.equal(foreign?.status, 400, 'the result of another login does not count');
    await send(listener, { path: `/callback?code=own${String(index)}&state=${String(index)}` });
  }
  t.strictSame(await Promise.all(received), ['own0', 'own1', 'own2']);
});

async function occupy(t: Test, host: string, port: number): Promise<void> {
  const server: Server = createServer();
  t.teardown(() => server.close());
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
}

void t.test('a port in use is an error whose hint tells how to choose another port', async (t) => {
  for (const address of ['127.0.0.1', '::1']) {
    // Not a port that the system chooses for this address: another program may have it on the other one.
    const port = await findFreePort();
    await occupy(t, address, port);
    // A program that listens on the other address of localhost would get the token.
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
