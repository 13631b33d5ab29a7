/** Servers that send any bytes, for responses that Node's own servers cannot be made to send. */
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { SecureContextOptions } from 'node:tls';
import type { Test } from 'tap';
import { listenOnLoopback } from '../../scripts/lib/listen-on-loopback.ts';

export interface RawServer {
  readonly port: number;
  /** The number of connections so far. */
  readonly countConnections: () => number;
  /** Waits until the clients have closed all connections. */
  readonly waitUntilClosed: () => Promise<void>;
}

/** How a raw server listens. */
export interface RawServerOptions {
  /** The end of what it waits for; empty for anything. Default: the end of a header. */
  readonly headEnd?: string;
  /** The certificate and the key, if it uses TLS. */
  readonly tls?: SecureContextOptions;
}

/**
 * Starts a server on 127.0.0.1 that stops after the test.
 *
 * @param answer called once for each connection, when the header of a request has arrived, with what has arrived
 */
export async function startRawServer(
  t: Test,
  answer: (socket: Socket, arrived: string) => void,
  { headEnd = '\r\n\r\n', tls }: RawServerOptions = {},
): Promise<RawServer> {
  const sockets = new Set<Socket>();
  let count = 0;
  let onClose = (): void => undefined;
  const serve = (socket: Socket): void => {
    count += 1;
    sockets.add(socket);
    let head = '';
    let isAnswered = false;
    socket
      .on('error', () => undefined)
      .on('close', () => {
        sockets.delete(socket);
        onClose();
      });
    socket.on('data', (chunk) => {
      head += chunk.toString('latin1');
      if (isAnswered || !head.includes(headEnd)) return;
      isAnswered = true;
      answer(socket, head);
    });
  };
  const server = tls === undefined ? createServer(serve) : createTlsServer(tls, serve);
  const port = await listenOnLoopback(server);
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    port,
    countConnections: () => count,
    waitUntilClosed: () =>
      new Promise((resolve) => {
        onClose = () => {
          if (sockets.size === 0) resolve();
        };
        onClose();
      }),
  };
}

/** More than a program may keep that must not grow: if it kept everything, a test of its memory would fail. */
const FLOOD_BYTES = 256 * 1024 * 1024;

const CHUNK_BYTES = 64 * 1024;

const PAUSE_MS = 10;

/**
 * Writes the same text again and again until the connection is closed: first a flood, as fast as the other end reads it,
 * and then slowly, because a flood that only a deadline ends would take all processors until then.
 */
export function writeForever(socket: Socket, makeText: (index: number) => string): void {
  let [index, sentBytes] = [0, 0];
  const makeChunk = (): string => {
    let chunk = '';
    while (chunk.length < CHUNK_BYTES) chunk += makeText((index += 1));
    sentBytes += chunk.length;
    return chunk;
  };
  const write = (): void => {
    if (socket.destroyed) return;
    if (sentBytes > FLOOD_BYTES) {
      drip(socket, () => makeText((index += 1)), PAUSE_MS);
    } else if (socket.write(makeChunk())) {
      // Let the event loop see that the other end has closed the connection.
      setImmediate(write);
    } else socket.once('drain', write);
  };
  write();
}

/** Writes one text after the other, each in its own packet, until the connection is closed. */
export function drip(socket: Socket, makeText: (index: number) => string, everyMs: number): void {
  let index = 0;
  socket.setNoDelay();
  const timer = setInterval(() => socket.write(makeText((index += 1))), everyMs);
  socket.once('close', () => {
    clearInterval(timer);
  });
}
