// Sends one request and returns the response unchanged: it follows no redirects, and no status is an error. fetch
// cannot be used, because it does not accept a CA.

import { readFileSync } from 'node:fs';
import { request as requestHttp } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { request as requestHttps } from 'node:https';
import { text } from 'node:stream/consumers';

export interface OutgoingRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly form?: Readonly<Record<string, string>> | URLSearchParams;
  readonly json?: unknown;
  /** Path of the CA to trust. */
  readonly ca: string;
}

export interface ReceivedResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Sends a request. The default method is POST with a body, and GET without one. */
export function sendRequest(
  url: string | URL,
  { method, headers = {}, form, json, ca }: OutgoingRequest,
): Promise<ReceivedResponse> {
  const [type, body] =
    form !== undefined
      ? ['application/x-www-form-urlencoded', new URLSearchParams(form).toString()]
      : ['application/json', json === undefined ? undefined : JSON.stringify(json)];
  const content = body === undefined ? {} : { 'Content-Type': type, 'Content-Length': String(Buffer.byteLength(body)) };
  const options = {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: { ...content, ...headers },
    agent: false,
  };
  return new Promise((resolve, reject) => {
    const request = String(url).startsWith('https:')
      ? requestHttps(url, { ...options, ca: readFileSync(ca) })
      : requestHttp(url, options);
    request.on('error', reject);
    request.on('response', (response) => {
      text(response).then(
        (content) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: content }),
        reject,
      );
    });
    request.end(body);
  });
}
