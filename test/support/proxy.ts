// Proxies that observe traffic: a CONNECT proxy, to prove that only TLS passes through a proxy, and a reverse proxy in
// front of a real Keystone, to count the logins independently of the plugin.

import { readFile } from 'node:fs/promises';
import { createServer as createHttpServer, request as requestHttp } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createHttpsServer, request as requestHttps } from 'node:https';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { CertificateFiles } from '../../scripts/lib/pki.ts';
import { waitForClients } from '../../scripts/lib/patient-server.ts';

export interface ConnectProxyOptions {
  /** Makes it an https:// proxy. */
  tls?: CertificateFiles;
  /** Required as Basic authentication. */
  credentials?: { user: string; password: string };
  /** Host names that resolve to loopback, besides {@link PROXIED_HOST}. */
  loopbackNames?: readonly string[];
}

export interface Tunnel {
  /** `host:port`, as requested. */
  target: string;
  /** The headers of the CONNECT request. */
  headers: IncomingHttpHeaders;
  /**
   * The status of the response: 200, 407 without the right credentials, 403 for a host that is not loopback, or 502.
   */
  status: number;
  /** What the client sent into the tunnel, if the first byte did not start a TLS record. */
  plaintext: string;
  bytesFromClient: number;
}

export interface ConnectProxy {
  readonly url: string;
  readonly port: number;
  readonly tunnels: Tunnel[];
  /** One 'CONNECT host:port' for each requested tunnel. */
  readonly log: string[];
  /** Requests without CONNECT, which the proxy can read. It forwards them to loopback. */
  readonly plainRequests: { method: string; url: string; headers: IncomingHttpHeaders }[];
  close(): Promise<void>;
}

export interface CountingProxyOptions extends CertificateFiles {
  /** The URL of the Keystone behind the proxy, without a path. */
  target: string;
  /** Path of the CA for the target. Without it, the proxy does not check the target's certificate. */
  targetCa?: string;
  port?: number;
}

export interface CountedRequest {
  method: string;
  /** Path and query. */
  path: string;
  /** 0 without a response. */
  status: number;
  startedAt: number;
}

export interface CountingProxy {
  readonly url: string;
  readonly port: number;
  readonly requests: CountedRequest[];
  /** Counts POST requests to /v3/auth/tokens, optionally only those with this status. */
  countLogins(status?: number): number;
  /** Resets the counters. */
  reset(): void;
  close(): Promise<void>;
}

const tlsHandshakeRecord = 0x16;
const mostPlaintextKept = 65_536;
const loopbackHosts = ['127.0.0.1', 'localhost', '::1'];

/** A name that only the proxies of the tests resolve, to loopback: no request to a loopback address uses a proxy. */
export const PROXIED_HOST = 'keystone.corp.example';

/** Returns the URL under which a proxy reaches a server on loopback. */
export function behindProxy(url: string): string {
  const result = new URL(url);
  result.hostname = PROXIED_HOST;
  return result.href.replace(/\/$/, '');
}

/** Starts a CONNECT proxy on 127.0.0.1. It connects to loopback only. */
export async function startConnectProxy(options: ConnectProxyOptions = {}): Promise<ConnectProxy> {
  const { credentials, tls } = options;
  const loopbackNames = [PROXIED_HOST, ...(options.loopbackNames ?? [])];
  const tunnels: Tunnel[] = [];
  const plainRequests: ConnectProxy['plainRequests'] = [];
  const sockets = new Set<Duplex>();
  const expectedAuthorization =
    credentials === undefined
      ? undefined
      : `Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')}`;

  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const { method = '', url = '', headers } = request;
    plainRequests.push({ method, url, headers });
    const target = URL.parse(url) ?? undefined;
    if (expectedAuthorization !== undefined && headers['proxy-authorization'] !== expectedAuthorization) {
      response.writeHead(407, { 'proxy-authenticate': 'Basic realm="test"' }).end();
    } else if (target?.protocol !== 'http:') response.writeHead(400).end();
    else {
      const [host, path] = ['127.0.0.1', target.pathname + target.search];
      const upstream = requestHttp({ method, host, port: target.port, path, headers, agent: false }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      upstream.on('error', () => response.destroy());
      request.pipe(upstream);
    }
  };
  const server =
    tls === undefined
      ? createHttpServer(answer)
      : createHttpsServer({ cert: await readFile(tls.cert), key: await readFile(tls.key) }, answer);

  server.on('connect', (request: IncomingMessage, client: Duplex, head: Buffer) => {
    const target = request.url ?? '';
    const tunnel: Tunnel = { target, headers: request.headers, status: 200, plaintext: '', bytesFromClient: 0 };
    tunnels.push(tunnel);
    keep(sockets, client);
    const refuse = (status: number, reason: string, header = ''): void => {
      tunnel.status = status;
      client.end(`HTTP/1.1 ${status} ${reason}\r\n${header}content-length: 0\r\n\r\n`);
    };
    if (expectedAuthorization !== undefined && request.headers['proxy-authorization'] !== expectedAuthorization) {
      refuse(407, 'Proxy Authentication Required', 'proxy-authenticate: Basic realm="test"\r\n');
      return;
    }
    const { hostname, port } = new URL(`tcp://${target}`);
    const name = hostname.replace(/^\[|\]$/g, '');
    if (!loopbackHosts.includes(name) && !loopbackNames.includes(name)) {
      refuse(403, 'Forbidden');
      return;
    }

    const upstream = connect({ host: loopbackHosts.includes(name) ? name : '127.0.0.1', port: Number(port) });
    keep(sockets, upstream);
    const onUnreachable = (): void => {
      refuse(502, 'Bad Gateway');
    };
    upstream.once('error', onUnreachable);
    upstream.once('connect', () => {
      // What a proxy says after this is not for the client.
      upstream.off('error', onUnreachable).on('error', () => client.destroy());
      let isTls: boolean | undefined;
      const watch = (chunk: Buffer): void => {
        isTls ??= chunk[0] === tlsHandshakeRecord;
        tunnel.bytesFromClient += chunk.length;
        if (!isTls && tunnel.plaintext.length < mostPlaintextKept) tunnel.plaintext += chunk.toString('latin1');
      };
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      if (head.length > 0) {
        watch(head);
        upstream.write(head);
      }
      client.on('data', watch);
      client.pipe(upstream);
      upstream.pipe(client);
    });
    return undefined;
  });

  const port = await listen(server);
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    tunnels,
    plainRequests,
    get log() {
      return tunnels.map(({ target }) => `CONNECT ${target}`);
    },
    close: () => close(server, sockets),
  };
}

