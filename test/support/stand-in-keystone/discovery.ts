/** The versions that Keystone offers. */
import type { Json } from './json.ts';
import { makeJsonResponse } from './responses.ts';
import type { StandInResponse } from './responses.ts';
import type { StandInState } from './state.ts';

/** Answers GET /. */
export function listVersions({ url }: StandInState): StandInResponse {
  return makeJsonResponse(300, { versions: { values: [describeVersion(url)] } }, { location: `${url}/v3/` });
}

/** Answers GET /v3. */
export function showVersion({ url }: StandInState): StandInResponse {
  return makeJsonResponse(200, { version: describeVersion(url) });
}

function describeVersion(url: string): Json {
  return {
    id: 'v3.14',
    status: 'stable',
    updated: '2020-04-07T00:00:00Z',
    links: [{ rel: 'self', href: `${url}/v3/` }],
    'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
  };
}
