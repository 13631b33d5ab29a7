/**
 * A stand-in for Magnum: the requests that list clusters and their CAs, as the reference of the Container Infrastructure
 * Management API describes them. No package of Debian runs Magnum without a whole cloud.
 */
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { Test } from 'tap';
import type { StandInKeystone } from './stand-in-keystone.ts';
import { listenForTest } from './listen-for-test.ts';

/** A cluster; what is absent is absent in the answer too. */
export interface MagnumCluster {
  readonly uuid: string;
  readonly name: string;
  readonly status?: string;
  readonly api_address?: string | null;
  /** The CA. Undefined: there is none yet. */
  readonly pem?: string | undefined;
}

export interface StandInMagnum {
  /** Without a path. */
  readonly url: string;
  /** `GET /v1/clusters`, in their order. */
  readonly requests: readonly string[];
  /** Clusters on a page. Can be changed at any time. */
  pageSize: number;
  /** The status of all answers; undefined for the real ones. Can be changed at any time. */
  failWith: number | undefined;
}

/** Starts a stand-in on 127.0.0.1, which knows the tokens of a Keystone and is in its catalog. */
export async function startStandInMagnum(
  t: Test,
  keystone: StandInKeystone,
  clusters: readonly MagnumCluster[],
): Promise<StandInMagnum> {
  const requests: string[] = [];
  const answer = (response: ServerResponse, status: number, body: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', magnum.url);
    requests.push(`${request.method ?? ''} ${request.url ?? ''}`);
    if (magnum.failWith !== undefined) {
      answer(response, magnum.failWith, { errors: [] });
      return;
    }
    if (!keystone.sessions.has(String(request.headers['x-auth-token']))) {
      answer(response, 401, { error: { code: 401, title: 'Unauthorized' } });
      return;
    }
    const [, kind, uuid] = /^\/v1\/(clusters|certificates)(?:\/([\w-]+))?$/.exec(pathname) ?? [];
    const cluster = clusters.find((candidate) => candidate.uuid === uuid);
    if (kind === 'clusters' && uuid === undefined) {
      const from = clusters.findIndex((candidate) => candidate.uuid === searchParams.get('marker')) + 1;
      const page = clusters.slice(from, from + magnum.pageSize);
      const hasMore = from + magnum.pageSize < clusters.length;
      answer(response, 200, {
        clusters: page.map(({ uuid: id, name, status = 'CREATE_COMPLETE' }) => ({ uuid: id, name, status, links: [] })),
        // A link that must not be followed.
        ...(hasMore ? { next: 'http://127.0.0.1:9/v1/clusters?marker=next' } : {}),
      });
    } else if (cluster === undefined) answer(response, 404, { errors: [] });
    else if (kind === 'clusters') answer(response, 200, { ...cluster, pem: undefined, coe_version: 'v1.32.0' });
    else if (cluster.pem === undefined) answer(response, 404, { errors: [] });
    else answer(response, 200, { pem: cluster.pem, cluster_uuid: cluster.uuid, links: [] });
  });
  const port = await listenForTest(t, server);
  const magnum = {
    url: `http://127.0.0.1:${port}`,
    requests,
    pageSize: 100,
    failWith: undefined as number | undefined,
  };
  keystone.services = [describeMagnum(`${magnum.url}/v1`)];
  return magnum;
}

/** An entry of the catalog, with an internal address that must not be used. */
export function describeMagnum(
  url: string,
  region = 'RegionOne',
): {
  readonly type: string;
  readonly name: string;
  readonly endpoints: readonly { readonly interface: string; readonly region: string; readonly url: string }[];
} {
  return {
    type: 'container-infra',
    name: 'magnum',
    endpoints: [
      { interface: 'internal', region, url: 'http://127.0.0.1:9/v1' },
      { interface: 'public', region, url },
    ],
  };
}
