/**
 * Sends clients elsewhere before the server stops. A client that finds its connection closed without a word may have a
 * request on its way, so each connection ends with a response that says so; the client then opens another one, which a
 * load balancer passes on to another replica.
 */
import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Session } from 'node:http2';

/**
 * Prepares the drain of a server that has no connections yet.
 *
 * @returns a function that starts the drain: from then on, each connection ends after the responses that are due
 */
export function prepareDrain(server: EventEmitter): () => void {
  const responses = new Set<ServerResponse>();
  const sessions = new Set<ServerHttp2Session>();
  let isDraining = false;

  const announceClose = (response: ServerResponse): void => {
    if (!response.headersSent) response.setHeader('connection', 'close');
  };
  // Before the listener that answers.
  server.prependListener('request', ({ httpVersionMajor }: IncomingMessage, response: ServerResponse) => {
    if (httpVersionMajor !== 1) return;
    if (isDraining) announceClose(response);
    responses.add(response);
    response.once('close', () => responses.delete(response));
  });
  // GOAWAY names the last stream that is answered; the client sends all later ones elsewhere (RFC 9113, 6.8).
  server.on('session', (session: ServerHttp2Session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    session.once('stream', () => {
      if (isDraining) session.close();
    });
  });
  return () => {
    isDraining = true;
    for (const response of responses) announceClose(response);
    for (const session of sessions) session.close();
  };
}
