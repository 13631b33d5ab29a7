/** Faults: handlers that tests put in place of the ordinary responses. */
import type { ServerResponse } from 'node:http';
import type { StandInResponse } from './responses.ts';
import type { RecordedRequest } from './server.ts';

export interface HandlerContext {
  /** Processes the request and returns the response that would be sent without the handler. */
  makeDefaultResponse: () => StandInResponse;
  /** Resets the connection (RST). */
  resetConnection: () => void;
}

/** Handles a request instead of the stand-in. It must send the response itself. */
export type Handler = (
  request: RecordedRequest,
  response: ServerResponse,
  exchange: HandlerContext,
) => void | Promise<void>;

export interface Handlers {
  /**
   * Handles the next request that starts with `only`, such as 'POST /v3/auth/tokens'. Several calls handle several
   * requests, in the order of the calls.
   */
  answerNext(handler: Handler, only?: string): void;
  answerAlways(handler: Handler, only?: string): void;
  /** Removes all handlers. */
  removeHandlers(): void;
}

/** Makes an empty list of handlers, and a function that takes the handler for `METHOD PATH`. */
export function makeHandlers(): Handlers & { take: (line: string) => Handler | undefined } {
  let next: { handler: Handler; only: string }[] = [];
  let always: { handler: Handler; only: string }[] = [];
  return {
    answerNext: (handler, only = '') => void next.push({ handler, only }),
    // The newest handler comes first, so that a later call takes precedence.
    answerAlways: (handler, only = '') => void always.unshift({ handler, only }),
    removeHandlers: () => {
      next = [];
      always = [];
    },
    take: (line) => {
      const queued = next.findIndex(({ only }) => line.startsWith(only));
      if (queued >= 0) return next.splice(queued, 1)[0]?.handler;
      return always.find(({ only }) => line.startsWith(only))?.handler;
    },
  };
}
