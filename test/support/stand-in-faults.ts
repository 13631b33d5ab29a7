// Handlers for the stand-in that respond as a hostile, broken or unusual Keystone does. Large and endless bodies are
// generated while the client reads them, so they need little memory.

import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { sendResponse, formatLikeKeystone } from './stand-in-keystone/responses.ts';
import type { Handler } from './stand-in-keystone/handlers.ts';
import type { StandInResponse } from './stand-in-keystone/responses.ts';

const mebibyte = 1024 * 1024;
const gibibyte = 1024 * mebibyte;

/** Responds with a changed default response. */
export function changeResponse(edit: (answer: StandInResponse) => StandInResponse): Handler {
  return (_request, response, { makeDefaultResponse }) => sendResponse(response, edit(makeDefaultResponse()));
}

/** Responds, and closes the connection without having said so. */
export function closeAfterResponse(): Handler {
  return (_request, response, { makeDefaultResponse }) => {
    const { socket } = response;
    response.once('finish', () => socket?.end());
    sendResponse(response, makeDefaultResponse());
  };
}

/** Changes headers of the default response. undefined removes a header. */
export function changeResponseHeaders(changes: Readonly<Record<string, string | undefined>>): Handler {
  return changeResponse((answer) => {
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries({ ...answer.headers, ...changes })) {
      if (value !== undefined) headers[name] = value;
    }
    return { ...answer, headers };
  });
}

/** Responds with a page like that of a proxy, a captive portal or a web server. */
export function respondHtml(
  status: number,
  text = `<html><body><h1>${status}</h1>from a proxy</body></html>`,
): Handler {
  return (_request, response) =>
    sendResponse(response, { status, headers: { 'content-type': 'text/html' }, body: text });
}

/** Responds with an HTML page, and closes the connection without a response if it is used again. */
export function respondHtmlOnce(status: number): Handler {
  return (request, response, tools) => {
    const { socket } = response;
    socket?.once('data', () => socket.destroy());
    return respondHtml(status)(request, response, tools);
  };
}

export function respondJson(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Handler {
  return (_request, response) =>
    sendResponse(response, { status, headers: { 'content-type': 'application/json', ...headers }, body });
}

/** Responds with an error in Keystone's format. */
export function respondKeystoneError(status: number, message: string, title = 'Error'): Handler {
  return respondJson(status, { error: { code: status, message, title } });
}

export function respondRedirect(status: 301 | 302 | 303 | 307 | 308, location: string): Handler {
  return (_request, response) => sendResponse(response, { status, headers: { location } });
}

/** Responds with 201 and an endless body, as fast as the client reads it. */
export function neverEndingBody(): Handler {
  return stream({ 'content-type': 'application/json' }, () => repeat(Buffer.alloc(65_536, 'a'), Infinity));
}

/** Responds with 201 and a JSON string of this length, by default with a content-length header. */
export function hugeBody(bytes = gibibyte, { announced = true } = {}): Handler {
  const start = Buffer.from('{"token":{"junk":"');
  const end = Buffer.from('"}}');
  const chunk = Buffer.alloc(65_536, 'a');
  const chunks = Math.ceil(bytes / chunk.length);
  const length = start.length + chunks * chunk.length + end.length;
  return stream(
    { 'content-type': 'application/json', ...(announced ? { 'content-length': String(length) } : {}) },
    function* () {
      yield start;
      yield* repeat(chunk, chunks);
      yield end;
    },
  );
}

/** Responds with 201 and a gzip body that is a thousand times longer when it is decoded. */
export function gzipBomb(decodedBytes = 10 * gibibyte): Handler {
  // gzip files can contain several members, which zlib decodes as one. So one member is compressed and then repeated.
  const decodedMember = 16 * mebibyte;
  const member = gzipSync(Buffer.alloc(decodedMember, ' '), { level: 9 });
  return stream({ 'content-type': 'application/json', 'content-encoding': 'gzip' }, () =>
    repeat(member, Math.ceil(decodedBytes / decodedMember)),
  );
}

/** Sends the body of the default response byte by byte. */
export function slowBody(bytesPerSecond = 1): Handler {
  return async (_request, response, { makeDefaultResponse }) => {
    const { status, headers, body } = makeDefaultResponse();
    response.writeHead(status, headers);
    for (const byte of Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))) {
      if (response.destroyed) return;
      response.write(Buffer.of(byte));
      // Without a reference, so that the timer does not delay the end of a test.
      await sleep(1000 / bytesPerSecond, undefined, { ref: false });
    }
    response.end();
  };
}

