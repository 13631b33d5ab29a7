import { KeystoneProtocolError, PluginError } from '../errors.ts';
import type { Secret } from '../secret.ts';
import { parseJsonObject } from '../json.ts';
import { serialise } from './auth-request.ts';
import type { AuthRequest } from './auth-request.ts';
import type { Http } from './http.ts';
import { explainAnswer } from './problem.ts';
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
