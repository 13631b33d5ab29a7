/** A kube-apiserver in front of each of two webhooks, which it asks about every request. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expectText, forDuration, generateLoad } from '../../test/support/load-generator.ts';
import type { LoadResult } from '../../test/support/load-generator.ts';
import type { Owner } from '../../test/support/webhook-client.ts';
import { makeAdminToken, startKubeApiserver } from '../kubernetes/kube-apiserver.ts';
import type { KubeApiserverOptions } from '../kubernetes/kube-apiserver.ts';
import { findFreePort } from '../lib/free-port.ts';
import type { Pki } from '../lib/pki.ts';
import type { Load, Webhook } from './compare.ts';
import { REVIEW_NAMESPACES } from './review-loads.ts';

/** A webhook, the API server in front of it, and a user of both. */
export interface Cluster {
  readonly webhook: Webhook;
  readonly port: number;
  readonly token: string;
  readonly stop: () => Promise<void>;
}

export interface ClusterSettings {
  readonly programs: KubeApiserverOptions['programs'];
  readonly folder: string;
  readonly pki: Pki;
  readonly token: string;
}

/** How long the API server remembers a token, in seconds; it remembers no access review. */
const TOKEN_CACHE_SECONDS = 10;

const SLICE_MS = 2_000;

/** A request that costs the API server little: one key of etcd that is not there. */
const makePath = (namespace: string): string => `/api/v1/namespaces/${namespace}/configmaps/none`;

/** Starts an API server whose webhook decides about everything. */
export async function startCluster(owner: Owner, webhook: Webhook, settings: ClusterSettings): Promise<Cluster> {
  const { programs, folder, pki, token } = settings;
  const port = await findFreePort();
  const apiServer = await startKubeApiserver(
    {
      programs,
      dir: join(folder, `apiserver-${port}`),
      pki,
      port,
      webhookPort: webhook.port,
      cacheSeconds: TOKEN_CACHE_SECONDS,
      accessCacheSeconds: 0,
      // The Go webhook supports no other.
      reviewVersion: 'v1beta1',
    },
    makeAdminToken(),
  );
  owner.teardown(() => apiServer.stop());
  return { webhook, port, token, stop: () => apiServer.stop() };
}

function measure({ port, token }: Cluster, namespace: string, parallel: number, ca: Buffer): Promise<LoadResult> {
  const request = `GET ${makePath(namespace)} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\naccept: application/json\r\n\r\n`;
  return generateLoad({
    port,
    ca,
    connections: parallel,
    writeRequest: () => request,
    nextBody: forDuration(SLICE_MS, () => ''),
    onResponse: expectText('the API server', '"reason":"NotFound"'),
  });
}

/** Requests to the API server, each of which costs one SubjectAccessReview. */
export function listApiLoads(pki: Pki): readonly Load<Cluster>[] {
  const ca = readFileSync(pki.ca);
  return REVIEW_NAMESPACES.flatMap(({ namespace, entry }) =>
    [64, 200].map((parallel) => ({
      client: `${parallel} at a time`,
      review: `request that entry ${entry} allows`,
      measure: (cluster: Cluster) => measure(cluster, namespace, parallel, ca),
    })),
  );
}
