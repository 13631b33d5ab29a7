/**
 * A stand-in for the kubelet of a node. It records what the API server asks of it on behalf of a user, and runs nothing.
 * It speaks WebSocket, which the API server passes on, and not SPDY: it refuses these connections, with a message that the
 * API server passes on too.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Pki } from '../../scripts/lib/pki.ts';
import type { Cluster } from './cluster.ts';
import type { Owner } from './webhook-client.ts';
import { listenForTest } from './listen-for-test.ts';

const NODE = 'node-1';

/** What the stand-in answers, or what each program writes. */
export const KUBELET_MESSAGE = 'this kubelet runs nothing';

/** Added to the key of a client. Source: RFC 6455, section 1.3. */
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** The first bytes of a WebSocket message with binary data, and of one that closes the connection. */
const [BINARY, CLOSE] = [0x82, 0x88];

/** The streams of a program in one WebSocket: the first byte of each message. */
const [STDOUT, OUTCOME] = [1, 3];

export interface StandInKubelet {
  readonly port: number;
  /** Whether it accepts WebSockets. If not, it refuses every connection. */
  acceptsWebSockets: boolean;
  /** `METHOD PATH` of each request, without the query, the oldest first. */
  readonly requests: readonly string[];
}

/** Makes a message of less than 126 bytes. */
function makeMessage(kind: number, ...parts: readonly Uint8Array[]): Buffer {
  const payload = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(kind, payload.length), payload]);
}

/** Accepts a WebSocket, which ends at once: a program has ended well, and the connection for ports is lost. */
function acceptWebSocket({ headers, url = '' }: IncomingMessage, socket: Duplex): void {
  const [protocol = ''] = (headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/);
  const key = createHash('sha1')
    .update(String(headers['sec-websocket-key']) + WEBSOCKET_GUID)
    .digest('base64');
  const head = [
    'HTTP/1.1 101 Switching Protocols',
    'upgrade: websocket',
    'connection: Upgrade',
    `sec-websocket-accept: ${key}`,
    `sec-websocket-protocol: ${protocol}`,
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  if (url.startsWith('/exec/')) {
    socket.write(makeMessage(BINARY, Buffer.of(STDOUT), Buffer.from(`${KUBELET_MESSAGE}\n`)));
    socket.write(makeMessage(BINARY, Buffer.of(OUTCOME), Buffer.from(JSON.stringify({ status: 'Success' }))));
  }
  // The reason: a normal closure.
  socket.end(makeMessage(CLOSE, Buffer.of(0x03, 0xe8)));
}

/** Starts a kubelet, which is stopped after the test. */
export async function startStandInKubelet(t: Owner, { server: { cert, key } }: Pki): Promise<StandInKubelet> {
  const kubelet = { acceptsWebSockets: true, requests: [] as string[] };
  const record = ({ method = '', url = '' }: IncomingMessage): void => {
    kubelet.requests.push(`${method} ${url.split('?')[0] ?? ''}`);
  };
  const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
    record(request);
    response.writeHead(501, { 'content-type': 'text/plain' }).end(KUBELET_MESSAGE);
  });
  const sockets = new Set<Duplex>();
  server.on('upgrade', (request, socket) => {
    record(request);
    sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
    if (kubelet.acceptsWebSockets && request.headers.upgrade?.toLowerCase() === 'websocket') {
      acceptWebSocket(request, socket);
      return;
    }
    const head = ['HTTP/1.1 501 Not Implemented', 'content-type: text/plain', 'connection: close'];
    socket.end(`${head.join('\r\n')}\r\ncontent-length: ${KUBELET_MESSAGE.length}\r\n\r\n${KUBELET_MESSAGE}`);
  });
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  const port = await listenForTest(t, server);
  return Object.assign(kubelet, { port });
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
    declaredFeatures: ['ExtendWebSocketsToKubelet'],
  });
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  const containers = [{ name: 'web', image: 'web' }];
  await create(pods, { metadata: { name }, spec: { nodeName: NODE, containers } });
  await replaceStatus(`${pods}/${name}`, { phase: 'Running' });
}
