// A load generator that uses little CPU time, because it runs on the machine that it measures: it writes prepared
// requests, and of a response it parses only the length.

import { once } from 'node:events';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';

export interface LoadOptions {
  readonly port: number;
  readonly ca: Buffer;
  readonly connections: number;
  /** Returns the body of the next request, or undefined after the last one. */
  readonly nextBody: (connection: number) => string | undefined;
  /** Takes the body of each response, and that of its request. */
  readonly onResponse: (body: string, requestBody: string) => void;
}

export interface LoadResult {
  readonly responseCount: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Opens the connections, and then sends requests one after the other on each of them, until there are no more. */
export async function generateLoad({ port, ca, connections, nextBody, onResponse }: LoadOptions): Promise<LoadResult> {
  const times: number[] = [];
  const open = async (): Promise<TLSSocket> => {
    const socket = connect({ host: '127.0.0.1', port, ca });
    await once(socket, 'secureConnect');
    return socket;
  };
  const runConnection = (socket: TLSSocket, connection: number): Promise<void> =>
    new Promise((resolve, reject) => {
      let buffered = '';
      let requestBody = '';
      let sentAt = 0;
      const send = (): void => {
        const body = nextBody(connection);
        if (body === undefined) {
          socket.end();
          resolve();
          return;
        }
        requestBody = body;
        sentAt = performance.now();
        socket.write(
          'POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n' +
            `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
        );
      };
      socket.setEncoding('utf8').once('error', reject);
      socket.on('data', (chunk: string) => {
        buffered += chunk;
        const headerEnd = buffered.indexOf('\r\n\r\n');
        const length = Number(/content-length: (\d+)/i.exec(buffered)?.[1] ?? Number.NaN);
        // Characters are bytes: the responses are ASCII.
        if (headerEnd < 0 || buffered.length < headerEnd + 4 + length) return;
        times.push(performance.now() - sentAt);
        const body = buffered.slice(headerEnd + 4);
        buffered = '';
        onResponse(body, requestBody);
        send();
      });
      send();
    });
  const sockets = await Promise.all(Array.from({ length: connections }, open));
  const startedAt = performance.now();
  await Promise.all(sockets.map(runConnection));
  const seconds = (performance.now() - startedAt) / 1_000;
  times.sort((one, other) => one - other);
  const percentile = (fraction: number): number =>
    times[Math.min(times.length - 1, Math.floor(times.length * fraction))] ?? 0;
  return {
    responseCount: times.length,
    perSecond: times.length / seconds,
    p50Ms: percentile(0.5),
    p99Ms: percentile(0.99),
    maxMs: percentile(1),
  };
}