/** Sends the status line and the headers byte by byte. */
export function slowHeaders(bytesPerSecond = 1): Handler {
  return async (_request, response) => {
    const { socket } = response;
    for (const byte of Buffer.from('HTTP/1.1 201 CREATED\r\nX-Slow: '.padEnd(16_384, 'a'))) {
      if (socket === null || socket.destroyed) return;
      socket.write(Buffer.of(byte));
      await sleep(1000 / bytesPerSecond, undefined, { ref: false });
    }
  };
}

/** Reads the request and never responds. */
export function silence(): Handler {
  return () => undefined;
}

/** Resets the connection before any response. */
export function resetImmediately(): Handler {
  return (_request, _response, { resetConnection }) => resetConnection();
}

/** Sends half of the default body and resets the connection. */
export function resetMidBody(): Handler {
  return async (_request, response, { makeDefaultResponse, resetConnection }) => {
    await writeHalf(response, makeDefaultResponse());
    resetConnection();
  };
}

/** Sends half of the default body and closes the connection. */
export function cutMidBody(): Handler {
  return async (_request, response, { makeDefaultResponse }) => {
    await writeHalf(response, makeDefaultResponse());
    response.socket?.end();
  };
}

/** Sends the default response with a body that is not valid JSON. */
export function malformedJson(text = '{"token": {"methods": ["password"], '): Handler {
  return changeResponse((answer) => ({ ...answer, body: text }));
}

/** Sends the default response with another body. */
export function withBody(body: unknown): Handler {
  return changeResponse((answer) => ({ ...answer, body }));
}

/** Sends the default response without X-Subject-Token. */
export function withoutToken(): Handler {
  return changeResponseHeaders({ 'x-subject-token': undefined });
}

/** Sends the default response with these bytes (Latin-1) as X-Subject-Token. */
export function withToken(token: string): Handler {
  return (_request, response, { makeDefaultResponse }) => {
    const { status, headers, body } = makeDefaultResponse();
    const text = JSON.stringify(body);
    const lines = Object.entries({ ...headers, 'x-subject-token': token, 'content-length': Buffer.byteLength(text) });
    // Written to the socket, because Node refuses to send such a header.
    const head = [`HTTP/1.1 ${status} CREATED`, ...lines.map(([name, value]) => `${name}: ${value}`)].join('\r\n');
    response.socket?.write(
      Buffer.concat([Buffer.from(`${head}\r\nconnection: close\r\n\r\n`, 'latin1'), Buffer.from(text)]),
    );
    response.socket?.end();
  };
}

/** Tokens that must never reach kubectl. HTTP parsers already reject many of them. */
export const hostileTokens: Readonly<Record<string, string>> = {
  empty: '',
  blank: ' ',
  'inner blank': 'gAAAA BBBB',
  'inner tab': 'gAAAA\tBBBB',
  'carriage return and line feed': 'gAAAA\r\nX-Injected: yes',
  'carriage return': 'gAAAA\rBBBB',
  'line feed': 'gAAAA\nX-Injected: yes',
  'folded line': 'gAAAA\r\n BBBB',
  nul: 'gAAAA\0BBBB',
  escape: 'gAAAA\x1b]52;c;ZXZpbA==\x07BBBB',
  delete: 'gAAAA\x7fBBBB',
  'C1 control': 'gAAAA\x9bBBBB',
  'not ASCII': 'gAAAA\xe9BBBB',
  'longer than 16 KiB': 'g'.padEnd(16_385, 'A'),
  'of 40 KiB': 'g'.padEnd(40 * 1024, 'A'),
};

