import type { Log } from '../observability/log.ts';
import { answerStatus } from './answer.ts';
import type { Answer } from './answer.ts';

/** Logs an error that nobody expected. Only its name: the message of a library may quote a token. */
export function logInternalError(error: unknown, log: Log): void {
  log.error({ error: error instanceof Error ? error.name : typeof error }, 'internal error');
}

/** The answer to a request that failed with such an error. */
export const INTERNAL_ERROR: Answer = answerStatus(500, 'InternalError', 'internal error');
