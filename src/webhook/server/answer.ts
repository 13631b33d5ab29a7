import { makeStatus } from '../review/review.ts';

/** What a request is answered with, whatever its protocol. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Further headers, with names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

const JSON_TYPE = 'application/json; charset=utf-8';
const TEXT_TYPE = 'text/plain; charset=utf-8';

/** Makes an answer that is text. */
export const answerText = (status: number, text: string, contentType = TEXT_TYPE): Answer => ({
  status,
  contentType,
  body: text,
});

/** Makes an answer from JSON text. */
export const answerJson = (status: number, body: string): Answer => ({ status, contentType: JSON_TYPE, body });

/** Makes an answer that describes a failure as the Kubernetes API does. */
export const answerStatus = (status: number, reason: string, message: string): Answer =>
  answerJson(status, JSON.stringify(makeStatus(status, reason, message)));

/** A request that is not served; the message quotes nothing from it. */
export class RequestProblem extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}
