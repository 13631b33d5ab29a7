/** Exchanges a Keystone token for a JWT at an issuer (RFC 8693). */
import { AuthRejected, KeystoneProtocolError, KeystoneUnreachable } from '../base/errors.ts';
import type { PluginError, PluginErrorCode } from '../base/errors.ts';
import { parseJsonObject, textAt } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import { parseHeaderToken } from '../base/secret.ts';
import type { Secret } from '../base/secret.ts';
import { redactAndTruncate, removeTrailingSlashes } from '../base/text.ts';
import type { HttpClient } from '../http/http-client.ts';
import { limitExpiry } from '../http/http-message.ts';
import type { HttpRequest, HttpResponse } from '../http/http-message.ts';
import type { Peer } from '../http/peer.ts';
import { EXCHANGE_GRANT, ID_TOKEN_TYPE, KEYSTONE_TOKEN_TYPE } from './exchange-parameters.ts';
import { readJwsHeader, readUnverifiedClaims } from './jwt.ts';
import { readSeconds } from './token-request.ts';

/** The signatures that an API server can verify with public keys (Kubernetes documentation, "Authenticating"). */
export const SIGNATURE_ALGORITHMS: readonly string[] = ['RS', 'ES', 'PS'].flatMap((family) =>
  ['256', '384', '512'].map((bits) => `${family}${bits}`),
);

/** The issuer's Keystone does not accept the Keystone token: another one may be accepted. */
export class SubjectTokenRejected extends AuthRejected {}

/** An issuer, as the settings name it. */
export interface Issuer {
  /** Without a trailing slash. */
  readonly url: string;
  readonly peer: Peer;
  /** The setting that holds the audience, for messages. */
  readonly audienceSetting: string;
}

/** What an issuer says about itself. */
export interface IssuerDocument {
  /** The claim `iss` of its JWTs. */
  readonly issuer: string;
  readonly tokenEndpoint: string;
  readonly keysUrl: string | undefined;
  readonly response: HttpResponse;
}

/** A JWT for one cluster. Its signature is not verified: TLS proves who sent it, and the cluster verifies it. */
export interface ClusterToken {
  readonly token: Secret;
  /** The name of the user, or else the ID. */
  readonly user: string;
  /** ms since 1970, UTC, by the clock of this machine. */
  readonly receivedAt: number;
  /** ms since 1970, UTC, by the clock of this machine. */
  readonly expiresAt: number;
}

/** What an issuer exchanges. */
export interface ExchangeRequest {
  readonly subjectToken: Secret;
  readonly audience: string;
}

function makeProtocolError({ url, peer }: Issuer, message: string): KeystoneProtocolError {
  return new KeystoneProtocolError('protocol', `${peer.name} at ${new URL(url).origin} ${message}`, {
    hint: `check ${peer.setting}, or ask the operator of ${peer.name}`,
  });
}

/** Sends a request to the issuer. Redirects are not followed, not even within the origin. */
async function send(http: HttpClient, { peer, url }: Issuer, request: HttpRequest): Promise<HttpResponse> {
  const response = await http.send({ ...request, peer, returnsRedirect: true });
  if (response.status < 300 || response.status > 399) return response;
  throw new KeystoneProtocolError(
    'redirect-refused',
    `${peer.name} at ${new URL(url).origin} redirects, which is not followed: the Keystone token goes only where you say`,
    { hint: `set ${peer.setting} to the URL that the operator of ${peer.name} names` },
  );
}

function describeAnswer(response: HttpResponse): string {
  if (/\bhtml\b/i.test(response.header('content-type') ?? '')) return 'answers with HTML';
  return response.status < 300 ? 'answers with no JSON object' : `answers with status ${response.status}`;
}

/**
 * Reads what an issuer says about itself (OpenID Connect Discovery, section 4).
 *
 * @throws KeystoneProtocolError if it is not the issuer that was asked for, or sends the Keystone token elsewhere
 * @throws KeystoneUnreachable
 */
