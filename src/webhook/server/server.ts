/** The server: HTTP/2 and HTTP/1.1 over TLS 1.2 or newer. */
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { sleep } from '../../shared/base/clock.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { Certificates } from './certificates.ts';
import { makeHttp1Listener } from './http1.ts';
import { Http2Connections } from './http2.ts';
import { CONNECTION_CHECK_MS, HANDSHAKE_MS, HEADERS_MS, KEEP_ALIVE_MS, REQUEST_MS } from './limits.ts';
import { listenOn } from './listen.ts';
import type { ListenAddress } from './listen.ts';
import type { Log } from '../observability/log.ts';
import type { AnswerRequest } from './request.ts';

export interface ServerSettings {
  readonly certificates: Certificates;
  readonly answerRequest: AnswerRequest;
  /** How long an answer takes at most, in ms. */
  readonly answerTimeoutMs: number;
  readonly log: Log;
  readonly clock: Clock;
}

export interface ListeningServer {
  readonly port: number;
  /** Uses other certificates for new connections. */
  readonly replaceCertificates: (certificates: Certificates) => void;
  /** Asks clients to connect elsewhere from now on, and still answers. */
  readonly drain: () => void;
  /** Completes the running requests and stops. */
  close(): Promise<void>;
}

/** How often idle connections are closed during a shutdown. */
const SWEEP_MS = 100;

/** How much longer than an answer takes a shutdown waits. */
const CLOSE_MARGIN_MS = 1_200;

function makeSecureContext({ cert, key, clientCa }: Certificates): { cert: string; key: string; ca?: string } {
  return { cert, key: key.reveal(), ...(clientCa === undefined ? {} : { ca: clientCa }) };
}

function makeServer(certificates: Certificates): Server {
  const server = createServer({
    ...makeSecureContext(certificates),
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['h2', 'http/1.1'],
    // Requested always but checked for /webhook only, because a kubelet that probes /healthz has no certificate.
    ...(certificates.clientCa === undefined ? {} : { requestCert: true, rejectUnauthorized: false }),
    handshakeTimeout: HANDSHAKE_MS,
    headersTimeout: HEADERS_MS,
    requestTimeout: REQUEST_MS,
    // Not another timer beside that of the socket below, which would start and end with each request.
    keepAliveTimeout: 0,
    connectionsCheckingInterval: CONNECTION_CHECK_MS,
  });
  // For a connection without a request, and a client that does not read its answers. An answer takes less time.
  server.setTimeout(KEEP_ALIVE_MS);
  return server;
}

/** Hands the connections of clients that have chosen HTTP/2 to `accept` instead of the parser of HTTP/1.1. */
function divertHttp2(server: Server, accept: (socket: TLSSocket) => void): void {
  const listeners = server.listeners('secureConnection');
  server.removeAllListeners('secureConnection');
  server.on('secureConnection', (socket) => {
    if (socket.alpnProtocol === 'h2') accept(socket);
    else for (const listener of listeners) Reflect.apply(listener, server, [socket]);
  });
}

/** The open TCP connections of a server, whatever they are used for. */
function trackSockets(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return sockets;
}

/** Calls a task every `ms` until the returned function is called. */
function repeat(clock: Clock, ms: number, task: () => void): () => void {
  let cancel: () => void;
  const run = (): void => {
    cancel = clock.startTimer(ms, run);
    task();
  };
  cancel = clock.startTimer(ms, run);
  return () => {
    cancel();
  };
}

/**
 * Starts the server.
 *
 * @throws ConfigError if it cannot listen on the address
 */
export async function startServer(settings: ServerSettings, address: ListenAddress): Promise<ListeningServer> {
  const { certificates, answerRequest, answerTimeoutMs, clock, log } = settings;
  const server = makeServer(certificates);
  const sockets = trackSockets(server);
  const http1 = makeHttp1Listener(answerRequest);
  server.on('request', http1.listen);
  const http2 = new Http2Connections({ answerRequest, now: clock.monotonicMs, log });
  divertHttp2(server, (socket) => {
    http2.accept(socket);
  });
  server.on('tlsClientError', (error: Error) => {
    log.debug({ error: 'code' in error ? error.code : error.name }, 'TLS handshake failed');
  });
  const port = await listenOn(server, address);
  const stopChecking = repeat(clock, CONNECTION_CHECK_MS, () => {
    http2.checkTimes();
  });
  const drain = (): void => {
    http1.drain();
    http2.drain();
  };
  return {
    port,
    replaceCertificates(next) {
      server.setSecureContext({ ...makeSecureContext(next), minVersion: 'TLSv1.2' });
    },
    drain,
    async close() {
      drain();
      const closed = once(server, 'close');
      server.close();
      http2.close();
      // A connection becomes idle only after its running request.
      const sweep = setInterval(() => {
        server.closeIdleConnections();
      }, SWEEP_MS);
      const cancelTimeout = clock.startTimer(answerTimeoutMs + CLOSE_MARGIN_MS, () => {
        for (const socket of sockets) socket.destroy();
      });
      await closed;
      clearInterval(sweep);
      cancelTimeout();
      stopChecking();
    },
  };
}

/**
 * Asks clients to connect elsewhere, answers until they have noticed, and stops.
 *
 * @param graceMs how long they may take to notice, in ms
 */
export async function drainAndClose(server: ListeningServer, graceMs: number, clock: Clock): Promise<void> {
  server.drain();
  await sleep(clock, graceMs);
  await server.close();
}
