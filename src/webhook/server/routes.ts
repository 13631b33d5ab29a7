/** What each path of the webhook answers: POST /webhook, and the paths for monitoring. */
import type { Metrics } from '../observability/metrics.ts';
import { InvalidReviewError } from '../review/review.ts';
import { makeReviewAnswerer } from './answer-review.ts';
import type { ReviewSettings } from './answer-review.ts';
import { answerJson, answerStatus, RequestProblem } from './answer.ts';
import type { Answer } from './answer.ts';
import { findClientProblem } from './client-certificates.ts';
import { INTERNAL_ERROR, logInternalError } from './internal-error.ts';
import { makeMonitoring } from './monitoring.ts';
import type { MonitoringSettings } from './monitoring.ts';
import { MAX_BODY_BYTES } from './read-body.ts';
import { checkContentLength, makeAnswerRequest, readPath } from './request.ts';
import type { AnswerRequest, RequestHead } from './request.ts';

export interface RouteSettings extends ReviewSettings, MonitoringSettings {
  readonly metrics: Metrics;
}

/** Text without a type is accepted, and so is every type, but not what is none (RFC 9110, section 8.3.1). */
const CONTENT_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+[ \t]*(?:;|$)/;

function checkHead(head: RequestHead): void {
  const { contentType } = head;
  if (contentType !== undefined && contentType !== 'application/json' && !CONTENT_TYPE.test(contentType)) {
    throw new RequestProblem(415, 'UnsupportedMediaType', 'the request is invalid');
  }
  checkContentLength(head, MAX_BODY_BYTES);
}

function answerProblem(error: unknown, { metrics, log }: RouteSettings): Answer {
  if (!(error instanceof RequestProblem || error instanceof InvalidReviewError)) {
    logInternalError(error, log);
    return INTERNAL_ERROR;
  }
  metrics.recordBadRequest();
  return error instanceof RequestProblem
    ? answerStatus(error.status, error.reason, error.message)
    : answerStatus(400, 'BadRequest', error.message);
}

/** Makes the function that answers the requests of all connections. */
export function makeRoutes(settings: RouteSettings): AnswerRequest {
  const { log } = settings;
  const answerReview = makeReviewAnswerer(settings);
  const answerMonitoring = makeMonitoring(settings);

  function answerHead(head: RequestHead): Answer | Promise<Answer> | undefined {
    if (readPath(head) !== '/webhook') {
      return answerMonitoring(head) ?? answerStatus(404, 'NotFound', 'unknown path; send reviews to /webhook');
    }
    if (head.method !== 'POST') {
      return { ...answerStatus(405, 'MethodNotAllowed', 'send reviews with POST'), headers: { allow: 'POST' } };
    }
    const problem = findClientProblem(head.socket, settings);
    if (problem !== undefined) {
      log.debug({ problem }, 'client refused');
      return answerStatus(401, 'Unauthorized', problem);
    }
    checkHead(head);
    return undefined;
  }

  function answerBody(text: string, head: RequestHead): Answer | Promise<Answer> {
    const body = answerReview(text, head);
    return typeof body === 'string' ? answerJson(200, body) : body.then((json) => answerJson(200, json));
  }

  return makeAnswerRequest({ answerHead, answerBody, answerProblem: (error) => answerProblem(error, settings) });
}