export function withContentType(type: string | undefined): Handler {
  return changeResponseHeaders({ 'content-type': type });
}

/** Responds with 429 or 503 and Retry-After, in seconds or as a date. */
export function retryAfter(status: 429 | 503, when: number | Date | string): Handler {
  return (_request, response) => {
    const value = when instanceof Date ? when.toUTCString() : String(when);
    sendResponse(response, {
      status,
      headers: { 'content-type': 'application/json', 'retry-after': value },
      body: { error: { code: status, message: 'Slow down.', title: 'Slow down' } },
    });
  };
}

/**
 * Sends the default response with another Date header: one that is off by some seconds, any text, or none (undefined).
 * To change `expires_at` as well, set the stand-in's `clockAheadSeconds`.
 */
export function withDate(off: number | string | undefined): Handler {
  return (_request, response, { makeDefaultResponse }) => {
    const date = typeof off === 'number' ? new Date(Date.now() + off * 1000).toUTCString() : off;
    response.sendDate = false;
    response.removeHeader('date');
    if (date !== undefined) response.setHeader('date', date);
    sendResponse(response, makeDefaultResponse());
  };
}

/** Formats of `expires_at` for the same time in seconds, for the stand-in's `formatExpiry`. */
export const expiryFormats: Readonly<Record<string, (expiry: Date) => string>> = {
  'six zeros and Z': formatLikeKeystone,
  'whole seconds and Z': (expiry) => secondsOf(expiry) + 'Z',
  'a fraction and Z': (expiry) => secondsOf(expiry) + '.123456Z',
  'nine digits and Z': (expiry) => secondsOf(expiry) + '.123456789Z',
  'six digits and no zone': (expiry) => secondsOf(expiry) + '.123456',
  'whole seconds and no zone': secondsOf,
  'an offset of zero': (expiry) => secondsOf(expiry) + '+00:00',
  'a fraction and an offset of zero': (expiry) => secondsOf(expiry) + '.000000+00:00',
  'another offset': (expiry) => secondsOf(new Date(expiry.getTime() + 7_200_000)) + '+02:00',
};

/** Formats the last full minute before the expiry as a leap second, up to a minute before the real expiry. */
export function formatLeapSecond(expiry: Date): string {
  const minute = new Date(Math.floor(expiry.getTime() / 60_000) * 60_000 - 60_000);
  return minute.toISOString().slice(0, 17) + '60.000000Z';
}

/** Invalid values of `expires_at`. */
export const unreadableExpiries: readonly string[] = [
  '',
  'tomorrow',
  '2026-13-45T25:61:61Z',
  '0',
  '2026-11-21',
  'null',
];

function secondsOf(instant: Date): string {
  return instant.toISOString().slice(0, 19);
}

function* repeat(chunk: Buffer, times: number): Generator<Buffer> {
  for (let count = 0; count < times; count += 1) yield chunk;
}

function stream(headers: Readonly<Record<string, string>>, chunks: () => Iterable<Buffer>): Handler {
  return async (_request, response) => {
    response.writeHead(201, { 'x-subject-token': 'gAAAAAB-of-a-fault', ...headers });
    // The client is expected to close the connection early.
    await pipeline(Readable.from(chunks(), { objectMode: false }), response).catch(() => undefined);
  };
}

async function writeHalf(response: ServerResponse, { status, headers, body }: StandInResponse): Promise<void> {
  const text = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  response.writeHead(status, { ...headers, 'content-length': text.length });
  await new Promise<void>((resolve) => response.write(text.subarray(0, text.length / 2), () => resolve()));
  // Without this, a reset could arrive before the data.
  await sleep(50);
}
