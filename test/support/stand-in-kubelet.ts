/**
 * A stand-in for the kubelet of a node. It records what the API server asks of it on behalf of a user, and runs nothing:
 * it refuses to upgrade each connection, with a message that the API server passes on.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { Pki } from '../../scripts/lib/pki.ts';
import type { Cluster } from './cluster.ts';
import type { Owner } from './webhook-client.ts';
import { listenForTest } from './listen-for-test.ts';

const NODE = 'node-1';

/** What the stand-in answers. */
export const KUBELET_MESSAGE = 'this kubelet runs nothing';

export interface StandInKubelet {
  readonly port: number;
  /** `METHOD PATH` of each request, without the query, the oldest first. */
  readonly requests: readonly string[];
}

/** Starts a kubelet, which is stopped after the test. */
export async function startStandInKubelet(t: Owner, { server: { cert, key } }: Pki): Promise<StandInKubelet> {
  const requests: string[] = [];
  const record = ({ method = '', url = '' }: IncomingMessage): void => {
    requests.push(`${method} ${url.split('?')[0] ?? ''}`);
  };
  const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
    record(request);
    response.writeHead(501, { 'content-type': 'text/plain' }).end(KUBELET_MESSAGE);
  });
  server.on('upgrade', (request, socket) => {
    record(request);
    const head = ['HTTP/1.1 501 Not Implemented', 'content-type: text/plain', 'connection: close'];
    socket.end(`${head.join('\r\n')}\r\ncontent-length: ${KUBELET_MESSAGE.length}\r\n\r\n${KUBELET_MESSAGE}`);
  });
  const port = await listenForTest(t, server);
  return { port, requests };
}

/** Adds a node with this kubelet to a cluster, and a pod that seems to run there. */
export async function addPod(
  { create, request }: Pick<Cluster, 'create' | 'request'>,
  { port }: StandInKubelet,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): Promise<void> {
  const replaceStatus = async (path: string, status: object): Promise<void> => {
    const { body } = await request(path);
    await request(`${path}/status`, { method: 'PUT', body: { ...(body as object), status } });
  };
  await create('/api/v1/nodes', { metadata: { name: NODE } });
  await replaceStatus(`/api/v1/nodes/${NODE}`, {
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
  });
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  const containers = [{ name: 'web', image: 'web' }];
  await create(pods, { metadata: { name }, spec: { nodeName: NODE, containers } });
  await replaceStatus(`${pods}/${name}`, { phase: 'Running' });
}
