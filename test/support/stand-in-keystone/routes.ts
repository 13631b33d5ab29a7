/** Which part of the stand-in answers a request. */
import { listVersions, showVersion } from './discovery.ts';
import { listGroups } from './groups.ts';
import { logIn } from './login.ts';
import { listProjects } from './projects.ts';
import { makeJsonResponse, makeNotFoundResponse, makeRefusalResponse, Refusal } from './responses.ts';
import type { StandInResponse } from './responses.ts';
import type { RecordedRequest } from './server.ts';
import type { StandInState } from './state.ts';
import { revoke, validate } from './tokens.ts';

type Route = (state: StandInState, request: RecordedRequest) => StandInResponse;

/** By path and method. */
const ROUTES: Readonly<Record<string, Readonly<Record<string, Route>>>> = {
  '/': { GET: listVersions },
  '/v3': { GET: showVersion },
  '/v3/auth/tokens': { POST: logIn, GET: validate, HEAD: validate, DELETE: revoke },
  '/v3/auth/projects': { GET: listProjects },
  '/v3/users/{user_id}/groups': { GET: listGroups },
};

/** Answers a request as Keystone does. */
export function answer(state: StandInState, request: RecordedRequest): StandInResponse {
  const path = (request.path.split('?')[0] ?? '/').replace(/^\/v3\/users\/[^/]+\//, '/v3/users/{user_id}/');
  const routes = ROUTES[path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path];
  if (routes === undefined) return makeNotFoundResponse();
  const route = routes[request.method];
  if (route === undefined) {
    const allow = [...Object.keys(routes), 'OPTIONS'].join(', ');
    return makeJsonResponse(405, { message: 'The method is not allowed for the requested URL.' }, { allow });
  }
  try {
    return route(state, request);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return makeRefusalResponse(error, state.url);
  }
}
