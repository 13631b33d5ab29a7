/** A connection of HTTP/2 for the load generator, which sends as client-go does: all requests on one connection. */
import { once } from 'node:events';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import {
  encodeHeaders,
  FLAG,
  FRAME,
  FrameReader,
  makeFrame,
  makeReviewHeaders,
  makeSettings,
  makeWindowUpdate,
  PREFACE,
  SETTING,
} from './http2-frames.ts';
import type { Frame } from './http2-frames.ts';
import type { Channel, LoadTarget } from './load-generator.ts';

/** What client-go opens before the server says how many it allows; Go's server allows as many too. */
const STREAMS_PER_CONNECTION = 250;

/** The windows of Go's client: 4 MiB for a stream, 1 GiB for the connection. */
const STREAM_WINDOW = 4 * 2 ** 20;
const CONNECTION_WINDOW = 2 ** 30;

/** What a peer may send before it gets more room (RFC 9113, section 6.9.2). */
const INITIAL_WINDOW = 65_535;

/** `:status: 200` as the first header (RFC 7541, appendix A). */
const STATUS_200 = 0x88;

interface Exchange {
  readonly chunks: Buffer[];
  readonly onResponse: (body: string) => void;
}

/** One connection and its streams. */
class Connection {
  readonly #socket: TLSSocket;
  readonly #fail: (error: Error) => void;
  readonly #frames = new FrameReader();
  readonly #exchanges = new Map<number, Exchange>();
  /** Requests that wait for room. */
  readonly #waiting: { readonly body: string; readonly onResponse: (body: string) => void }[] = [];
  #room = INITIAL_WINDOW;
  #nextStream = 1;
  #isClosing = false;

  constructor({ port, ca }: LoadTarget, fail: (error: Error) => void) {
    this.#fail = fail;
    this.#socket = connect({ host: '127.0.0.1', port, ca, ALPNProtocols: ['h2'] });
    this.#socket.once('error', fail);
    this.#socket.once('close', () => {
      if (!this.#isClosing) fail(new Error('the server has closed a connection'));
    });
    this.#socket.on('data', (chunk: Buffer) => {
      // One write for all that these frames lead to.
      this.#socket.cork();
      for (const frame of this.#frames.read(chunk)) this.#handle(frame);
      this.#socket.uncork();
    });
  }

  async open(): Promise<void> {
    await once(this.#socket, 'secureConnect');
    const settings = makeSettings([[SETTING.initialWindowSize, STREAM_WINDOW]]);
    this.#socket.write(Buffer.concat([PREFACE, settings, makeWindowUpdate(0, CONNECTION_WINDOW)]));
  }

  send(body: string, onResponse: (body: string) => void): void {
    const bytes = Buffer.from(body);
    if (bytes.length > this.#room) {
      this.#waiting.push({ body, onResponse });
      return;
    }
    this.#room -= bytes.length;
    const stream = this.#nextStream;
    this.#nextStream += 2;
    this.#exchanges.set(stream, { chunks: [], onResponse });
    const headers = encodeHeaders(makeReviewHeaders(bytes.length));
    this.#socket.write(makeFrame(FRAME.headers, FLAG.endHeaders, stream, headers));
    this.#socket.write(makeFrame(FRAME.data, FLAG.endStream, stream, bytes));
  }

  close(): void {
    this.#isClosing = true;
    this.#socket.end();
  }

  #handle({ type, flags, stream, payload }: Frame): void {
    if (type === FRAME.goaway || type === FRAME.reset) {
      this.#fail(new Error(`the server sent a frame of type ${type}: ${payload.toString('hex')}`));
    } else if ((type === FRAME.settings || type === FRAME.ping) && (flags & FLAG.ack) === 0) {
      this.#socket.write(makeFrame(type, FLAG.ack, 0, type === FRAME.ping ? payload : undefined));
    } else if (type === FRAME.windowUpdate && stream === 0) {
      this.#room += payload.readUInt32BE(0);
      const waiting = this.#waiting.splice(0);
      for (const { body, onResponse } of waiting) this.send(body, onResponse);
    } else if (type === FRAME.headers && payload[0] !== STATUS_200) {
      this.#fail(new Error(`the status is not 200: ${payload.toString('hex')}`));
    } else if (type === FRAME.data) {
      this.#receive(stream, payload, (flags & FLAG.endStream) !== 0);
    }
  }

  #receive(stream: number, payload: Buffer, isLast: boolean): void {
    const exchange = this.#exchanges.get(stream);
    exchange?.chunks.push(payload);
    if (exchange === undefined || !isLast) return;
    this.#exchanges.delete(stream);
    exchange.onResponse(Buffer.concat(exchange.chunks).toString());
  }
}

/** Opens as many connections as the streams need. */
export async function openHttp2Channels(
  target: LoadTarget,
  count: number,
  fail: (error: Error) => void,
): Promise<readonly Channel[]> {
  const size = Math.ceil(count / STREAMS_PER_CONNECTION);
  const connections = Array.from({ length: size }, () => new Connection(target, fail));
  await Promise.all(connections.map((connection) => connection.open()));
  return Array.from({ length: count }, (_, index) => connections[Math.floor(index / STREAMS_PER_CONNECTION)]).filter(
    (connection) => connection !== undefined,
  );
}
