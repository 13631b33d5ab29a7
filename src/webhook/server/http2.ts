/**
 * Requests over HTTP/2, and limits for its connections. nghttp2 ends a connection that floods it with resets, settings,
 * pings, continuations or invalid frames. This file limits what is legal, but keeps memory for too long.
 */
import { constants, performServerHandshake } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Log } from '../observability/log.ts';
import type { Answer } from './answer.ts';
import { HEADERS_MS, KEEP_ALIVE_MS, REQUEST_MS } from './limits.ts';
import type { AnswerRequest, RequestHead } from './request.ts';
import { WaitingStreams } from './waiting-streams.ts';
import type { WaitingStream } from './waiting-streams.ts';

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = constants;

const OPTIONS = {
  /** Memory of a connection, in MB: its streams, their headers, and what waits to be sent. */
  maxSessionMemory: 4,
  settings: {
    /** As Go's server; client-go opens another connection for more. */
    maxConcurrentStreams: 250,
    /** As Node's server of HTTP/1.1, in bytes. */
    maxHeaderListSize: 16_384,
  },
};

/** What the client may send on all streams before it must wait, in bytes; as Go's server. */
const CONNECTION_WINDOW = 1024 * 1024;

/** Tells the client to send no more requests, but allows those that are on their way (RFC 9113, section 6.8). */
const ALL_STREAMS = 2 ** 31 - 1;

export interface Http2Settings {
  readonly answerRequest: AnswerRequest;
  /** A monotonic clock in ms. */
  readonly now: () => number;
  readonly log: Log;
}

const ignore = (): void => undefined;

function readHead(headers: IncomingHttpHeaders, socket: TLSSocket): RequestHead {
  return {
    method: headers[':method'],
    target: headers[':path'],
    contentType: headers['content-type'],
    contentLength: headers['content-length'],
    socket,
  };
}

function send(stream: ServerHttp2Stream, isHead: boolean, answer: Answer): void {
  const { status, contentType, body } = answer;
  // A list, because Node copies an object twice.
  const headers = [':status', String(status), 'content-type', contentType];
  headers.push('content-length', String(Buffer.byteLength(body)));
  if (answer.headers !== undefined) headers.push(...Object.entries(answer.headers).flat());
  if (isHead) {
    stream.respond(headers, { endStream: true });
  } else {
    stream.respond(headers);
    stream.end(body);
  }
  if (stream.readableEnded) return;
  // A stream ends only when its body has been read, and nobody reads the rest of this one.
  stream.resume();
  if (!stream.endAfterHeaders) stream.close(NGHTTP2_NO_ERROR);
}

class Http2Connection {
  readonly #settings: Http2Settings;
  readonly #waiting: WaitingStreams;
  readonly #socket: TLSSocket;
  readonly #session: ServerHttp2Session;
  #openCount = 0;
  #hasSentRequest = false;
  #idleSince: number;
  #closingSince: number | undefined;
  #askedSince: number | undefined;

  constructor(settings: Http2Settings, waiting: WaitingStreams, socket: TLSSocket, onClose: () => void) {
    this.#settings = settings;
    this.#waiting = waiting;
    this.#socket = socket;
    this.#idleSince = settings.now();
    this.#session = performServerHandshake(socket, OPTIONS);
    this.#session.setLocalWindowSize(CONNECTION_WINDOW);
    this.#session.on('stream', (stream, headers) => {
      this.#serve(stream, headers);
    });
    this.#session.on('error', (error: Error) => {
      settings.log.debug({ error: 'code' in error ? error.code : error.name }, 'HTTP/2 connection failed');
    });
    this.#session.once('close', onClose);
  }

  /** Asks the client to use another connection for its next requests. */
  drain(): void {
    if (!this.#session.destroyed) this.#session.goaway(NGHTTP2_NO_ERROR, ALL_STREAMS);
  }

  /** The same after the first request, which the client would otherwise send on ever more connections. */
  drainAfterRequest(): void {
    this.#session.once('stream', () => {
      this.drain();
    });
  }

  /** Accepts no more requests, and closes the connection after the last answer. */
  close(): void {
    this.#closingSince ??= this.#settings.now();
    this.#session.close();
  }

  /** Ends what takes too long. */
  checkTimes(): void {
    const now = this.#settings.now();
    const isLate = (since: number | undefined, limitMs: number): boolean =>
      since !== undefined && now - since >= limitMs;
    if (isLate(this.#askedSince, REQUEST_MS)) this.#socket.destroy();
    if (this.#openCount > 0) return;
    if (this.#session.destroyed) this.#closingSince ??= now;
    if (isLate(this.#closingSince, REQUEST_MS)) this.#socket.destroy();
    else if (this.#hasSentRequest && isLate(this.#idleSince, KEEP_ALIVE_MS)) this.close();
    // Not close(), which waits for the end of headers that have begun.
    else if (!this.#hasSentRequest && isLate(this.#idleSince, HEADERS_MS)) this.#session.destroy();
  }

  /** Ends a stream whose client is late. */
  #resetLate(stream: ServerHttp2Stream): void {
    stream.close(NGHTTP2_CANCEL);
    if (this.#askedSince !== undefined || this.#session.destroyed) return;
    // A client that reads nothing does not read the reset either. It shows no sign of life.
    this.#askedSince = this.#settings.now();
    this.#session.ping((error) => {
      if (error === null) this.#askedSince = undefined;
    });
  }

  #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const { answerRequest, now } = this.#settings;
    const waiting: WaitingStream = {
      since: 0,
      reset: () => {
        this.#resetLate(stream);
      },
    };
    this.#hasSentRequest = true;
    this.#openCount += 1;
    // What a client does to its stream is not an error of the server. Not once(), which costs more for what happens once
    // anyway.
    stream.on('error', ignore);
    stream.on('end', () => {
      this.#waiting.delete(waiting);
    });
    stream.on('close', () => {
      this.#waiting.delete(waiting);
      this.#openCount -= 1;
      this.#idleSince = now();
    });
    this.#waiting.add(waiting);
    answerRequest(readHead(headers, this.#socket), stream, (answer) => {
      if (stream.destroyed || stream.closed) return;
      this.#waiting.add(waiting);
      send(stream, headers[':method'] === 'HEAD', answer);
    });
  }
}

/** The connections of HTTP/2. */
export class Http2Connections {
  readonly #settings: Http2Settings;
  readonly #connections = new Set<Http2Connection>();
  readonly #waiting: WaitingStreams;
  #isDraining = false;

  constructor(settings: Http2Settings) {
    this.#settings = settings;
    this.#waiting = new WaitingStreams(settings.now);
  }

  /** Serves a client that has chosen HTTP/2. */
  accept(socket: TLSSocket): void {
    const connection = new Http2Connection(this.#settings, this.#waiting, socket, () =>
      this.#connections.delete(connection),
    );
    this.#connections.add(connection);
    if (this.#isDraining) connection.drainAfterRequest();
  }

  /** Asks the clients to use other connections for their next requests. */
  drain(): void {
    this.#isDraining = true;
    for (const connection of this.#connections) connection.drain();
  }

  /** Accepts no more requests, and closes each connection after its last answer. */
  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  /** Ends what takes too long; call it every second. */
  checkTimes(): void {
    this.#waiting.checkTimes();
    for (const connection of this.#connections) connection.checkTimes();
  }
}
