import { KeystoneProtocolError, PluginError } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import { parseJsonObject } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import { serialise } from './auth-request.ts';
import type { AuthRequest, Json } from './auth-request.ts';
import type { Http } from '../http/http-client.ts';
import { explainAnswer } from './explain-response.ts';
import { parseToken, parseTokenId } from './token.ts';
import type { Token } from './token.ts';

/** A token, and when it ends by the clock of this machine (ms since 1970, UTC). */
export interface Granted {
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
export async function authenticate(http: Http, endpoint: string, request: AuthRequest): Promise<Granted> {
  const url = `${endpoint}/${request.path}`;
  const answer = await http.send({
    verb: request.verb,
    url,
    ...(request.headers === undefined ? {} : { headers: request.headers }),
    ...(request.body === undefined ? {} : { body: serialise(request.body) }),
    ...(request.elsewhere === undefined ? {} : { place: request.elsewhere.place }),
    ...(request.once === undefined ? {} : { once: request.once }),
  });
  const body = parseJsonObject(answer.body);
  if (answer.status < 200 || answer.status > 299 || body === undefined) throw explainAnswer(request, endpoint, answer);
  const subjectToken = answer.header('x-subject-token');
  if (request.given === undefined && subjectToken === undefined && 'token' in body) {
    throw new KeystoneProtocolError('protocol', 'Keystone answered without the X-Subject-Token header', {
      hint: 'check what stands between you and Keystone: something removes headers',
    });
  }
  const token = parseToken(request.given ?? parseTokenId(subjectToken ?? 'none'), body);
  return { token, receivedAt: answer.at, expiresAt: token.expiresAt - answer.aheadMs };
}

/**
 * Whether Keystone still knows a token. Where it cannot be asked, or cannot say, the token counts as alive: logging in
 * would not work either.
 *
 * @param endpoint the v3 endpoint, without a trailing slash
 */
export async function isAlive(http: Http, endpoint: string, token: Secret): Promise<boolean> {
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
export async function revoke(http: Http, endpoint: string, token: Secret): Promise<boolean> {
  const path = 'auth/tokens';
  const headers = { 'x-auth-token': token, 'x-subject-token': token };
  const answer = await http.send({ verb: 'DELETE', url: `${endpoint}/${path}`, headers });
  if (answer.status >= 200 && answer.status <= 299) return true;
  if (answer.status === 401 || answer.status === 404) return false;
  const refusals = {
    403: {
      code: 'auth-rejected',
      message: 'Keystone does not let this token be revoked by its owner',
      hint: 'ask its operator, or wait until it ends',
    },
  } as const;
  throw explainAnswer({ verb: 'GET', path, subject: 'a token', asked: {}, refusals }, endpoint, answer);
}

/** A question to Keystone by whoever has a token. */
export interface Question {
  readonly verb: 'GET' | 'POST' | 'DELETE';
  /** Below the v3 endpoint, without a leading slash. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, Secret | string>>;
  readonly body?: Json;
  /** What it is about, in the words of a message: "the projects". */
  readonly about: string;
}

/**
 * Asks Keystone something as the owner of a token; undefined where it answers without a body (204).
 *
 * @param endpoint the v3 endpoint, without a trailing slash
 * @throws AuthRejected | KeystoneUnreachable | KeystoneProtocolError
 */
export async function askKeystone(
  http: Http,
  { endpoint, token }: { readonly endpoint: string; readonly token: Secret },
  { verb, path, headers, body, about }: Question,
): Promise<JsonObject | undefined> {
  const answer = await http.send({
    verb,
    url: `${endpoint}/${path}`,
    headers: { ...headers, 'x-auth-token': token },
    ...(body === undefined ? {} : { body: serialise(body) }),
  });
  if (answer.status === 204) return undefined;
  const found = parseJsonObject(answer.body);
  if (answer.status >= 200 && answer.status <= 299 && found !== undefined) return found;
  const refusals = {
    401: {
      code: 'auth-rejected',
      message: 'Keystone no longer knows the token that is kept',
      hint: 'get another with --force-refresh',
    },
    403: {
      code: 'auth-rejected',
      message: `Keystone does not let the owner of this token have ${about}`,
      hint: 'ask its operator, or use another project or way to log in',
    },
  } as const;
  throw explainAnswer({ verb: 'GET', path, subject: about, asked: {}, refusals }, endpoint, answer);
}
