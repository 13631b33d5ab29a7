/** The HTTP server of the stand-in: it records each request, and can reset connections. */
import { readFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { CertificateFiles } from '../../../scripts/lib/pki.ts';
import { waitForClients } from '../../../scripts/lib/patient-server.ts';

export interface RecordedRequest {
  method: string;
  /** With the query. */
  path: string;
  headers: IncomingHttpHeaders;
  /** Parsed if it is JSON, otherwise text. undefined without a body. */
  body: unknown;
}

export interface ServerOptions {
  /** `clientCa` is the path of a CA. If it is set, clients must have a certificate from it. */
  readonly tls?: CertificateFiles & { clientCa?: string };
  readonly port?: number;
}

/** Answers a request. `resetConnection` sends an RST. */
type Answer = (request: RecordedRequest, response: ServerResponse, resetConnection: () => void) => void | Promise<void>;

export interface StandInServer {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Starts a server on 127.0.0.1. */
export async function startServer({ tls, port }: ServerOptions, answer: Answer): Promise<StandInServer> {
  // The TCP connections below TLS, by port. Only they can be reset, and Node offers no way from one to the other.
  const connections = new Map<number, Socket>();
  const serve = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    // Some tests close the connection early.
    response.on('error', () => undefined);
    const request = await record(message);
    const { remotePort = 0 } = message.socket;
    await answer(request, response, () => void connections.get(remotePort)?.resetAndDestroy());
  };
  const server = waitForClients(await createServer(tls, (message, response) => void serve(message, response)));
  server.on('connection', (socket: Socket) => {
    const { remotePort = 0 } = socket;
    connections.set(remotePort, socket);
    socket.on('error', () => undefined);
    socket.on('close', () => connections.delete(remotePort));
  });
  // In some tests, the client rejects the certificate.
  server.on('tlsClientError', () => undefined);
  const chosen = await listen(server, port ?? 0);
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${chosen}`,
    port: chosen,
    close: async () => {
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      server.closeAllConnections();
      for (const socket of connections.values()) socket.destroy();
      await closed;
    },
  };
}

async function createServer(tls: ServerOptions['tls'], listener: RequestListener): Promise<Server> {
  if (tls === undefined) return createHttpServer(listener);
  const { cert, key, clientCa } = tls;
  const clients =
    clientCa === undefined ? {} : { ca: await readFile(clientCa), requestCert: true, rejectUnauthorized: true };
  return createHttpsServer({ cert: await readFile(cert), key: await readFile(key), ...clients }, listener);
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function record(message: IncomingMessage): Promise<RecordedRequest> {
  const { method = '', url: path = '', headers } = message;
  return { method, path, headers, body: await text(message).then(parseBody, () => undefined) };
}

function parseBody(content: string): unknown {
  if (content === '') return undefined;
  try {
    return JSON.parse(content);
  } catch {
    return content;
  }
}
