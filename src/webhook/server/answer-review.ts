/** Decides a review, and records it in the metrics and in the log. */
import type { AuthenticateFunction } from '../authn/authenticator.ts';
import type { Authorizer } from '../authz/authorizer.ts';
import type { Log } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import { describeRequest } from '../review/access-request.ts';
import { RememberedAnswers } from '../review/remembered-answers.ts';
import type { RememberedAnswer } from '../review/remembered-answers.ts';
import { parseReview } from '../review/review.ts';
import type { AccessReview, TokenReview } from '../review/review.ts';
import { writeAccessAnswer, writeTokenAnswer } from '../review/write-answer.ts';
import type { RequestHead } from './request.ts';
import type { RequestLine, RequestLog } from './request-log.ts';

export interface ReviewSettings {
  readonly authenticate: AuthenticateFunction;
  readonly authorize: Authorizer;
  /** What `authorize` decides with, the same object until it changes. */
  readonly policy: () => object;
  readonly metrics: Metrics;
  readonly log: Log;
  /** For lines that every client can cause. */
  readonly requestLog: RequestLog;
}

/**
 * Answers the text of a review with JSON text: a SubjectAccessReview at once.
 *
 * @throws InvalidReviewError
 */
export type AnswerReview = (text: string, head: Pick<RequestHead, 'socket'>) => string | Promise<string>;

const secondsSince = (startedAt: number): number => (performance.now() - startedAt) / 1000;

async function answerToken(
  review: TokenReview,
  { socket }: Pick<RequestHead, 'socket'>,
  { authenticate, metrics, log, requestLog }: ReviewSettings,
  startedAt: number,
): Promise<string> {
  const write = (level: RequestLine['level'], fields: object, message: string): void => {
    requestLog.write({ level, client: socket.remoteAddress, fields, message });
  };
  const { verdict, source } = await authenticate(review.token);
  metrics.recordTokenReview(verdict.kind, source, secondsSince(startedAt));
  if (verdict.kind === 'accepted') log.debug({ uid: verdict.userInfo.uid, source }, 'token accepted');
  else if (verdict.kind === 'refused') {
    metrics.recordRefusal(verdict.cause);
    write('info', { reason: verdict.reason, source }, 'token refused');
  } else write('warn', { reason: verdict.reason, source }, 'token not validated');
  return writeTokenAnswer(review, verdict);
}

function decideAccess(review: AccessReview, { authorize, log }: ReviewSettings): RememberedAnswer {
  const verdict = authorize(review);
  const result = verdict.allowed ? 'allowed' : verdict.denied ? 'denied' : 'no-opinion';
  if (log.isLevelEnabled('debug')) {
    log.debug({ uid: review.uid, request: describeRequest(review.request), result, reason: verdict.reason }, 'access');
  }
  return { result, body: writeAccessAnswer(review, verdict) };
}

/** Makes the function that answers reviews. */
export function makeReviewAnswerer(settings: ReviewSettings): AnswerReview {
  const { policy, metrics, log } = settings;
  // The log of the level debug has a line for each review, with its parts.
  const remembered = log.isLevelEnabled('debug') ? undefined : new RememberedAnswers(policy);
  return (text, head) => {
    const startedAt = performance.now();
    let access = remembered?.find(text);
    if (access === undefined) {
      const review = parseReview(text);
      if (review.kind === 'TokenReview') return answerToken(review, head, settings, startedAt);
      access = decideAccess(review, settings);
      remembered?.store(text, access);
    }
    metrics.recordAccessReview(access.result, secondsSince(startedAt));
    return access.body;
  };
}
