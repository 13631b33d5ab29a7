// A stand-in identity provider on loopback, for responses that a real provider cannot be made to send. The tests with a
// real provider, not this file, define how providers behave.

import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';
import { waitForClients } from '../../scripts/lib/patient-server.ts';
import { listenOnLoopback } from '../../scripts/lib/listen-on-loopback.ts';
import { handleRequest } from './handle-request.ts';

export interface ProviderRequest {
  /** `METHOD /path`. */
  readonly line: string;
  readonly headers: IncomingHttpHeaders;
  readonly form: Readonly<Record<string, string>>;
}

export interface ProviderResponse {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON unless it is a string. */
  readonly body: unknown;
}

export interface StandInProvider {
  readonly url: string;
  readonly requests: readonly ProviderRequest[];
  /** Responses of the token endpoint, in this order. The last one repeats. */
  tokenResponses: readonly ProviderResponse[];
  deviceResponse: ProviderResponse;
  /** Overrides members of the discovery document. undefined removes a member. */
  discovery: Readonly<Record<string, unknown>>;
  /** Replaces the discovery document. */
  discoveryResponse: ProviderResponse | undefined;
  /** Whether responses have a `Date`. Those of Keycloak have none. */
  sendsDate: boolean;
}

/** Makes a token response (RFC 6749, section 5.1). */
export function makeTokenResponse(more: Readonly<Record<string, unknown>> = {}): ProviderResponse {
  return { body: { access_token: 'access-of-the-stand-in', token_type: 'Bearer', expires_in: 3600, ...more } };
}

/** Makes an error response (RFC 6749, section 5.2). */
export function makeErrorResponse(error: string, description?: string, status = 400): ProviderResponse {
  return { status, body: { error, ...(description === undefined ? {} : { error_description: description }) } };
}

/** Starts a stand-in on 127.0.0.1 that stops after the test. */
export async function startStandInProvider(t: Test): Promise<StandInProvider> {
  const requests: ProviderRequest[] = [];
  let tokenRequestCount = 0;
  const server = createServer((request, response) => {
    handleRequest(t, request, response, async () => {
      const form = Object.fromEntries(new URLSearchParams(await text(request)));
      const line = `${request.method ?? ''} ${request.url ?? ''}`;
      requests.push({ line, headers: request.headers, form });
      const { status = 200, headers = {}, body } = choose(line);
      response.sendDate = standIn.sendsDate;
      const type = typeof body === 'string' ? 'text/html' : 'application/json';
      response.writeHead(status, { 'content-type': type, ...headers });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
  });
  waitForClients(server);
  const url = `http://127.0.0.1:${await listenOnLoopback(server)}`;
  t.teardown(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );

  function choose(line: string): ProviderResponse {
    if (line === 'GET /.well-known/openid-configuration') {
      const document = {
        issuer: url,
        token_endpoint: `${url}/token`,
        device_authorization_endpoint: `${url}/device`,
        authorization_endpoint: `${url}/authorize`,
        ...standIn.discovery,
      };
      return standIn.discoveryResponse ?? { body: document };
    }
    if (line === 'POST /device') return standIn.deviceResponse;
    if (line !== 'POST /token') return { status: 404, body: '<html>not here</html>' };
    const tokenResponse = standIn.tokenResponses[Math.min(tokenRequestCount, standIn.tokenResponses.length - 1)];
    tokenRequestCount += 1;
    return tokenResponse ?? makeErrorResponse('server_error');
  }

  const standIn: StandInProvider = {
    url,
    requests,
    tokenResponses: [makeTokenResponse()],
    deviceResponse: {
      body: {
        device_code: 'canary-device-code',
        user_code: 'WDJB-MJHT',
        verification_uri: 'https://idp.example.com/device',
        expires_in: 600,
        interval: 1,
      },
    },
    discovery: {},
    discoveryResponse: undefined,
    sendsDate: true,
  };
  return standIn;
}
