/** The groups of users; nobody has any. */
import { makeJsonResponse } from './responses.ts';
import type { StandInResponse } from './responses.ts';
import type { RecordedRequest } from './server.ts';
import type { StandInState } from './state.ts';
import { findCaller } from './tokens.ts';

/** Answers GET /v3/users/{user_id}/groups. */
export function listGroups(state: StandInState, request: RecordedRequest): StandInResponse {
  findCaller(state, request);
  const self = `${state.url}${request.path}`;
  return makeJsonResponse(200, { groups: [], links: { next: null, self, previous: null } });
}
