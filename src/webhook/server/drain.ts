/**
 * Sends clients elsewhere before the server stops. A client that finds its connection closed without a word may have a
 * request on its way, so each connection ends with a response that says so; the client then opens another one, which a
 * load balancer passes on to another replica.
 */
import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Prepares the drain of the connections of HTTP/1.1 of a server that has none yet.
 *
 * @returns a function that starts the drain: from then on, each connection ends after the responses that are due
 */
export function prepareDrain(server: EventEmitter): () => void {
  const responses = new Set<ServerResponse>();
  let isDraining = false;

  const announceClose = (response: ServerResponse): void => {
    if (!response.headersSent) response.setHeader('connection', 'close');
  };
  // Before the listener that answers.
  server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
    if (isDraining) announceClose(response);
    responses.add(response);
    response.once('close', () => responses.delete(response));
  });
  return () => {
    isDraining = true;
    for (const response of responses) announceClose(response);
  };
}
