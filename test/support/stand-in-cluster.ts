// A stand-in for the cluster's API as far as the webhook speaks to it: ConfigMaps that are watched, namespaces,
// RoleBindings. What a real API server makes of the same requests, test/webhook/end-to-end.test.ts sees where there is one.

import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import type { Test } from 'tap';

interface Metadata {
  name: string;
  resourceVersion?: string;
}

type KubernetesObject = Record<string, unknown> & { metadata: Metadata };

export interface StandInCluster {
  readonly url: string;
  /** `METHOD /path`, without queries. */
  readonly requests: string[];
  readonly namespaces: Map<string, KubernetesObject>;
  /** By `namespace/name`. */
  readonly roleBindings: Map<string, KubernetesObject>;
  /** Makes, changes or (undefined) deletes a ConfigMap of kube-system. */
  setConfigMap(name: string, data: Readonly<Record<string, string>> | undefined): void;
  /** Ends all watches, as an API server does now and then. */
  endWatches(): void;
  /** Answers everything with this status; undefined ends that. */
  failWith(status: number | undefined): void;
  writeKubeconfig(path: string): void;
}

/** Starts one on 127.0.0.1; it ends with the test. */
export async function startStandInCluster(t: Test): Promise<StandInCluster> {
  const requests: string[] = [];
  const namespaces = new Map<string, KubernetesObject>();
  const roleBindings = new Map<string, KubernetesObject>();
  const maps = new Map<string, KubernetesObject>();
  const watches = new Map<ServerResponse, string>();
  /** The last that happened to each ConfigMap. */
  const history = new Map<string, { type: string; object: KubernetesObject }>();
  let version = 1;
  let failure: number | undefined;

  const next = (): string => String((version += 1));
  const send = (response: ServerResponse, status: number, body: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const fail = (response: ServerResponse, code: number): void => {
    send(response, code, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code });
  };
  const tell = (type: string, map: KubernetesObject): void => {
    history.set(map.metadata.name, { type, object: map });
    for (const [watch, name] of watches)
      if (name === map.metadata.name) watch.write(`${JSON.stringify({ type, object: map })}\n`);
  };

  function serveMaps(url: URL, response: ServerResponse): void {
    const name = url.searchParams.get('fieldSelector')?.replace('metadata.name=', '') ?? '';
    if (url.searchParams.get('watch') === 'true') {
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
      watches.set(response, name);
      // What has happened between the list and the watch is told too.
      const since = Number(url.searchParams.get('resourceVersion'));
      const latest = history.get(name);
      if (latest !== undefined && Number(latest.object.metadata.resourceVersion) > since) {
        response.write(`${JSON.stringify(latest)}\n`);
      }
      response.on('close', () => watches.delete(response));
      return;
    }
    const found = maps.get(name);
    const metadata = { resourceVersion: String(version) };
    send(response, 200, {
      kind: 'ConfigMapList',
      apiVersion: 'v1',
      metadata,
      items: found === undefined ? [] : [found],
    });
  }

  function create(
    things: Map<string, KubernetesObject>,
    prefix: string,
    made: KubernetesObject,
    response: ServerResponse,
  ): void {
    const key = prefix + made.metadata.name;
    if (things.has(key)) {
      fail(response, 409);
      return;
    }
    things.set(key, { ...made, metadata: { ...made.metadata, resourceVersion: next() } });
    send(response, 201, things.get(key));
  }

  async function serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(message.url ?? '/', 'http://x');
    const { method = '' } = message;
    requests.push(`${method} ${url.pathname}`);
    if (failure !== undefined || message.headers.authorization !== 'Bearer cluster-token') {
      fail(response, failure ?? 401);
      return;
    }
    const body = method === 'POST' ? ((await json(message)) as KubernetesObject) : { metadata: { name: '' } };
    const [, namespace = ''] = /^\/api\/v1\/namespaces\/([^/]+)$/.exec(url.pathname) ?? [];
    const [, place = '', , binding = ''] =
      /^\/apis\/rbac\.authorization\.k8s\.io\/v1\/namespaces\/([^/]+)\/rolebindings(\/([^/]+))?$/.exec(url.pathname) ??
      [];
    if (url.pathname === '/api/v1/namespaces/kube-system/configmaps') serveMaps(url, response);
    else if (url.pathname === '/api/v1/namespaces' && method === 'POST') create(namespaces, '', body, response);
    else if (namespace !== '' && namespaces.has(namespace)) send(response, 200, namespaces.get(namespace));
    else if (place !== '' && !namespaces.has(place)) fail(response, 404);
    else if (place !== '' && method === 'POST') create(roleBindings, `${place}/`, body, response);
    else if (place !== '' && method === 'DELETE') {
      if (roleBindings.delete(`${place}/${decodeURIComponent(binding)}`))
        send(response, 200, { kind: 'Status', status: 'Success' });
      else fail(response, 404);
    } else if (place !== '') {
      const items = [...roleBindings].flatMap(([key, thing]) => (key.startsWith(`${place}/`) ? [thing] : []));
      send(response, 200, { kind: 'RoleBindingList', apiVersion: 'rbac.authorization.k8s.io/v1', metadata: {}, items });
    } else fail(response, 404);
  }

  const server = createServer((message, response) => void serve(message, response));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url,
    requests,
    namespaces,
    roleBindings,
    setConfigMap(name, data) {
      const before = maps.get(name);
      const map = { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name, resourceVersion: next() }, data };
      if (data === undefined) {
        maps.delete(name);
        tell('DELETED', map);
      } else {
        maps.set(name, map);
        tell(before === undefined ? 'ADDED' : 'MODIFIED', map);
      }
    },
    endWatches() {
      for (const watch of watches.keys()) watch.end();
      watches.clear();
    },
    failWith(status) {
      failure = status;
    },
    writeKubeconfig(path) {
      const config = {
        apiVersion: 'v1',
        kind: 'Config',
        // Without it the client speaks no plain http.
        clusters: [{ name: 'c', cluster: { server: url, 'insecure-skip-tls-verify': true } }],
        users: [{ name: 'u', user: { token: 'cluster-token' } }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      };
      writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    },
  };
}
