/**
 * The HTTP client reads a response that begins before the request has been sent, and no credential gets lost or is sent
 * twice because a server closes a connection.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { createServer, OutgoingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import type { ProxyRule } from '../../src/shared/http/choose-proxy.ts';
import { openHttpClient } from '../../src/shared/http/http-client.ts';
import type { HttpClient } from '../../src/shared/http/http-client.ts';
import type { HttpRequest } from '../../src/shared/http/http-message.ts';
import { parseProxy } from '../../src/shared/http/proxy.ts';
import { trustAuthorities } from '../../src/shared/http/tls-settings.ts';
import { Secret } from '../../src/shared/base/secret.ts';
import { fakeHost } from '../support/fake-host.ts';
import { listenForTest } from '../support/listen-for-test.ts';
import { behindProxy, PROXIED_HOST, startConnectProxy } from '../support/proxy.ts';
import { startRawServer } from '../support/raw-server.ts';

const pki = await makePki(join(t.testdir(), 'pki'));
const tls = { cert: readFileSync(pki.server.cert), key: readFileSync(pki.server.key) };

/** Opens a client that is closed after the test. */
async function open(t: Test, proxyUrl?: string): Promise<HttpClient> {
  const proxy = proxyUrl === undefined ? undefined : parseProxy(proxyUrl, 'HTTPS_PROXY');
  const chooseProxy: ProxyRule = () => (proxy === undefined ? { proxy, because: 'none is set' } : { proxy });
  const http = await openHttpClient({
    host: fakeHost(),
    tls: trustAuthorities(readFileSync(pki.ca, 'utf8')),
    trustedOrigins: undefined,
    chooseProxy,
    userAgent: 'test',
    deadlineMs: 60_000,
    log: () => undefined,
  });
  t.teardown(() => {
    http.close();
  });
  return http;
}

const HEAD = 'HTTP/1.1 413 Content Too Large\r\nContent-Type: text/plain\r\nContent-Length: 4000\r\n\r\n';
const BODY = 'too large '.repeat(400);

/** How requests get to a server. */
interface Way {
  readonly usesTls: boolean;
  /** `answers`: the proxy itself answers. */
  readonly proxy: 'answers' | 'tunnel' | undefined;
}

const WAYS: Readonly<Record<string, Way>> = {
  'without TLS': { usesTls: false, proxy: undefined },
  'with TLS': { usesTls: true, proxy: undefined },
  'which is a proxy': { usesTls: false, proxy: 'answers' },
  'with TLS behind a proxy': { usesTls: true, proxy: 'tunnel' },
};

/** Sends a body of this many bytes to a server that answers as soon as the header of the request has arrived. */
async function sendTo(t: Test, { usesTls, proxy }: Way, size: number, answer: (socket: Socket) => void): Promise<void> {
  const server = await startRawServer(t, answer, usesTls ? { tls } : {});
  const url = `${usesTls ? 'https' : 'http'}://127.0.0.1:${server.port}`;
  const tunnel = proxy === 'tunnel' ? await startConnectProxy() : undefined;
  if (tunnel !== undefined) t.teardown(() => tunnel.close());
  const http = await open(t, proxy === 'answers' ? url : tunnel?.url);
  const target = proxy === undefined ? url : proxy === 'tunnel' ? behindProxy(url) : `http://${PROXIED_HOST}`;
  const response = await http.send({ verb: 'POST', url: `${target}/v3/auth/tokens`, body: 'x'.repeat(size) });
  t.equal(response.status, 413);
  t.equal(response.body, BODY);
  t.equal(server.countConnections(), 1);
}

type AnyFunction = (...args: readonly unknown[]) => unknown;

/**
 * Has Node report what a request has written only after its response has begun, as it can happen on a busy machine.
 *
 * @returns settled once the response has begun and everything has been reported
 */
function reportWritesLate(t: Test): Promise<void> {
  const begun = new Promise<void>((resolve) => {
    const onResponse = (): void => {
      resolve();
    };
    subscribe('http.client.response.finish', onResponse);
    t.teardown(() => unsubscribe('http.client.response.finish', onResponse));
  });
  const write = Reflect.get(OutgoingMessage.prototype, 'write') as AnyFunction;
  t.capture(OutgoingMessage.prototype, 'write', function (this: OutgoingMessage, ...args: readonly unknown[]) {
    const callback = args.at(-1);
    if (typeof callback !== 'function') return Reflect.apply(write, this, args);
    const report = (...results: readonly unknown[]): void => {
      void begun.then(() => (callback as AnyFunction)(...results));
    };
    return Reflect.apply(write, this, [...args.slice(0, -1), report]);
  });
  return begun.then(() => new Promise((resolve) => setImmediate(resolve)));
}