/** Starts a TLS-terminating reverse proxy on 127.0.0.1. */
export async function startCountingProxy(options: CountingProxyOptions): Promise<CountingProxy> {
  const target = new URL(options.target);
  const targetCa = options.targetCa === undefined ? undefined : await readFile(options.targetCa);
  const sockets = new Set<Duplex>();
  const requests: CountedRequest[] = [];

  const forward = (incoming: IncomingMessage, response: ServerResponse): void => {
    const { method = '', url: path = '' } = incoming;
    const counted: CountedRequest = { method, path, status: 0, startedAt: Date.now() };
    requests.push(counted);
    const common = {
      method,
      path,
      host: target.hostname,
      port: target.port,
      headers: { ...incoming.headers, 'x-forwarded-proto': 'https' },
      // One connection for each request. Keystone can close idle connections, and a retry would be counted twice.
      agent: false as const,
    };
    const onAnswer = (answer: IncomingMessage): void => {
      counted.status = answer.statusCode ?? 0;
      const headers = { ...answer.headers };
      delete headers.connection;
      response.writeHead(counted.status, answer.statusMessage, headers);
      answer.pipe(response);
    };
    const upstream =
      target.protocol === 'https:'
        ? requestHttps(
            {
              ...common,
              rejectUnauthorized: targetCa !== undefined,
              ...(targetCa === undefined ? {} : { ca: targetCa }),
            },
            onAnswer,
          )
        : requestHttp(common, onAnswer);
    upstream.on('error', () => {
      if (response.headersSent) return void response.destroy();
      counted.status = 502;
      return void response.writeHead(502).end();
    });
    response.on('close', () => {
      if (!response.writableFinished) upstream.destroy();
    });
    incoming.pipe(upstream);
  };

  const server = createHttpsServer({ cert: await readFile(options.cert), key: await readFile(options.key) }, forward);
  server.on('connection', (socket: Socket) => keep(sockets, socket));
  // Some tests expect that the client rejects the certificate.
  server.on('tlsClientError', () => undefined);
  const port = await listen(server, options.port);
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    requests,
    countLogins: (status) =>
      requests.filter(
        (request) =>
          request.method === 'POST' &&
          /^\/v3\/auth\/tokens(?:\?|$)/.test(request.path) &&
          (status === undefined || request.status === status),
      ).length,
    reset: () => {
      requests.length = 0;
    },
    close: () => close(server, sockets),
  };
}

function keep(sockets: Set<Duplex>, socket: Duplex): void {
  sockets.add(socket);
  socket.on('error', () => socket.destroy());
  socket.on('close', () => sockets.delete(socket));
}

async function listen(server: Server, port = 0): Promise<number> {
  waitForClients(server);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // 200 plugins connect within a few milliseconds.
    server.listen({ port, host: '127.0.0.1', backlog: 1024 }, resolve);
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function close(server: Server, sockets: Set<Duplex>): Promise<void> {
  const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
  server.closeAllConnections();
  for (const socket of sockets) socket.destroy();
  await closed;
}
