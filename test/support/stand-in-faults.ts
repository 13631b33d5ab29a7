// Everything a hostile, broken or merely odd Keystone may answer, as handlers to put in front of the stand-in. Nothing
// here is held in memory at once: what has no end is made while the client reads it.

import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { sendResponse, formatLikeKeystone } from './stand-in-keystone.ts';
import type { StandInResponse, Handler } from './stand-in-keystone.ts';

const mebibyte = 1024 * 1024;
const gibibyte = 1024 * mebibyte;

/** Another answer made from the ordinary one. */
export function changeResponse(edit: (answer: StandInResponse) => StandInResponse): Handler {
  return (_request, response, { makeDefaultResponse }) => sendResponse(response, edit(makeDefaultResponse()));
}

/** Only the headers of the ordinary answer are changed; undefined takes one away. */
export function changeResponseHeaders(changes: Readonly<Record<string, string | undefined>>): Handler {
  return changeResponse((answer) => {
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries({ ...answer.headers, ...changes })) {
      if (value !== undefined) headers[name] = value;
    }
    return { ...answer, headers };
  });
}

/** The page of a proxy, a captive portal or a web server. */
export function respondHtml(
  status: number,
  text = `<html><body><h1>${status}</h1>from a proxy</body></html>`,
): Handler {
  return (_request, response) =>
    sendResponse(response, { status, headers: { 'content-type': 'text/html' }, body: text });
}

export function respondJson(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Handler {
  return (_request, response) =>
    sendResponse(response, { status, headers: { 'content-type': 'application/json', ...headers }, body });
}

/** An error as Keystone writes it. */
export function respondKeystoneError(status: number, message: string, title = 'Error'): Handler {
  return respondJson(status, { error: { code: status, message, title } });
}

export function respondRedirect(status: 301 | 302 | 303 | 307 | 308, location: string): Handler {
  return (_request, response) => sendResponse(response, { status, headers: { location } });
}

/** A 201 that goes on and on, as fast as it is read. */
export function neverEndingBody(): Handler {
  return stream({ 'content-type': 'application/json' }, () => repeat(Buffer.alloc(65_536, 'a'), Infinity));
}

/** A 201 with that many bytes in one JSON string, and the length announced unless told otherwise. */
export function hugeBody(bytes = gibibyte, announced = true): Handler {
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

/** A 201 whose gzip body is a thousand times longer once decoded. */
export function gzipBomb(decodedBytes = 10 * gibibyte): Handler {
  // gzip allows members one after another, and zlib decodes them as one; so one member, made once, is enough.
  const decodedMember = 16 * mebibyte;
  const member = gzipSync(Buffer.alloc(decodedMember, ' '), { level: 9 });
  return stream({ 'content-type': 'application/json', 'content-encoding': 'gzip' }, () =>
    repeat(member, Math.ceil(decodedBytes / decodedMember)),
  );
}

/** The ordinary answer, but its body byte by byte. */
export function slowBody(bytesPerSecond = 1): Handler {
  return async (_request, response, { makeDefaultResponse }) => {
    const { status, headers, body } = makeDefaultResponse();
    response.writeHead(status, headers);
    for (const byte of Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))) {
      if (response.destroyed) return;
      response.write(Buffer.of(byte));
      // Does not keep a test alive that is done.
      await sleep(1000 / bytesPerSecond, undefined, { ref: false });
    }
    response.end();
  };
}

/** Even the status line and headers come byte by byte. */
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

/** Takes the request and never answers. */
export function silence(): Handler {
  return () => undefined;
}

/** Resets the connection before any answer. */
export function resetAtOnce(): Handler {
  return (_request, _response, { resetConnection }) => resetConnection();
}

/** Half of the ordinary body, then a reset. */
export function resetMidBody(): Handler {
  return async (_request, response, { makeDefaultResponse, resetConnection }) => {
    await writeHalf(response, makeDefaultResponse());
    resetConnection();
  };
}

/** Half of the ordinary body, then an orderly end of the connection. */
export function cutMidBody(): Handler {
  return async (_request, response, { makeDefaultResponse }) => {
    await writeHalf(response, makeDefaultResponse());
    response.socket?.end();
  };
}

/** The ordinary answer's status and headers over a body that is no JSON. */
export function malformedJson(text = '{"token": {"methods": ["password"], '): Handler {
  return changeResponse((answer) => ({ ...answer, body: text }));
}

/** The ordinary answer with another body. */
export function withBody(body: unknown): Handler {
  return changeResponse((answer) => ({ ...answer, body }));
}

/** The ordinary answer without X-Subject-Token. */
export function withoutToken(): Handler {
  return changeResponseHeaders({ 'x-subject-token': undefined });
}

/** The ordinary answer with these exact bytes (Latin-1) as its X-Subject-Token. */
export function withToken(token: string): Handler {
  return (_request, response, { makeDefaultResponse }) => {
    const { status, headers, body } = makeDefaultResponse();
    const text = JSON.stringify(body);
    const lines = Object.entries({ ...headers, 'x-subject-token': token, 'content-length': Buffer.byteLength(text) });
    // Past Node's own response, which refuses to send such a header.
    const head = [`HTTP/1.1 ${status} CREATED`, ...lines.map(([name, value]) => `${name}: ${value}`)].join('\r\n');
    response.socket?.write(
      Buffer.concat([Buffer.from(`${head}\r\nconnection: close\r\n\r\n`, 'latin1'), Buffer.from(text)]),
    );
    response.socket?.end();
  };
}

/** Tokens that must never reach kubectl; many of them not even an HTTP parser lets through. */
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

/** 429 or 503 with Retry-After, in seconds or as a date. */
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
 * The ordinary answer with a Date header that is off by so much, or any text; undefined leaves the header out. For a
 * server whose `expires_at` is off as well, set the stand-in's `clockAheadSeconds`.
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

/** Spellings of `expires_at` that are one and the same instant (to the second); set the stand-in's `spellExpiry`. */
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

/** The last whole minute before the expiry, spelled as a leap second; so up to a minute before the real expiry. */
export function formatLeapSecond(expiry: Date): string {
  const minute = new Date(Math.floor(expiry.getTime() / 60_000) * 60_000 - 60_000);
  return minute.toISOString().slice(0, 17) + '60.000000Z';
}

/** `expires_at` as no clock can read it. */
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
    // That the client hangs up in the middle is what it should do.
    await pipeline(Readable.from(chunks(), { objectMode: false }), response).catch(() => undefined);
  };
}

async function writeHalf(response: ServerResponse, { status, headers, body }: StandInResponse): Promise<void> {
  const text = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  response.writeHead(status, { ...headers, 'content-length': text.length });
  await new Promise<void>((resolve) => response.write(text.subarray(0, text.length / 2), () => resolve()));
  // Else a reset could overtake what was just written.
  await sleep(50);
}
