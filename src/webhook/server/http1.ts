/** Requests over HTTP/1.1. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { Answer } from './answer.ts';
import type { AnswerRequest } from './request.ts';

/** What answers requests over HTTP/1.1. */
export interface Http1Listener {
  readonly listen: (request: IncomingMessage, response: ServerResponse) => void;
  /**
   * Sends clients elsewhere before the server stops. A client that finds its connection closed without a word may have a
   * request on its way, so each connection ends with an answer that says so. The client then opens another one, which a
   * load balancer passes on to another replica.
   */
  readonly drain: () => void;
}

function send(response: ServerResponse, { status, contentType, body, headers }: Answer, isLast: boolean): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    ...headers,
    ...(isLast ? { connection: 'close' } : undefined),
  });
  response.end(body);
}

/** Whether a body follows the headers (RFC 9112, section 6.3). */
const hasBody = (headers: IncomingHttpHeaders): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';

/** Makes the listener for requests over HTTP/1.1. */
export function makeHttp1Listener(answerRequest: AnswerRequest): Http1Listener {
  let isDraining = false;
  return {
    listen: (request, response) => {
      const { socket, headers } = request;
      if (!(socket instanceof TLSSocket)) {
        socket.destroy();
        return;
      }
      const head = {
        method: request.method,
        target: request.url,
        contentType: headers['content-type'],
        contentLength: headers['content-length'],
        socket,
      };
      answerRequest(head, request, (answer) => {
        // The rest of a request that is not read would be taken for the next one. Node calls no request complete yet
        // whose answer depends on the headers alone.
        if (!response.destroyed) send(response, answer, isDraining || (hasBody(headers) && !request.complete));
      });
    },
    drain: () => {
      isDraining = true;
    },
  };
}
