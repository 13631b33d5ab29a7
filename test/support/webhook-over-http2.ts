/** Clients of a webhook over HTTP/2: one that behaves, and one that sends any frames. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import type { ClientHttp2Session, IncomingHttpHeaders, SecureClientSessionOptions } from 'node:http2';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import type { Pki } from '../../scripts/lib/pki.ts';
import {
  encodeHeaders,
  FLAG,
  FRAME,
  FrameReader,
  makeFrame,
  makeReviewHeaders,
  makeSettings,
  PREFACE,
} from './http2-frames.ts';
import type { Frame } from './http2-frames.ts';
import { waitUntil } from './wait-until.ts';
import { parseBody } from './webhook-client.ts';
import type { Owner, WebhookRequest, WebhookResponse } from './webhook-client.ts';

export interface Http2Client {
  readonly session: ClientHttp2Session;
  sendRequest(request: Omit<WebhookRequest, 'tls'>): Promise<WebhookResponse>;
  postReview(body: unknown): Promise<WebhookResponse>;
}

const authorities = new Map<string, Buffer>();

/** Reads a file once: a hundred clients that start together must not wait for a hundred reads, one after the other. */
function readAuthority({ ca }: Pki): Buffer {
  const known = authorities.get(ca) ?? readFileSync(ca);
  authorities.set(ca, known);
  return known;
}

/** Opens one connection, which is closed after the test. */
export async function connectOverHttp2(
  t: Owner,
  port: number,
  pki: Pki,
  tls: SecureClientSessionOptions = {},
): Promise<Http2Client> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: readAuthority(pki), ...tls });
  session.on('error', () => undefined);
  t.teardown(() => {
    session.destroy();
  });
  await once(session, 'connect');
  const sendRequest: Http2Client['sendRequest'] = async ({ method = 'GET', path = '/', body, headers = {} }) => {
    const stream = session.request({ ...headers, ':method': method, ':path': path }, { endStream: body === undefined });
    if (body !== undefined) stream.end(body);
    const responded = new Promise<IncomingHttpHeaders>((resolve, reject) => {
      stream.once('response', resolve);
      stream.once('error', reject);
      stream.once('close', () => {
        reject(new Error('the stream is closed without a response'));
      });
    });
    const [received, content] = await Promise.all([responded, text(stream)]);
    return { status: Number(received[':status']), body: parseBody(content), headers: received };
  };
  return {
    session,
    sendRequest,
    postReview: (body) =>
      sendRequest({
        method: 'POST',
        path: '/webhook?timeout=30s',
        body: typeof body === 'string' ? body : JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      }),
  };
}

/** Sends any frames. */
export interface FrameClient {
  /** What the server has sent so far. */
  readonly frames: readonly Frame[];
  /** Whether the server has closed the connection. */
  isClosed(): boolean;
  /** Resolves when the connection can take more; does nothing on a closed one. */
  send(...frames: readonly Buffer[]): Promise<void>;
  /** Reads nothing more, so that what the server sends piles up. */
  stopReading(): void;
  continueReading(): void;
}

/**
 * Opens a connection, sends the preface and settings, and waits until the server has accepted it: from that moment the
 * server counts its time. It is closed after the test.
 */
export async function connectFrameClient(
  t: Owner,
  port: number,
  pki: Pki,
  settings: Parameters<typeof makeSettings>[0] = [],
): Promise<FrameClient> {
  const socket = connectTls({ host: '127.0.0.1', port, ca: readAuthority(pki), ALPNProtocols: ['h2'] });
  const reader = new FrameReader();
  const frames: Frame[] = [];
  let isClosed = false;
  socket.on('error', () => undefined).once('close', () => (isClosed = true));
  socket.on('data', (chunk: Buffer) => {
    frames.push(...reader.read(chunk));
  });
  t.teardown(() => {
    socket.destroy();
  });
  await once(socket, 'secureConnect');
  const send = (...parts: readonly Buffer[]): Promise<void> =>
    new Promise((resolve) => {
      if (isClosed || socket.write(Buffer.concat(parts))) {
        resolve();
        return;
      }
      const finish = (): void => {
        socket.off('drain', finish).off('close', finish);
        resolve();
      };
      socket.on('drain', finish).on('close', finish);
    });
  await send(PREFACE, makeSettings(settings));
  await waitUntil('the settings of the server', () => isClosed || frames.length > 0);
  return {
    frames,
    isClosed: () => isClosed,
    send,
    stopReading: () => {
      socket.pause();
    },
    continueReading: () => {
      socket.resume();
    },
  };
}

/** Makes the frames of a review. */
export function makeReviewFrames(stream: number, body: string): readonly Buffer[] {
  const bytes = Buffer.from(body);
  return [
    makeFrame(FRAME.headers, FLAG.endHeaders, stream, encodeHeaders(makeReviewHeaders(bytes.length))),
    makeFrame(FRAME.data, FLAG.endStream, stream, bytes),
  ];
}
