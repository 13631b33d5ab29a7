/** Decides whether a request brings the result of a login, and reads it. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { parseCallbackParameters } from './callback-parameters.ts';
import type { CallbackParameters } from './callback-parameters.ts';

const MAX_BODY_BYTES = 64 * 1024;

/** What a request must look like. */
export interface ExpectedCallback {
  /** Host, port and path. */
  readonly url: URL;
  /** A POST brings a form, a GET brings a query. */
  readonly verb: 'GET' | 'POST';
  /** The only origin that may send the request, if the browser reports an origin. */
  readonly origin?: string | undefined;
}

/** Whether a request is for the callback; a foreign Host header means DNS rebinding by an attacker. */
export function isForCallback({ headers, method }: IncomingMessage, path: string, expected: ExpectedCallback): boolean {
  const { host = '' } = headers;
  return host.toLowerCase() === expected.url.host && path === expected.url.pathname && method === expected.verb;
}

async function readForm(request: IncomingMessage): Promise<string | undefined> {
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(request.headers['content-type'] ?? '')) return undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * Whether the browser shows the response to the user as a page, and not in a hidden frame, as an image or to a script.
 * Browsers that support Fetch Metadata send it with every request, and no page can change it.
 */
function isNavigation(headers: IncomingHttpHeaders): boolean {
  const { 'sec-fetch-mode': mode = 'navigate', 'sec-fetch-dest': destination = 'document' } = headers;
  return mode === 'navigate' && destination === 'document';
}

/** Whether a page of `origin` may have sent it; browsers send the origin "null" from https:// to http://. */
function mayComeFrom(origin: string, headers: IncomingHttpHeaders): boolean {
  const { origin: sender = 'null', referer } = headers;
  const refererOrigin = URL.parse(referer ?? '')?.origin ?? origin;
  return (sender === 'null' || sender === origin) && refererOrigin === origin;
}

/** Reads what the browser brings; undefined when it cannot be the result of a login. */
export async function readCallback(
  request: IncomingMessage,
  query: string,
  { verb, origin }: ExpectedCallback,
): Promise<CallbackParameters | undefined> {
  const { headers } = request;
  if ((origin !== undefined && !mayComeFrom(origin, headers)) || !isNavigation(headers)) return undefined;
  const text = verb === 'GET' ? query : await readForm(request);
  return text === undefined ? undefined : parseCallbackParameters(text);
}
