/** The projects in which the user of a token has a role. */
import { makeJsonResponse } from './responses.ts';
import type { StandInResponse } from './responses.ts';
import type { RecordedRequest } from './server.ts';
import type { StandInState } from './state.ts';
import { findCaller } from './tokens.ts';

/** Answers GET /v3/auth/projects. */
export function listProjects(state: StandInState, request: RecordedRequest): StandInResponse {
  const { url } = state;
  const projects = findCaller(state, request)
    .user.roles.flatMap((role) => role.project ?? [])
    .sort((one, other) => (one.id < other.id ? -1 : 1))
    .map(({ id, name, domain }) => ({
      id,
      name,
      domain_id: domain.id,
      description: '',
      enabled: true,
      parent_id: domain.id,
      is_domain: false,
      tags: [],
      options: {},
      links: { self: `${url}/v3/projects/${id}` },
    }));
  return makeJsonResponse(200, { projects, links: { next: null, self: `${url}/v3/auth/projects`, previous: null } });
}
