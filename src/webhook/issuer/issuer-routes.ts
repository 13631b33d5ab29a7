/** What each path of the issuer answers: discovery, the public keys, the exchange, and the paths for monitoring. */
import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../../shared/base/json.ts';
import { EXCHANGE_GRANT, ID_TOKEN_TYPE } from '../../shared/oidc/exchange-parameters.ts';
import type { Log } from '../observability/log.ts';
import { answerJson, answerStatus, RequestProblem } from '../server/answer.ts';
import type { Answer } from '../server/answer.ts';
import { findNetwork } from '../server/client-network.ts';
import { INTERNAL_ERROR, logInternalError } from '../server/internal-error.ts';
import { makeMonitoring } from '../server/monitoring.ts';
import type { MonitoringSettings } from '../server/monitoring.ts';
import { checkContentLength, makeAnswerRequest, readPath } from '../server/request.ts';
import type { AnswerRequest, RequestHead } from '../server/request.ts';
import type { RequestLog } from '../server/request-log.ts';
import type { Exchange, ExchangeTrace, IssuedToken } from './exchange.ts';
import { checkFormType, MAX_FORM_BYTES, readExchangeRequest } from './exchange-request.ts';
import type { IssuerMetrics } from './issuer-metrics.ts';
import { OAuthError, renderOAuthError } from './oauth-error.ts';

export interface IssuerRouteSettings extends MonitoringSettings {
  /** The issuer's URL, which has no slash at its end. */
  readonly issuer: string;
  readonly exchange: Exchange;
  readonly listPublicKeys: () => readonly JsonObject[];
  /** How long others may cache the public keys, in ms. */
  readonly maxAgeMs: number;
  readonly metrics: IssuerMetrics;
  /** ms since 1970, UTC. */
  readonly now: () => number;
  readonly log: Log;
  /** For lines that every client can cause. */
  readonly requestLog: RequestLog;
}

const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' };

function makeDiscoveryDocument(issuer: string, keys: readonly JsonObject[]): JsonObject {
  return {
    issuer,
    jwks_uri: `${issuer}/jwks`,
    token_endpoint: `${issuer}/token`,
    grant_types_supported: [EXCHANGE_GRANT],
    token_endpoint_auth_methods_supported: ['none'],
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [...new Set(keys.map(({ alg }) => alg))],
  };
}

/** A problem of the request as such, in the words of OAuth 2.0. */
function translateProblem({ status }: RequestProblem): OAuthError {
  if (status === 429) {
    return new OAuthError('temporarily_unavailable', 'too many large requests at the same time', {
      status,
      cause: 'request',
      retryAfterSeconds: 1,
    });
  }
  return new OAuthError('invalid_request', 'the body is too large', { status });
}

/** Makes the function that answers the requests of all connections. */
export function makeIssuerRoutes(settings: IssuerRouteSettings): AnswerRequest {
  const { issuer, exchange, listPublicKeys, maxAgeMs, metrics, now, log, requestLog } = settings;
  const prefix = new URL(issuer).pathname.replace(/\/$/, '');
  const cacheable = { 'cache-control': `public, max-age=${Math.floor(maxAgeMs / 1_000)}` };
  const answerMonitoring = makeMonitoring(settings);
  const documents = new Map<string, () => JsonObject>([
    [`${prefix}/.well-known/openid-configuration`, () => makeDiscoveryDocument(issuer, listPublicKeys())],
    [`${prefix}/jwks`, () => ({ keys: listPublicKeys() })],
  ]);
  const tokenPath = `${prefix}/token`;

  function answerRefusal(error: OAuthError, head: RequestHead, trace: ExchangeTrace, startedAt: number): Answer {
    const { code, status, cause, message, retryAfterSeconds } = error;
    const requestId = randomUUID();
    metrics.recordExchange(trace.audience ?? '', code, (performance.now() - startedAt) / 1_000);
    metrics.recordRefusal(cause);
    const client = head.socket.remoteAddress;
    const fields = { requestId, client, ...trace, error: code, cause, reason: message };
    requestLog.write({ level: 'info', client, fields, message: 'exchange refused' });
    const headers = {
      ...NO_STORE,
      'x-request-id': requestId,
      ...(status === 405 ? { allow: 'POST' } : {}),
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
    };
    return { ...answerJson(status, renderOAuthError(error)), headers };
  }

  function answerToken(issued: IssuedToken, head: RequestHead): Answer {
    const { token, claims, kid, username, projectId, isRepeated } = issued;
    const requestId = randomUUID();
    const { sub: uid, aud: audience, jti, exp } = claims;
    const expiresAt = new Date(exp * 1_000).toISOString();
    const client = head.socket.remoteAddress;
    const fields = { requestId, client, audience, uid, username, projectId, jti, kid, expiresAt };
    // The audit log is complete: it has each token once.
    if (isRepeated) requestLog.write({ level: 'info', client, fields, message: 'token issued again' });
    else log.info(fields, 'token issued');
    const body = JSON.stringify({
      access_token: token,
      issued_token_type: ID_TOKEN_TYPE,
      token_type: 'N_A',
      expires_in: exp - Math.floor(now() / 1_000),
    });
    return { ...answerJson(200, body), headers: { ...NO_STORE, 'x-request-id': requestId } };
  }

  async function answerExchange(body: string, head: RequestHead): Promise<Answer> {
    const startedAt = performance.now();
    const trace: ExchangeTrace = {};
    try {
      const issued = await exchange(readExchangeRequest(body), findNetwork(head.socket.remoteAddress), trace);
      metrics.recordExchange(issued.claims.aud, 'issued', (performance.now() - startedAt) / 1_000);
      return answerToken(issued, head);
    } catch (error) {
      if (error instanceof OAuthError) return answerRefusal(error, head, trace, startedAt);
      throw error;
    }
  }

  function answerHead(head: RequestHead): Answer | Promise<Answer> | undefined {
    const { method, target, contentType } = head;
    const path = readPath(head);
    if (path !== tokenPath) {
      const document = method === 'GET' || method === 'HEAD' ? documents.get(path) : undefined;
      if (document !== undefined) return { ...answerJson(200, JSON.stringify(document())), headers: cacheable };
      return answerMonitoring(head) ?? answerStatus(404, 'NotFound', 'unknown path');
    }
    if (method !== 'POST') throw new OAuthError('invalid_request', 'use the method POST', { status: 405 });
    // Proxies write queries into their logs.
    if (target !== path) throw new OAuthError('invalid_request', 'the parameters belong to the body, not to the URL');
    checkFormType(contentType);
    checkContentLength(head, MAX_FORM_BYTES);
    return undefined;
  }

  function answerProblem(error: unknown, head: RequestHead): Answer {
    const problem = error instanceof RequestProblem ? translateProblem(error) : error;
    if (problem instanceof OAuthError) return answerRefusal(problem, head, {}, performance.now());
    logInternalError(error, log);
    return INTERNAL_ERROR;
  }

  return makeAnswerRequest({ answerHead, answerBody: answerExchange, answerProblem, maxBodyBytes: MAX_FORM_BYTES });
}
