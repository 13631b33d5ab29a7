// A stand-in Kubernetes API server for a real kubectl. It has enough resources for `get`, `apply`, `version`, `get
// --raw` and `auth whoami`. The test decides which tokens it accepts.

import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Socket } from 'node:net';
import type { CertificateFiles } from '../../scripts/lib/pki.ts';
import { waitForClients } from '../../scripts/lib/patient-server.ts';

export interface StandInApiServerOptions extends CertificateFiles {
  /** Returns the name of the user, or undefined for 401. */
  authenticate: (token: string) => Promise<string | undefined>;
  /** The API versions of SelfSubjectReview, v1 by default. With an empty list it answers 403, as RBAC does. */
  selfSubjectReviewVersions?: readonly string[];
  port?: number;
}

export interface ApiRequest {
  method: string;
  /** With the query. */
  path: string;
  /** The hash of the bearer token, in hexadecimal; the token itself is not recorded. Undefined without a token. */
  tokenSha256: string | undefined;
  user: string | undefined;
  status: number;
}

export interface StandInApiServer {
  readonly url: string;
  readonly port: number;
  readonly requests: ApiRequest[];
  close(): Promise<void>;
}

export interface KubeconfigOptions {
  path: string;
  server: string;
  /** The path of the CA certificate, which is copied into the kubeconfig. */
  ca: string;
  command: string;
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** The API version of the exec stanza, v1 by default. */
  apiVersion?: string;
  /** 'IfAvailable' by default; null omits it, which v1 does not allow. */
  interactiveMode?: 'Never' | 'IfAvailable' | 'Always' | null;
  provideClusterInfo?: boolean;
  installHint?: string;
}

type Json = Record<string, unknown>;
interface Reply {
  status: number;
  body: Json;
}

const namespace = 'default';
const createdAt = '2026-01-01T00:00:00Z';

