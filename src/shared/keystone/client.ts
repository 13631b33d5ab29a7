import { KeystoneProtocolError, PluginError } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import { parseJsonObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import { serializeWithSecrets } from './auth-request.ts';
import type { AuthRequest, JsonWithSecrets } from './auth-request.ts';
import type { HttpClient } from '../http/http-client.ts';
import { explainResponse } from './explain-response.ts';
import { parseToken, parseTokenId } from './token.ts';
import type { Token } from './token.ts';

/** A token, and when it ends by the clock of this machine (ms since 1970, UTC). */
export interface IssuedToken {
  readonly token: Token;
  readonly receivedAt: number;
  readonly expiresAt: number;
}

/**
 * Sends the request and reads the token.
 *
 * @param endpoint what `path` is below, without a trailing slash
 * @throws AuthRejected | AdditionalFactorRequired | KeystoneUnreachable | KeystoneProtocolError
 */
export async function authenticate(http: HttpClient, endpoint: string, request: AuthRequest): Promise<IssuedToken> {
  const url = `${endpoint}/${request.path}`;
  const answer = await http.send({
    verb: request.verb,
    url,
    ...(request.headers === undefined ? {} : { headers: request.headers }),
    ...(request.body === undefined ? {} : { body: serializeWithSecrets(request.body) }),
    ...(request.otherKeystone === undefined ? {} : { peer: request.otherKeystone.peer }),
    ...(request.isSingleUse === undefined ? {} : { isSingleUse: request.isSingleUse }),
  });
  const body = parseJsonObject(answer.body);
  if (answer.status < 200 || answer.status > 299 || body === undefined)
    throw explainResponse(request, endpoint, answer);
  const subjectToken = answer.header('x-subject-token');
  if (request.existingToken === undefined && subjectToken === undefined && 'token' in body) {
    throw new KeystoneProtocolError('protocol', 'Keystone answered without the X-Subject-Token header', {
      hint: 'check what stands between you and Keystone: something removes headers',
    });
  }
  const token = parseToken(request.existingToken ?? parseTokenId(subjectToken ?? 'none'), body);
  return { token, receivedAt: answer.respondedAt, expiresAt: token.expiresAt - answer.serverAheadMs };
}

/**
 * Whether Keystone still knows a token. Where it cannot be asked, or cannot say, the token counts as alive: logging in
 * would not work either.
 *
 * @param endpoint the v3 endpoint, without a trailing slash
 */
export async function isTokenValid(http: HttpClient, endpoint: string, token: Secret): Promise<boolean> {
  const headers = { 'x-auth-token': token, 'x-subject-token': token };
  try {
    const { status } = await http.send({ verb: 'HEAD', url: `${endpoint}/auth/tokens`, headers });
    // 401 as the one who asks, 404 as the one asked about (Keystone API v3, "Check token").
    return status !== 401 && status !== 404;
  } catch (error) {
    if (error instanceof PluginError) return true;
    throw error;
  }
}

/**
 * Has Keystone end a token at once.
 *
 * @param endpoint the v3 endpoint, without a trailing slash
 * @returns false where Keystone knows it no longer
 * @throws AuthRejected | KeystoneUnreachable | KeystoneProtocolError
 */
export async function revokeToken(http: HttpClient, endpoint: string, token: Secret): Promise<boolean> {
  const path = 'auth/tokens';
  const headers = { 'x-auth-token': token, 'x-subject-token': token };
  const answer = await http.send({ verb: 'DELETE', url: `${endpoint}/${path}`, headers });
  if (answer.status >= 200 && answer.status <= 299) return true;
  if (answer.status === 401 || answer.status === 404) return false;
  const statusExplanations = {
    403: {
      code: 'auth-rejected',
      message: 'Keystone does not let this token be revoked by its owner',
      hint: 'ask its operator, or wait until it ends',
    },
  } as const;
  throw explainResponse({ verb: 'GET', path, subject: 'a token', expected: {}, statusExplanations }, endpoint, answer);
}

/** A question to Keystone by whoever has a token. */
export interface KeystoneCall {
  readonly verb: 'GET' | 'POST' | 'DELETE';
  /** Below the v3 endpoint, without a leading slash. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, Secret | string>>;
  readonly body?: JsonWithSecrets;
  /** What it is about, in the words of a message: "the projects". */
  readonly resource: string;
}

/**
 * Asks Keystone something as the owner of a token; undefined where it answers without a body (204).
 *
 * @param endpoint the v3 endpoint, without a trailing slash
 * @throws AuthRejected | KeystoneUnreachable | KeystoneProtocolError
 */
export async function callKeystone(
  http: HttpClient,
  { endpoint, token }: { readonly endpoint: string; readonly token: Secret },
  { verb, path, headers, body, resource }: KeystoneCall,
): Promise<JsonObject | undefined> {
  const answer = await http.send({
    verb,
    url: `${endpoint}/${path}`,
    headers: { ...headers, 'x-auth-token': token },
    ...(body === undefined ? {} : { body: serializeWithSecrets(body) }),
  });
  if (answer.status === 204) return undefined;
  const found = parseJsonObject(answer.body);
  if (answer.status >= 200 && answer.status <= 299 && found !== undefined) return found;
  const statusExplanations = {
    401: {
      code: 'auth-rejected',
      message: 'Keystone no longer knows the token that is kept',
      hint: 'get another with --force-refresh',
    },
    403: {
      code: 'auth-rejected',
      message: `Keystone does not let the owner of this token have ${resource}`,
      hint: 'ask its operator, or use another project or way to log in',
    },
  } as const;
  throw explainResponse({ verb: 'GET', path, subject: resource, expected: {}, statusExplanations }, endpoint, answer);
}