export async function discoverIssuer(http: HttpClient, at: Issuer): Promise<IssuerDocument> {
  const response = await send(http, at, { verb: 'GET', url: `${at.url}/.well-known/openid-configuration` });
  const document = response.status === 200 ? parseJsonObject(response.body) : undefined;
  if (document === undefined) throw explainFailure(at, response);
  const issuer = textAt(document, 'issuer');
  if (issuer === undefined || normalizeUrl(issuer) !== normalizeUrl(at.url)) {
    const name = issuer === undefined ? 'has no name' : `calls itself ${redactAndTruncate(issuer)}`;
    throw makeProtocolError(at, `${name}, but ${at.peer.setting} is ${at.url}`);
  }
  const endpoint = textAt(document, 'token_endpoint');
  const tokenUrl = URL.parse(endpoint ?? '') ?? undefined;
  if (tokenUrl === undefined) throw makeProtocolError(at, 'names no token_endpoint');
  if (tokenUrl.origin !== new URL(at.url).origin || tokenUrl.username !== '' || tokenUrl.password !== '') {
    throw makeProtocolError(
      at,
      `names a token_endpoint at ${redactAndTruncate(tokenUrl.origin)}; the Keystone token was not sent there`,
    );
  }
  tokenUrl.hash = '';
  return { issuer, tokenEndpoint: tokenUrl.href, keysUrl: textAt(document, 'jwks_uri'), response };
}

/** A trailing slash makes no difference. */
function normalizeUrl(text: string): string {
  return removeTrailingSlashes(URL.parse(text)?.href ?? text);
}

interface Refusal {
  readonly code: PluginErrorCode;
  readonly message: string;
  readonly hint: string;
}

/** By `error` (RFC 6749, section 5.2; RFC 8693, section 2.2.2). */
function findRefusal(reason: string, { peer, audienceSetting }: Issuer): Refusal {
  const askOperator = `ask the operator of ${peer.name}`;
  const refusals: Readonly<Record<string, Refusal>> = {
    invalid_grant: {
      code: 'credential-unknown',
      message: 'its Keystone does not accept the Keystone token',
      hint: `check that ${peer.setting} belongs to the Keystone in OS_AUTH_URL, or get a new token with --force-refresh`,
    },
    invalid_target: {
      code: 'request-rejected',
      message: 'it issues no tokens for this cluster',
      hint: `set ${audienceSetting} to the name of the cluster at ${peer.name}, or ${askOperator} to add the cluster`,
    },
    access_denied: {
      code: 'auth-rejected',
      message: 'you may not use this cluster with this project and these roles',
      hint: `use another project, or ${askOperator}`,
    },
    unsupported_grant_type: {
      code: 'method-not-offered',
      message: 'it does not exchange tokens',
      hint: `check ${peer.setting}`,
    },
    invalid_request: {
      code: 'request-rejected',
      message: 'it rejects the request as invalid',
      hint: `check ${peer.setting} and ${audienceSetting}, and compare the versions of this program and of ${peer.name}`,
    },
  };
  const unknown: Refusal = { code: 'auth-rejected', message: 'it gives no reason that is known', hint: askOperator };
  return Object.hasOwn(refusals, reason) ? (refusals[reason] ?? unknown) : unknown;
}