/** Starts a stand-in on 127.0.0.1. */
export async function startStandInApiServer(options: StandInApiServerOptions): Promise<StandInApiServer> {
  const requests: ApiRequest[] = [];
  const configMaps = new Map<string, Json>();
  const sockets = new Set<Socket>();

  const serve = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    response.on('error', () => undefined);
    const { method = '', url: path = '' } = message;
    const body = await readJson(message).catch(() => ({}));
    const token = /^Bearer (.+)$/.exec(message.headers.authorization ?? '')?.[1];
    const user = token === undefined ? undefined : await options.authenticate(token);
    const wantsTable = message.headers.accept?.includes('as=Table') === true;
    const reply =
      user === undefined
        ? refuse(401, 'Unauthorized', 'Unauthorized')
        : (answerReview(method, path, user, options.selfSubjectReviewVersions) ??
          answer(method, path.split('?')[0] ?? '', { body, wantsTable, configMaps }));
    const tokenSha256 = token === undefined ? undefined : createHash('sha256').update(token).digest('hex');
    requests.push({ method, path, tokenSha256, user, status: reply.status });
    response.writeHead(reply.status, { 'content-type': 'application/json' }).end(JSON.stringify(reply.body));
  };

  const server = createServer(
    { cert: await readFile(options.cert), key: await readFile(options.key) },
    (message, response) => {
      void serve(message, response);
    },
  );
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  // Tests connect clients that reject the certificate.
  server.on('tlsClientError', () => undefined);
  waitForClients(server);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: options.port ?? 0, host: '127.0.0.1', backlog: 1024 }, resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    requests,
    close: async () => {
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Writes a kubeconfig with one cluster, one exec user and one current context, readable by its owner only. */
export async function writeKubeconfig(options: KubeconfigOptions): Promise<void> {
  const { interactiveMode = 'IfAvailable', installHint } = options;
  const exec = {
    apiVersion: options.apiVersion ?? 'client.authentication.k8s.io/v1',
    command: options.command,
    args: options.args ?? [],
    env: Object.entries(options.env ?? {}).map(([name, value]) => ({ name, value })),
    provideClusterInfo: options.provideClusterInfo ?? false,
    ...(interactiveMode === null ? {} : { interactiveMode }),
    ...(installHint === undefined ? {} : { installHint }),
  };
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'test',
        cluster: {
          server: options.server,
          'certificate-authority-data': await readFile(options.ca, 'base64'),
        },
      },
    ],
    users: [{ name: 'test', user: { exec } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace } }],
    'current-context': 'test',
  };
  // Remove it first: the mode applies only to a file that is created.
  await rm(options.path, { force: true });
  await writeFile(options.path, `${JSON.stringify(kubeconfig, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
}

interface Context {
  body: Json;
  wantsTable: boolean;
  configMaps: Map<string, Json>;
}

// Discovery uses the old form, which every kubectl supports: with a cold cache kubectl sends several requests, as with
// an old cluster.
function answer(method: string, path: string, context: Context): Reply {
  const { body, wantsTable, configMaps } = context;
  const inNamespace = `/api/v1/namespaces/${namespace}`;
  const name = /^\/api\/v1\/namespaces\/default\/configmaps\/([^/]+)$/.exec(path)?.[1];
  if (name !== undefined) return answerConfigMap(method, name, body, configMaps);
  switch (`${method} ${path}`) {
    case 'GET /version':
      return ok({ major: '1', minor: '33', gitVersion: 'v1.33.0', platform: 'linux/amd64' });
    case 'GET /api':
      return ok({ kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] });
    case 'GET /apis':
      return ok({ kind: 'APIGroupList', apiVersion: 'v1', groups: [authenticationGroup] });
    case 'GET /apis/authentication.k8s.io':
      return ok({ kind: 'APIGroup', apiVersion: 'v1', ...authenticationGroup });
    case 'GET /apis/authentication.k8s.io/v1':
      return ok(resourceList('authentication.k8s.io/v1', [selfSubjectReviews]));
    case 'GET /api/v1':
      return ok(resourceList('v1', [configMapResource, namespaceResource, podResource]));
    case 'GET /api/v1/namespaces':
      return ok({
        kind: 'NamespaceList',
        apiVersion: 'v1',
        metadata: { resourceVersion: '1' },
        items: [namespaceObject],
      });
    case `GET ${inNamespace}`:
      return ok(namespaceObject);
    case `GET ${inNamespace}/pods`:
      return ok(wantsTable ? podTable : podList);
    case 'GET /api/v1/pods':
      return ok(wantsTable ? podTable : podList);
    case `GET ${inNamespace}/pods/web-0`:
      return ok(pod);
    case `GET ${inNamespace}/configmaps`:
      return ok({
        kind: 'ConfigMapList',
        apiVersion: 'v1',
        metadata: { resourceVersion: '1' },
        items: [...configMaps.values()],
      });
    case `POST ${inNamespace}/configmaps`: {
      const metadata = asObject(body['metadata']);
      const stored = {
        ...body,
        metadata: { namespace, uid: '1', resourceVersion: '1', creationTimestamp: createdAt, ...metadata },
      };
      configMaps.set(String(metadata['name']), stored);
      return created(stored);
    }
    default:
      return refuse(404, 'NotFound', 'the server could not find the requested resource');
  }
}

function answerReview(
  method: string,
  path: string,
  user: string,
  versions = ['v1'] as readonly string[],
): Reply | undefined {
  if (method !== 'POST') return undefined;
  if (path === '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews') {
    return created({
      kind: 'SelfSubjectAccessReview',
      apiVersion: 'authorization.k8s.io/v1',
      status: { allowed: true },
    });
  }
  const version = /^\/apis\/authentication\.k8s\.io\/(\w+)\/selfsubjectreviews$/.exec(path)?.[1];
  if (version === undefined) return undefined;
  if (versions.length === 0) {
    const detail =
      'cannot create resource "selfsubjectreviews" in API group "authentication.k8s.io" at the cluster scope';
    return refuse(403, 'Forbidden', `selfsubjectreviews.authentication.k8s.io is forbidden: User "${user}" ${detail}`);
  }
  if (!versions.includes(version)) return undefined;
  return created({
    kind: 'SelfSubjectReview',
    apiVersion: `authentication.k8s.io/${version}`,
    metadata: { creationTimestamp: createdAt },
    status: { userInfo: { username: user, groups: ['demo-admins', 'system:authenticated'] } },
  });
}

function answerConfigMap(method: string, name: string, body: Json, configMaps: Map<string, Json>): Reply {
  const stored = configMaps.get(name);
  if (stored === undefined) return refuse(404, 'NotFound', `configmaps "${name}" not found`);
  if (method === 'GET') return ok(stored);
  if (method === 'DELETE') {
    configMaps.delete(name);
    return ok({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' });
  }
  if (method !== 'PATCH' && method !== 'PUT') return refuse(405, 'MethodNotAllowed', 'not allowed');
  // This is close enough to a strategic merge for the flat data of a config map.
  const merged = {
    ...stored,
    data: { ...asObject(stored['data']), ...asObject(body['data']) },
    metadata: { ...asObject(stored['metadata']), ...asObject(body['metadata']) },
  };
  configMaps.set(name, merged);
  return ok(merged);
}

const verbs = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];
const podResource = {
  name: 'pods',
  singularName: 'pod',
  namespaced: true,
  kind: 'Pod',
  verbs,
  shortNames: ['po'],
  categories: ['all'],
};
const namespaceResource = {
  name: 'namespaces',
  singularName: 'namespace',
  namespaced: false,
  kind: 'Namespace',
  verbs,
  shortNames: ['ns'],
};
const configMapResource = {
  name: 'configmaps',
  singularName: 'configmap',
  namespaced: true,
  kind: 'ConfigMap',
  verbs,
  shortNames: ['cm'],
};
const selfSubjectReviews = {
  name: 'selfsubjectreviews',
  singularName: 'selfsubjectreview',
  namespaced: false,
  kind: 'SelfSubjectReview',
  verbs: ['create'],
};
const authenticationGroup = {
  name: 'authentication.k8s.io',
  versions: [{ groupVersion: 'authentication.k8s.io/v1', version: 'v1' }],
  preferredVersion: { groupVersion: 'authentication.k8s.io/v1', version: 'v1' },
};
const namespaceObject = {
  kind: 'Namespace',
  apiVersion: 'v1',
  metadata: { name: namespace, uid: '2', creationTimestamp: createdAt },
  status: { phase: 'Active' },
};
const pod = {
  kind: 'Pod',
  apiVersion: 'v1',
  metadata: { name: 'web-0', namespace, uid: '3', resourceVersion: '1', creationTimestamp: createdAt },
  spec: { containers: [{ name: 'web', image: 'web' }] },
  status: { phase: 'Running' },
};
const podList = { kind: 'PodList', apiVersion: 'v1', metadata: { resourceVersion: '1' }, items: [pod] };
const podTable = {
  kind: 'Table',
  apiVersion: 'meta.k8s.io/v1',
  metadata: { resourceVersion: '1' },
  columnDefinitions: ['Name', 'Ready', 'Status', 'Restarts', 'Age'].map((column) => ({
    name: column,
    type: 'string',
    format: column === 'Name' ? 'name' : '',
    description: column,
    priority: 0,
  })),
  rows: [
    {
      cells: ['web-0', '1/1', 'Running', '0', '1d'],
      object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: pod.metadata },
    },
  ],
};

function resourceList(groupVersion: string, resources: readonly Json[]): Json {
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources };
}

function ok(body: Json): Reply {
  return { status: 200, body };
}

function created(body: Json): Reply {
  return { status: 201, body };
}

function refuse(code: number, reason: string, message: string): Reply {
  return {
    status: code,
    body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code },
  };
}

async function readJson(message: IncomingMessage): Promise<Json> {
  const chunks: Buffer[] = [];
  for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk);
  return asObject(JSON.parse(Buffer.concat(chunks).toString('utf8') || '{}'));
}

function asObject(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}
