/** How got sends a request: through Node, with the whole body at once. */
import { request as requestHttp } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { RequestOptions } from 'node:https';

/** Starts a request, as got calls it. */
export type NativeRequest = (
  url: URL,
  options: RequestOptions,
  callback?: (response: IncomingMessage) => void,
) => ClientRequest;

/** Sends a request to the server of its URL. */
export const sendDirectly: NativeRequest = (url, options, callback) =>
  (url.protocol === 'https:' ? requestHttps : requestHttp)(url, options, callback);

/**
 * Adds a body to the requests of a function. got itself would write the body in parts and destroy the request if the
 * response begins before Node reports the last part as written: the answer of a server that refuses a request before it
 * has read all of it (RFC 9112, section 9.5) would be lost.
 */
export function sendBodyAtOnce(send: NativeRequest, body: string | undefined): NativeRequest {
  if (body === undefined) return send;
  return (url, options, callback) => {
    const request = send(url, options, callback);
    request.setHeader('content-length', Buffer.byteLength(body));
    // Not its end, which got writes: it would take an ended request for a response.
    request.write(body);
    return request;
  };
}