/** Explains a response without a token. */
function explainFailure(at: Issuer, response: HttpResponse): PluginError {
  const { peer } = at;
  const { status } = response;
  const after = response.header('retry-after');
  const again = `try again later${after === undefined ? '' : `; it says Retry-After: ${redactAndTruncate(after)}`}`;
  if (status === 429) {
    return new KeystoneUnreachable('rate-limited', `${peer.name} limits the rate of requests`, { hint: again });
  }
  const body = parseJsonObject(response.body);
  const reason = textAt(body, 'error');
  if (status >= 500 || reason === 'temporarily_unavailable') {
    const cause = reason === undefined ? '' : ` (${quoteReason(reason, body)})`;
    return new KeystoneUnreachable('unavailable', `${peer.name} failed with status ${status}${cause}`, { hint: again });
  }
  if (status === 413) {
    return new AuthRejected('request-rejected', `the Keystone token is too large for ${peer.name}`, {
      hint: `ask the operator of ${peer.name}`,
    });
  }
  if (reason === undefined) return makeProtocolError(at, `${describeAnswer(response)}, as no issuer does`);
  const { code, message, hint } = findRefusal(reason, at);
  const text = `${peer.name} refused the exchange: ${message} (${quoteReason(reason, body)})`;
  return new (reason === 'invalid_grant' ? SubjectTokenRejected : AuthRejected)(code, text, { hint });
}

function quoteReason(reason: string, body: JsonObject | undefined): string {
  const description = textAt(body, 'error_description');
  return redactAndTruncate(description === undefined ? reason : `${reason}: ${description}`).replace(/\.$/, '');
}

/**
 * Exchanges a Keystone token for a JWT.
 *
 * @throws SubjectTokenRejected if the Keystone token is not accepted
 * @throws AuthRejected | KeystoneProtocolError | KeystoneUnreachable
 */
export async function requestExchange(
  http: HttpClient,
  at: Issuer,
  { subjectToken, audience }: ExchangeRequest,
): Promise<ClusterToken> {
  const { issuer, tokenEndpoint } = await discoverIssuer(http, at);
  const form = new URLSearchParams({
    grant_type: EXCHANGE_GRANT,
    subject_token: subjectToken.reveal(),
    subject_token_type: KEYSTONE_TOKEN_TYPE,
    audience,
    requested_token_type: ID_TOKEN_TYPE,
  });
  const response = await send(http, at, { verb: 'POST', url: tokenEndpoint, isForm: true, body: form.toString() });
  const body = response.status === 200 ? parseJsonObject(response.body) : undefined;
  if (body === undefined || textAt(body, 'error') !== undefined) throw explainFailure(at, response);
  const result = readAnswer(body, response, { issuer, audience });
  if (typeof result === 'string') throw makeProtocolError(at, result);
  return result;
}

/** @returns the token, or what is wrong with the answer */
function readAnswer(
  body: JsonObject,
  { respondedAt: receivedAt, serverAheadMs }: HttpResponse,
  expected: { readonly issuer: string; readonly audience: string },
): ClusterToken | string {
  const token = parseHeaderToken(textAt(body, 'access_token'));
  if (token === undefined) return 'sent no token that is valid in an HTTP header';
  if (textAt(body, 'issued_token_type') !== ID_TOKEN_TYPE) return 'sent another type of token than was asked for';
  const header = readJwsHeader(token.reveal());
  const claims = readUnverifiedClaims(token.reveal());
  if (header === undefined || claims === undefined) return 'sent something else than a signed JWT';
  if (!SIGNATURE_ALGORITHMS.includes(header.algorithm)) return 'sent a JWT without a signature that a cluster accepts';
  if (claims.issuer !== expected.issuer) return 'sent a JWT of another issuer';
  if (!claims.audiences.includes(expected.audience)) return 'sent a JWT for another cluster';
  const seconds = readSeconds(body, 'expires_in');
  const lifetimeEnd = seconds === undefined ? undefined : receivedAt + seconds * 1000;
  const expiresAt = claims.expiresAt === undefined ? lifetimeEnd : claims.expiresAt - serverAheadMs;
  if (expiresAt === undefined) return 'sent a JWT without an end';
  if (expiresAt <= receivedAt) {
    return 'sent a JWT that has already expired by the clock of this machine';
  }
  const user = claims.userName ?? claims.subject ?? 'an unnamed user';
  return { token, user, receivedAt, expiresAt: limitExpiry(expiresAt, receivedAt) };
}
