// Adds Rust Keystone's "/v4/federation" for browser logins, and its identity provider, to a stand-in Keystone. Paths,
// fields, statuses and texts are those of recorded exchanges (test/fixtures/rust-keystone). The tokens are those of the
// stand-in.

import { randomBytes } from 'node:crypto';
import { PASSWORD } from './check-run.ts';
import { sendResponse } from './stand-in-keystone/responses.ts';
import type { StandInKeystone } from './stand-in-keystone.ts';
import type { StandInResponse } from './stand-in-keystone/responses.ts';
import { serveV4 } from './stand-in-v4.ts';
import type { RustKeystoneVersion } from './stand-in-v4-versions.ts';
import type { RecordedRequest } from './stand-in-keystone/server.ts';

interface FederatedLogin {
  readonly redirectUri: string;
  readonly scope: unknown;
  readonly code: string;
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}): StandInResponse => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body,
});

const refuse = (code: number, message: string): StandInResponse => json(code, { error: { code, message } });

function fieldsOf({ body }: RecordedRequest): Readonly<Record<string, unknown>> {
  return typeof body === 'object' && body !== null ? (body as Readonly<Record<string, unknown>>) : {};
}

/** What differs from a provider that works. */
export interface FederationFaults {
  /** Redirect URIs that the provider does not allow. Only August's version has such a list. */
  readonly forbidsRedirects?: boolean;
  /** The provider is disabled. */
  readonly isDisabled?: boolean;
  /** No rule of the mapping matches the user. */
  readonly hasNoRule?: boolean;
}

/** Adds the identity provider `dex`, which logs everyone in as alice. */
export function serveV4Federation(
  standIn: StandInKeystone,
  version: RustKeystoneVersion = 'august',
  { forbidsRedirects = false, isDisabled = false, hasNoRule = false }: FederationFaults = {},
): void {
  serveV4(standIn, { version });
  const logins = new Map<string, FederatedLogin>();

  standIn.answerAlways((request, response) => {
    const provider = /([^/]*)\/auth$/.exec(request.path)?.[1] ?? '';
    const refusal =
      provider === 'dex'
        ? isDisabled
          ? refuse(400, 'Federated Identity Provider is disabled..')
          : forbidsRedirects
            ? refuse(400, 'Redirect URI not allowed..')
            : undefined
        : refuse(404, `could not find identity provider: ${provider}`);
    if (refusal !== undefined) {
      sendResponse(response, refusal);
      return;
    }
    const { redirect_uri: redirectUri, scope } = fieldsOf(request);
    const state = randomBytes(16).toString('base64url');
    const code = `canary-code-${randomBytes(8).toString('hex')}`;
    logins.set(state, { redirectUri: String(redirectUri), scope, code });
    const query = new URLSearchParams({ state, redirect_uri: String(redirectUri), code_challenge_method: 'S256' });
    sendResponse(response, json(200, { auth_url: `${standIn.url}/idp/authorize?${query.toString()}` }));
  }, 'POST /v4/federation/identity_providers/');

  standIn.answerAlways((request, response) => {
    const state = new URL(request.path, standIn.url).searchParams.get('state') ?? '';
    const login = logins.get(state);
    const query = new URLSearchParams({ code: login?.code ?? '', state });
    sendResponse(response, { status: 302, headers: { location: `${login?.redirectUri ?? ''}?${query.toString()}` } });
  }, 'GET /idp/authorize');

  standIn.answerAlways(async (request, response) => {
    const { code, state } = fieldsOf(request);
    const login = logins.get(String(state));
    if (login === undefined || login.code !== code) {
      sendResponse(response, refuse(404, `could not find auth state: ${String(state)}`));
      return;
    }
    if (hasNoRule) {
      sendResponse(response, refuse(500, 'internal server error: no matching rule found for the provided claims'));
      return;
    }
    logins.delete(String(state));
    const user = { name: 'alice', domain: { name: 'acme' }, password: PASSWORD };
    const identity = { methods: ['password'], password: { user } };
    const tokenResponse = await fetch(`${standIn.url}/v3/auth/tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ auth: { identity, ...(login.scope === undefined ? {} : { scope: login.scope }) } }),
    });
    const token = tokenResponse.headers.get('x-subject-token');
    if (token === null) sendResponse(response, refuse(401, 'The request you have made requires authentication.'));
    else {
      const body = (await tokenResponse.json()) as { token: object };
      const asFederated = { token: { ...body.token, methods: ['openid'], issued_at: '1970-01-01T00:00:00Z' } };
      sendResponse(response, json(200, asFederated, { 'x-subject-token': token }));
    }
  }, 'POST /v4/federation/oidc/callback');
}
