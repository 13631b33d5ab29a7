/** What each path answers, whatever the protocol: POST /webhook, and /healthz, /readyz and /metrics for monitoring. */
import type { Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { AuthenticateFunction } from '../authn/authenticator.ts';
import type { Authorizer } from '../authz/authorizer.ts';
import type { Log } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import { describeRequest } from '../review/access-request.ts';
import { InvalidReviewError, parseReview } from '../review/review.ts';
import type { AccessReview, TokenReview } from '../review/review.ts';
import { writeAccessAnswer, writeTokenAnswer } from '../review/write-answer.ts';
import { answerJson, answerStatus, answerText, RequestProblem } from './answer.ts';
import type { Answer } from './answer.ts';
import type { Certificates } from './certificates.ts';
import type { MetricsAccess } from './metrics-access.ts';
import { BodyReader, ClientGone, MAX_BODY_BYTES } from './read-body.ts';

export interface RouteSettings {
  readonly certificates: Certificates;
  /** Common names of client certificates; empty if every certificate of the CA is accepted. */
  readonly allowedClientNames: readonly string[];
  readonly metricsAccess: MetricsAccess;
  readonly authenticate: AuthenticateFunction;
  readonly authorize: Authorizer;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Why /readyz fails now; undefined if the server is ready. */
  readonly getUnreadyReason: () => string | undefined;
}

/** A request before its body. */
export interface RequestHead {
  readonly method: string | undefined;
  /** With the query, if there is one. */
  readonly target: string | undefined;
  readonly contentType: string | undefined;
  readonly contentLength: string | undefined;
  readonly socket: TLSSocket;
}

/** Answers a request; undefined if the client is gone. */
export type AnswerRequest = (head: RequestHead, body: Readable) => Promise<Answer | undefined>;

/** Text without a type is accepted, and so is every type, but not what is none (RFC 9110, section 8.3.1). */
const CONTENT_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+[ \t]*(?:;|$)/;

const secondsSince = (startedAt: number): number => (performance.now() - startedAt) / 1000;

async function reviewToken(review: TokenReview, { authenticate, metrics, log }: RouteSettings): Promise<string> {
  const startedAt = performance.now();
  const { verdict, source } = await authenticate(review.token);
  metrics.recordTokenReview(verdict.kind, source, secondsSince(startedAt));
  if (verdict.kind === 'accepted') log.debug({ uid: verdict.userInfo.uid, source }, 'token accepted');
  else if (verdict.kind === 'refused') {
    metrics.recordRefusal(verdict.cause);
    log.info({ reason: verdict.reason, source }, 'token refused');
  } else log.warn({ reason: verdict.reason, source }, 'token not validated');
  return writeTokenAnswer(review, verdict);
}

function reviewAccess(review: AccessReview, { authorize, metrics, log }: RouteSettings): string {
  const startedAt = performance.now();
  const verdict = authorize(review);
  const result = verdict.allowed ? 'allowed' : verdict.denied ? 'denied' : 'no-opinion';
  metrics.recordAccessReview(result, secondsSince(startedAt));
  if (log.isLevelEnabled('debug')) {
    log.debug({ uid: review.uid, request: describeRequest(review.request), result, reason: verdict.reason }, 'access');
  }
  return writeAccessAnswer(review, verdict);
}

/** Why the client of a request is not accepted; undefined if it is, or if no client certificate is required. */
function findClientProblem(socket: TLSSocket, { certificates, allowedClientNames }: RouteSettings): string | undefined {
  if (certificates.clientCa === undefined) return undefined;
  if (!socket.authorized) return 'a client certificate signed by the CA in --client-ca-file is required';
  if (allowedClientNames.length === 0) return undefined;
  // A subject can have several common names; none of them decides alone.
  const name: unknown = socket.getPeerCertificate().subject.CN;
  if (typeof name === 'string' && allowedClientNames.includes(name)) return undefined;
  return 'the name of the client certificate is not among --allowed-client-names';
}

function checkHead({ contentType, contentLength }: RequestHead): void {
  if (contentType !== undefined && contentType !== 'application/json' && !CONTENT_TYPE.test(contentType)) {
    throw new RequestProblem(415, 'UnsupportedMediaType', 'the request is invalid');
  }
  if (Number(contentLength) > MAX_BODY_BYTES) {
    throw new RequestProblem(413, 'RequestEntityTooLarge', 'the request is invalid');
  }
}

function answerProblem(error: unknown, { metrics, log }: RouteSettings): Answer | undefined {
  if (error instanceof ClientGone) return undefined;
  if (error instanceof RequestProblem || error instanceof InvalidReviewError) {
    metrics.recordBadRequest();
    return error instanceof RequestProblem
      ? answerStatus(error.status, error.reason, error.message)
      : answerStatus(400, 'BadRequest', error.message);
  }
  // Only the name: the message of a library may quote a token.
  log.error({ error: error instanceof Error ? error.name : typeof error }, 'internal error');
  return answerStatus(500, 'InternalError', 'internal error');
}

/** Makes the function that answers the requests of all connections. */
export function makeRoutes(settings: RouteSettings): AnswerRequest {
  const { metrics, metricsAccess, getUnreadyReason, log } = settings;
  const bodies = new BodyReader();

  async function answerReview(head: RequestHead, source: Readable): Promise<Answer> {
    const problem = findClientProblem(head.socket, settings);
    if (problem !== undefined) {
      log.debug({ problem }, 'client refused');
      return answerStatus(401, 'Unauthorized', problem);
    }
    checkHead(head);
    const review = parseReview(await bodies.read(source));
    return answerJson(
      200,
      review.kind === 'TokenReview' ? await reviewToken(review, settings) : reviewAccess(review, settings),
    );
  }

  async function answerMetrics({ socket }: RequestHead): Promise<Answer> {
    const problem = metricsAccess === 'clients' ? findClientProblem(socket, settings) : undefined;
    return problem === undefined
      ? answerText(200, await metrics.render(), metrics.contentType)
      : answerText(401, `${problem}\n`);
  }

  function answerReadiness(): Answer {
    const reason = getUnreadyReason();
    return reason === undefined ? answerText(200, 'ok\n') : answerText(503, `${reason}\n`);
  }

  const monitoring = new Map<string, (head: RequestHead) => Promise<Answer> | Answer>([
    ['/healthz', () => answerText(200, 'ok\n')],
    ['/readyz', answerReadiness],
    ...(metricsAccess === 'off' ? [] : ([['/metrics', answerMetrics]] as const)),
  ]);

  function route(head: RequestHead, source: Readable): Promise<Answer> | Answer {
    const { method, target = '' } = head;
    const query = target.indexOf('?');
    const path = query < 0 ? target : target.slice(0, query);
    if (path === '/webhook') {
      if (method === 'POST') return answerReview(head, source);
      return { ...answerStatus(405, 'MethodNotAllowed', 'send reviews with POST'), allow: 'POST' };
    }
    const answer = method === 'GET' || method === 'HEAD' ? monitoring.get(path) : undefined;
    return answer?.(head) ?? answerStatus(404, 'NotFound', 'unknown path; send reviews to /webhook');
  }

  return async (head, source) => {
    try {
      return await route(head, source);
    } catch (error) {
      return answerProblem(error, settings);
    }
  };
}
