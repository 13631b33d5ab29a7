/** What each path answers, whatever the protocol: POST /webhook, and /healthz, /readyz and /metrics for monitoring. */
import type { Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { InvalidReviewError } from '../review/review.ts';
import { makeReviewAnswerer } from './answer-review.ts';
import type { ReviewSettings } from './answer-review.ts';
import { answerJson, answerStatus, answerText, RequestProblem } from './answer.ts';
import type { Answer } from './answer.ts';
import type { Certificates } from './certificates.ts';
import type { MetricsAccess } from './metrics-access.ts';
import { BodyReader, MAX_BODY_BYTES } from './read-body.ts';

export interface RouteSettings extends ReviewSettings {
  readonly certificates: Certificates;
  /** Common names of client certificates; empty if every certificate of the CA is accepted. */
  readonly allowedClientNames: readonly string[];
  readonly metricsAccess: MetricsAccess;
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

export type Respond = (answer: Answer) => void;

/**
 * Answers a request: calls `respond` once, or never if the client is gone. It takes a function, because the promises for
 * a review that is answered at once cost more than its decision.
 */
export type AnswerRequest = (head: RequestHead, body: Readable, respond: Respond) => void;

/** Text without a type is accepted, and so is every type, but not what is none (RFC 9110, section 8.3.1). */
const CONTENT_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+[ \t]*(?:;|$)/;

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

function answerProblem(error: unknown, { metrics, log }: RouteSettings): Answer {
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
  const { metricsAccess, metrics, getUnreadyReason, log } = settings;
  const bodies = new BodyReader();
  const answerReview = makeReviewAnswerer(settings);

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

  function answerBody(text: string): Answer | Promise<Answer> {
    const body = answerReview(text);
    return typeof body === 'string' ? answerJson(200, body) : body.then((json) => answerJson(200, json));
  }

  /** The answer that depends on the head alone; undefined if the request is a review. */
  function answerHead(head: RequestHead): Answer | Promise<Answer> | undefined {
    const { method, target = '' } = head;
    const query = target.indexOf('?');
    const path = query < 0 ? target : target.slice(0, query);
    if (path !== '/webhook') {
      const answer = method === 'GET' || method === 'HEAD' ? monitoring.get(path) : undefined;
      return answer?.(head) ?? answerStatus(404, 'NotFound', 'unknown path; send reviews to /webhook');
    }
    if (method !== 'POST') {
      return { ...answerStatus(405, 'MethodNotAllowed', 'send reviews with POST'), allow: 'POST' };
    }
    const problem = findClientProblem(head.socket, settings);
    if (problem !== undefined) {
      log.debug({ problem }, 'client refused');
      return answerStatus(401, 'Unauthorized', problem);
    }
    checkHead(head);
    return undefined;
  }

  function attempt<T>(find: () => T): T | Answer {
    try {
      return find();
    } catch (error) {
      return answerProblem(error, settings);
    }
  }

  return (head, source, respond) => {
    const settle = (answer: Answer | Promise<Answer>): void => {
      if (answer instanceof Promise)
        void answer.catch((error: unknown) => answerProblem(error, settings)).then(respond);
      else respond(answer);
    };
    const answer = attempt(() => answerHead(head));
    if (answer !== undefined) {
      settle(answer);
      return;
    }
    bodies.read(source, {
      onText: (text) => {
        settle(attempt(() => answerBody(text)));
      },
      onRefused: (problem) => {
        respond(answerProblem(problem, settings));
      },
    });
  };
}
