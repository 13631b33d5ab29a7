/** Responses in Keystone's formats, and the refusals that become one. */
import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { Json } from './json.ts';

export interface StandInResponse {
  status: number;
  headers: Record<string, string>;
  /** Sent as JSON unless it is a string. */
  body?: unknown;
}

/** An error response of Keystone. It can be thrown anywhere and is formatted in one place. */
export class Refusal extends Error {
  readonly status: number;
  readonly extra: Json;
  constructor(status: number, message: string, extra: Json = {}) {
    super(message);
    this.status = status;
    this.extra = extra;
  }
}

/** Keystone does not say why a login is refused. */
export function refuseLogin(): Refusal {
  return new Refusal(401, 'The request you have made requires authentication.');
}

export function refuseIncomplete(attribute: string, target: string): Refusal {
  return new Refusal(
    400,
    `Expecting to find ${attribute} in ${target}. The server could not comply with the request since it is either ` +
      'malformed or otherwise incorrect. The client is assumed to be in error.',
  );
}

/** Formats a time as Keystone does: UTC with six decimal places. */
export function formatLikeKeystone(instant: Date): string {
  return instant.toISOString().replace(/Z$/, '000Z');
}

export function makeJsonResponse(status: number, body: unknown, headers: Record<string, string> = {}): StandInResponse {
  return { status, headers: { 'content-type': 'application/json', ...makeCommonHeaders(), ...headers }, body };
}

/** Keystone's headers of every response. */
export function makeCommonHeaders(): Record<string, string> {
  return { vary: 'X-Auth-Token', 'x-openstack-request-id': `req-${randomUUID()}` };
}

export function makeRefusalResponse({ status, message, extra }: Refusal, url: string): StandInResponse {
  const body = { error: { code: status, ...extra, message, title: STATUS_CODES[status] ?? '' } };
  const challenge = { 'www-authenticate': `Keystone uri="${url}/v3"` };
  return makeJsonResponse(status, body, status === 401 ? challenge : {});
}

export function makeNotFoundResponse(): StandInResponse {
  const body =
    '<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>The requested URL was not ' +
    'found on the server. If you entered the URL manually please check your spelling and try again.</p>\n';
  return makeJsonResponse(404, body, { 'content-type': 'text/html; charset=utf-8' });
}

/** Sends a response. */
export function sendResponse(response: ServerResponse, answer: StandInResponse): void {
  const { body } = answer;
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  response.statusMessage = (STATUS_CODES[answer.status] ?? 'Unknown').toUpperCase();
  response.writeHead(answer.status, { 'content-length': Buffer.byteLength(text), ...answer.headers });
  response.end(response.req.method === 'HEAD' ? undefined : text);
}
