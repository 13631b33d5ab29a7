/** Requests over HTTP/1.1. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { Answer } from './answer.ts';
import type { AnswerRequest } from './routes.ts';

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const { status, contentType, body, allow } = answer;
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    ...(allow === undefined ? {} : { allow }),
    // The rest of a request that is not read would be taken for the next one.
    ...(!request.complete ? { connection: 'close' } : {}),
  });
  response.end(body);
}

/** Makes the listener for requests over HTTP/1.1. */
export function makeHttp1Listener(
  answerRequest: AnswerRequest,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
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
    void answerRequest(head, request).then((answer) => {
      if (answer !== undefined && !response.destroyed) send(request, response, answer);
    });
  };
}
