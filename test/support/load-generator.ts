// A load generator that costs little, since it shares the machine with what it measures: connections that write finished
// requests and read no more of an answer than its length and its end.

import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';

export interface LoadOptions {
  readonly port: number;
  readonly ca: Buffer;
  readonly connections: number;
  /** The next request's body, or undefined where there is none any more. */
  readonly nextBody: (connection: number) => string | undefined;
  /** Takes each answer's body, and what `next` gave for it. */
  readonly onResponse: (body: string, sent: string) => void;
}

export interface LoadResult {
  readonly responseCount: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Sends one request after another on each connection until there are none left. */
export async function generateLoad({ port, ca, connections, nextBody, onResponse }: LoadOptions): Promise<LoadResult> {
  const times: number[] = [];
  const work = (connection: number): Promise<void> =>
    new Promise((done, fail) => {
      const socket: TLSSocket = connect({ host: '127.0.0.1', port, ca });
      let buffered = '';
      let sent = '';
      let sentAt = 0;
      const send = (): void => {
        const body = nextBody(connection);
        if (body === undefined) {
          socket.end();
          done();
          return;
        }
        sent = body;
        sentAt = performance.now();
        socket.write(
          `POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
        );
      };
      socket.setEncoding('utf8').once('error', fail).once('secureConnect', send);
      socket.on('data', (chunk: string) => {
        buffered += chunk;
        const head = buffered.indexOf('\r\n\r\n');
        const length = Number(/content-length: (\d+)/i.exec(buffered)?.[1] ?? Number.NaN);
        // All of it is ASCII here.
        if (head < 0 || buffered.length < head + 4 + length) return;
        times.push(performance.now() - sentAt);
        const body = buffered.slice(head + 4);
        buffered = '';
        onResponse(body, sent);
        send();
      });
    });
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: connections }, (_, connection) => work(connection)));
  const seconds = (performance.now() - startedAt) / 1_000;
  times.sort((one, other) => one - other);
  const at = (part: number): number => times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? 0;
  return {
    responseCount: times.length,
    perSecond: times.length / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
  };
}
