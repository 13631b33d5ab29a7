/** How requests are answered, whatever the protocol and the paths: the head first, and then the body, if one is needed. */
import type { Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Answer } from './answer.ts';
import { RequestProblem } from './answer.ts';
import { BodyReader, MAX_BODY_BYTES } from './read-body.ts';

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

/** What a server answers. Each function may throw what `answerProblem` then answers. */
export interface RequestHandler {
  /** The answer that depends on the head alone; undefined if the body is needed. */
  readonly answerHead: (head: RequestHead) => Answer | Promise<Answer> | undefined;
  readonly answerBody: (text: string, head: RequestHead) => Answer | Promise<Answer>;
  readonly answerProblem: (error: unknown, head: RequestHead) => Answer;
  /** The largest body, in bytes; {@link MAX_BODY_BYTES} by default. */
  readonly maxBodyBytes?: number;
}

/** Returns the path of a request without the query. */
export function readPath({ target = '' }: RequestHead): string {
  const query = target.indexOf('?');
  return query < 0 ? target : target.slice(0, query);
}

/**
 * Refuses a body that says that it is too large.
 *
 * @throws RequestProblem
 */
export function checkContentLength({ contentLength }: RequestHead, maxBytes: number): void {
  if (Number(contentLength) > maxBytes)
    throw new RequestProblem(413, 'RequestEntityTooLarge', 'the request is invalid');
}

/** Makes the function that answers the requests of all connections. */
export function makeAnswerRequest(handler: RequestHandler): AnswerRequest {
  const { answerHead, answerBody, answerProblem, maxBodyBytes = MAX_BODY_BYTES } = handler;
  const bodies = new BodyReader(maxBodyBytes);

  function attempt<T>(head: RequestHead, find: () => T): T | Answer {
    try {
      return find();
    } catch (error) {
      return answerProblem(error, head);
    }
  }

  return (head, source, respond) => {
    const settle = (answer: Answer | Promise<Answer>): void => {
      if (answer instanceof Promise) void answer.catch((error: unknown) => answerProblem(error, head)).then(respond);
      else respond(answer);
    };
    const answer = attempt(head, () => answerHead(head));
    if (answer !== undefined) {
      settle(answer);
      return;
    }
    bodies.read(source, {
      onText: (text) => {
        settle(attempt(head, () => answerBody(text, head)));
      },
      onRefused: (problem) => {
        respond(answerProblem(problem, head));
      },
    });
  };
}
