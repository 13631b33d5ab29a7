import { KeystoneProtocolError, PluginError } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import { parseJsonObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import { serializeWithSecrets } from './auth-request.ts';
import type { AuthRequest, JsonWithSecrets } from './auth-request.ts';
import type { HttpClient } from '../http/http-client.ts';
import { isExpiredOnArrival, limitExpiry } from '../http/http-message.ts';
import type { HttpResponse } from '../http/http-message.ts';
import { explainResponse } from './explain-response.ts';
import { parseToken, parseTokenId } from './token.ts';
import type { Token } from './token.ts';
import { rewordUnscoped } from './unscoped.ts';

/** A token and its expiry by this machine's clock (ms since 1970, UTC). */
export interface IssuedToken {
  readonly token: Token;
  readonly receivedAt: number;
  readonly expiresAt: number;
}

async function sendLogin(http: HttpClient, endpoint: string, request: AuthRequest): Promise<HttpResponse> {
  return http.send({
    verb: request.verb,
    url: `${endpoint}/${request.path}`,
    ...(request.headers === undefined ? {} : { headers: request.headers }),
    ...(request.body === undefined ? {} : { body: serializeWithSecrets(request.body) }),
    ...(request.otherKeystone === undefined ? {} : { peer: request.otherKeystone.peer }),
    ...(request.isSingleUse === undefined ? {} : { isSingleUse: request.isSingleUse }),
  });
}

/**
 * Sends the request and reads the token.
 *
 * @param endpoint the URL that `path` is appended to, without a trailing slash
 * @throws AuthRejected | AdditionalFactorRequired | KeystoneUnreachable | KeystoneProtocolError
 */
export async function authenticate(http: HttpClient, endpoint: string, request: AuthRequest): Promise<IssuedToken> {
  const first = await sendLogin(http, endpoint, request);
  const reworded = rewordUnscoped(request, first);
  const response = reworded === undefined ? first : await sendLogin(http, endpoint, reworded);
  const body = parseJsonObject(response.body);
  if (response.status < 200 || response.status > 299 || body === undefined)
    throw explainResponse(request, endpoint, response);
  const subjectToken = response.header('x-subject-token');
  if (request.existingToken === undefined && subjectToken === undefined && 'token' in body) {
    throw new KeystoneProtocolError('protocol', 'Keystone answered without the X-Subject-Token header', {
      hint: 'check the proxies between you and Keystone: one of them removes headers',
    });
  }
  const token = parseToken(request.existingToken ?? parseTokenId(subjectToken ?? 'none'), body);
  const { respondedAt: receivedAt, serverAheadMs } = response;
  const expiresAt = token.expiresAt - serverAheadMs;
  if (isExpiredOnArrival(expiresAt, receivedAt)) {
    throw new KeystoneProtocolError('protocol', 'by the clock of this machine, the token expired before it arrived', {
      hint: 'set the clock of this machine; if it is correct, tell the operator of Keystone',
    });
  }
  return { token, receivedAt, expiresAt: limitExpiry(expiresAt, receivedAt) };
}

/**
 * Checks whether Keystone still accepts a token. If Keystone cannot be reached, the token counts as valid: a login
 * would fail too.
 *
 * @param endpoint the v3 endpoint, without a trailing slash
 */
export async function isTokenValid(http: HttpClient, endpoint: string, token: Secret): Promise<boolean> {
  const headers = { 'x-auth-token': token, 'x-subject-token': token };
  try {
    const { status } = await http.send({ verb: 'HEAD', url: `${endpoint}/auth/tokens`, headers });
    // 401 for X-Auth-Token, 404 for X-Subject-Token (Keystone API v3, "Check token").
    return status !== 401 && status !== 404;
  } catch (error) {
    if (error instanceof PluginError) return true;
    throw error;
  }
}

/**
 * Revokes a token (Keystone API v3, "Revoke token").
 *
 * @param endpoint the v3 endpoint, without a trailing slash
 * @returns false if Keystone does not accept the token any more
 * @throws AuthRejected | KeystoneUnreachable | KeystoneProtocolError
 */
export async function revokeToken(http: HttpClient, endpoint: string, token: Secret): Promise<boolean> {
  const headers = { 'x-auth-token': token, 'x-subject-token': token };
  const response = await http.send({ verb: 'DELETE', url: `${endpoint}/auth/tokens`, headers });
  if (response.status >= 200 && response.status <= 299) return true;
  if (response.status === 401 || response.status === 404) return false;
  const statusExplanations = {
    403: {
      code: 'auth-rejected',
      message: 'Keystone does not allow the owner of this token to revoke it',
      hint: 'ask its operator, or wait until the token expires',
    },
  } as const;
  throw explainResponse({ subject: 'a token', statusExplanations }, endpoint, response);
}

/** A request to Keystone with a token. */
export interface KeystoneCall {
  readonly verb: 'GET' | 'POST' | 'DELETE';
  /** Below the v3 endpoint, without a leading slash. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, Secret | string>>;
  readonly body?: JsonWithSecrets;
  /** The subject of the request, as text for messages: "the projects". */
  readonly resource: string;
  /** Statuses that mean that this server does not give this resource to this user: there is no result then. */
  readonly absentOn?: readonly number[];
}

/**
 * Sends a request to Keystone as the owner of a token.
 *
 * @param endpoint the v3 endpoint, without a trailing slash
 * @returns undefined for a response without a body (204), and for the statuses of `absentOn`
 * @throws AuthRejected | KeystoneUnreachable | KeystoneProtocolError
 */
export async function callKeystone(
  http: HttpClient,
  { endpoint, token }: { readonly endpoint: string; readonly token: Secret },
  { verb, path, headers, body, resource, absentOn = [] }: KeystoneCall,
): Promise<JsonObject | undefined> {
  const response = await http.send({
    verb,
    url: `${endpoint}/${path}`,
    headers: { ...headers, 'x-auth-token': token },
    ...(body === undefined ? {} : { body: serializeWithSecrets(body) }),
  });
  if (response.status === 204 || absentOn.includes(response.status)) return undefined;
  const result = parseJsonObject(response.body);
  if (response.status >= 200 && response.status <= 299 && result !== undefined) return result;
  // Rust Keystone's answer to a path that it does not have.
  if (response.status === 404 && response.body === '') {
    throw new KeystoneProtocolError('protocol', `this Keystone does not list ${resource}: it has no v3/${path}`, {
      hint: 'ask its operator; Rust Keystone lacks parts of v3',
    });
  }
  const statusExplanations = {
    401: {
      code: 'auth-rejected',
      message: 'Keystone no longer accepts the cached token',
      hint: 'get a new one with --force-refresh; if that is refused too, this Keystone cannot check tokens of this login',
    },
    403: {
      code: 'auth-rejected',
      message: `Keystone denies the owner of this token ${resource}`,
      hint: 'ask its operator, or use another project or auth method',
    },
  } as const;
  throw explainResponse({ subject: resource, statusExplanations }, endpoint, response);
}
