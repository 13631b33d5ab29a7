// A stand-in Keystone on loopback, for faults that a real Keystone cannot cause, and for machines without one. Formats,
// statuses and texts were recorded from Keystone 22. The tests with a real Keystone, not this file, define how Keystone
// behaves. The folder of the same name holds what it answers, one file for each subject.

import type { CountedKeystone } from './request-log.ts';
import { makeHandlers } from './stand-in-keystone/handlers.ts';
import type { Handlers } from './stand-in-keystone/handlers.ts';
import { formatLikeKeystone, sendResponse } from './stand-in-keystone/responses.ts';
import type { StandInResponse } from './stand-in-keystone/responses.ts';
import { answer } from './stand-in-keystone/routes.ts';
import { startServer } from './stand-in-keystone/server.ts';
import type { RecordedRequest, ServerOptions } from './stand-in-keystone/server.ts';
import { readClock } from './stand-in-keystone/state.ts';
import type { StandInState } from './stand-in-keystone/state.ts';
import { findSession, issueToken } from './stand-in-keystone/tokens.ts';
import { recordedApplicationCredentials, recordedUsers } from './stand-in-keystone/users.ts';
import type { StandInApplicationCredential, StandInUser } from './stand-in-keystone/users.ts';

export interface StandInKeystoneOptions extends ServerOptions {
  readonly users?: readonly StandInUser[];
  readonly applicationCredentials?: readonly StandInApplicationCredential[];
  readonly lifetimeSeconds?: number;
  /** The clock of the machine, in ms since 1970. */
  readonly now?: () => number;
}

/** What a test can change at any time. */
type Changeable = Pick<StandInState, 'lifetimeSeconds' | 'formatExpiry' | 'clockAheadSeconds' | 'services'>;

export interface StandInKeystone extends CountedKeystone, Handlers, Changeable {
  readonly port: number;
  readonly sessions: StandInState['sessions'];
  readonly requests: RecordedRequest[];
  /** Counts the POST requests to /v3/auth/tokens, whatever the response. */
  countLogins(): number;
  revoke(token: string): void;
  /** Issues a token for a login that the stand-in does not implement. Default: an unscoped one. */
  issueToken(user: StandInUser, methods: readonly string[], scope?: unknown): StandInResponse;
  close(): Promise<void>;
}

/** Starts a stand-in on 127.0.0.1. */
export async function startStandInKeystone(options: StandInKeystoneOptions = {}): Promise<StandInKeystone> {
  const requests: RecordedRequest[] = [];
  const { take, ...handlers } = makeHandlers();
  const state: StandInState = {
    url: '',
    users: options.users ?? recordedUsers,
    applicationCredentials: options.applicationCredentials ?? recordedApplicationCredentials,
    lifetimeSeconds: options.lifetimeSeconds ?? 3600,
    formatExpiry: formatLikeKeystone,
    clockAheadSeconds: 0,
    now: options.now ?? Date.now,
    sessions: new Map(),
    receipts: new Map(),
    services: [],
  };
  const server = await startServer(options, async (request, response, resetConnection) => {
    requests.push(request);
    response.setHeader('date', readClock(state).toUTCString());
    const makeDefaultResponse = (): StandInResponse => answer(state, request);
    const handler = take(`${request.method} ${request.path}`);
    if (handler === undefined) sendResponse(response, makeDefaultResponse());
    else await handler(request, response, { makeDefaultResponse, resetConnection });
  });
  const describeRequests = (): string[] => requests.map(({ method, path }) => `${method} ${path}`);
  // The state itself, because a test changes it.
  return Object.assign(state, {
    ...server,
    ...handlers,
    requests,
    listRequests: describeRequests,
    countLogins: () => describeRequests().filter((line) => /^POST \/v3\/auth\/tokens(?:\?|$)/.test(line)).length,
    revoke: (token: string) => void (findSession(state, token).revoked = true),
    issueToken: (user: StandInUser, methods: readonly string[], scope?: unknown) =>
      issueToken(state, user, methods, scope),
  });
}