for (const [name, way] of Object.entries(WAYS)) {
  for (const size of [200, 70_000]) {
    await t.test(`a server ${name} answers a body of ${size} bytes before it has read it`, async (t) => {
      const reported = reportWritesLate(t);
      await sendTo(t, way, size, (socket) => {
        socket.write(HEAD + BODY.slice(0, 100));
        void reported.then(() => socket.write(BODY.slice(100)));
      });
    });
    await t.test(`a server ${name} answers a body of ${size} bytes and closes the connection`, async (t) => {
      await sendTo(t, way, size, (socket) => {
        // What the server has not read makes the system reset the connection.
        socket.pause().write(HEAD + BODY, () => socket.destroy());
      });
    });
  }
}

for (const [name, way] of Object.entries(WAYS).filter(([, { proxy }]) => proxy !== 'tunnel')) {
  await t.test(`a server ${name} closes the connection in the middle of a long body`, async (t) => {
    await sendTo(t, way, 1_000_000, (socket) => {
      socket.pause().write(HEAD + BODY, () => socket.destroy());
    });
  });
}

interface Attempts {
  readonly url: string;
  /** The requests, each with the number of its connection. */
  readonly attempts: string[];
}

/** Starts a server that answers the first request of a connection. What it then does to the connection is the test. */
async function startServer(t: Test, onAnswered: (socket: Socket) => void): Promise<Attempts> {
  const connections: Socket[] = [];
  const attempts: string[] = [];
  const server = createServer((request, response) => {
    const { socket } = request;
    const isNew = !connections.includes(socket);
    if (isNew) connections.push(socket);
    attempts.push(`${request.method ?? ''} on ${connections.indexOf(socket) + 1}`);
    if (!isNew) {
      socket.destroy();
      return;
    }
    request.resume();
    response.once('finish', () => {
      onAnswered(socket);
    });
    response.end('{}');
  });
  return { url: `http://127.0.0.1:${await listenForTest(t, server)}`, attempts };
}

const closesAtOnce = (socket: Socket): void => void socket.end();
const closesWhenUsed = (): void => undefined;

const CREDENTIALS: Readonly<Record<string, Omit<HttpRequest, 'url'>>> = {
  'a login': { verb: 'POST', body: '{}' },
  'a request with a token': { verb: 'GET', headers: { 'x-auth-token': new Secret('canary') } },
  'a revocation': { verb: 'DELETE', headers: { 'x-auth-token': new Secret('canary') } },
};

for (const [name, request] of Object.entries(CREDENTIALS)) {
  for (const [closes, onAnswered] of Object.entries({ 'at once': closesAtOnce, 'when it is used': closesWhenUsed })) {
    await t.test(`${name} succeeds after a request whose connection the server closes ${closes}`, async (t) => {
      const { url, attempts } = await startServer(t, onAnswered);
      const http = await open(t);
      t.equal((await http.send({ verb: 'GET', url })).status, 200);
      t.equal((await http.send({ ...request, url })).status, 200);
      t.equal((await http.send({ ...request, url })).status, 200);
      t.strictSame(attempts, ['GET on 1', `${request.verb} on 2`, `${request.verb} on 3`]);
    });
  }

  await t.test(`${name} is sent once if the server closes the connection without an answer`, async (t) => {
    const http = await open(t);
    let count = 0;
    const { port } = await startRawServer(t, (socket) => {
      count += 1;
      socket.destroy();
    });
    await t.rejects(http.send({ ...request, url: `http://127.0.0.1:${port}` }), {
      message: /it closed the connection/,
    });
    t.equal(count, 1);
  });
}

await t.test('a request without a credential is sent again if the server has closed its connection', async (t) => {
  const { url, attempts } = await startServer(t, closesWhenUsed);
  const http = await open(t);
  t.equal((await http.send({ verb: 'GET', url })).status, 200);
  t.equal((await http.send({ verb: 'GET', url })).status, 200);
  t.strictSame(attempts, ['GET on 1', 'GET on 1', 'GET on 2']);
});

await t.test('a request that must not be sent twice is not sent again', async (t) => {
  const { url, attempts } = await startServer(t, closesWhenUsed);
  const http = await open(t);
  t.equal((await http.send({ verb: 'GET', url })).status, 200);
  t.equal((await http.send({ verb: 'GET', url, isSingleUse: true })).status, 200);
  t.strictSame(attempts, ['GET on 1', 'GET on 2']);
});
