// A stand-in for the part of the Kubernetes API that the webhook uses: watches of ConfigMaps, namespaces, RoleBindings.
// test/webhook/end-to-end.test.ts sends the same requests to a real API server, where one is built.

import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import type { Test } from 'tap';
import { waitForClients } from '../../scripts/lib/patient-server.ts';
import { handleRequest } from './handle-request.ts';
import { listenForTest } from './listen-for-test.ts';

interface Metadata {
  name: string;
  resourceVersion?: string;
}

type KubernetesObject = Record<string, unknown> & { metadata: Metadata };

export interface StandInCluster {
  readonly url: string;
  /** As `METHOD /path`, without the query. */
  readonly requests: string[];
  readonly namespaces: Map<string, KubernetesObject>;
  /** By `namespace/name`. */
  readonly secrets: Map<string, KubernetesObject>;
  /** By `namespace/name`. */
  readonly roleBindings: Map<string, KubernetesObject>;
  /** Creates, changes or (undefined) deletes a ConfigMap in kube-system. */
  setConfigMap(name: string, data: Readonly<Record<string, string>> | undefined): void;
  /** Ends all watches, as an API server does from time to time. */
  endWatches(): void;
  /** Ends all watches with an event that has this status, as an API server does whose cache is too new or too old. */
  endWatchesWith(code: number): void;
  /** Forgets all watches without a word, as a connection does that has died. */
  loseWatches(): void;
  /** Decides which requests, as `METHOD /path`, are never answered; none at first. */
  isLost: (request: string) => boolean;
  /** Answers every request with this status; undefined ends that. */
  failWith(status: number | undefined): void;
  writeKubeconfig(path: string): void;
}

/** Starts a stand-in on 127.0.0.1 that stops after the test. */
export async function startStandInCluster(t: Test): Promise<StandInCluster> {
  const requests: string[] = [];
  const namespaces = new Map<string, KubernetesObject>();
  const roleBindings = new Map<string, KubernetesObject>();
  const secrets = new Map<string, KubernetesObject>();
  const maps = new Map<string, KubernetesObject>();
  const watches = new Map<ServerResponse, string>();
  /** The last event of each ConfigMap. */
  const lastEvents = new Map<string, { type: string; object: KubernetesObject }>();
  let version = 1;
  let failure: number | undefined;

  const nextVersion = (): string => String((version += 1));
  const send = (response: ServerResponse, status: number, body: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const fail = (response: ServerResponse, code: number): void => {
    send(response, code, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code });
  };
  const notify = (type: string, map: KubernetesObject): void => {
    lastEvents.set(map.metadata.name, { type, object: map });
    for (const [watch, name] of watches)
      if (name === map.metadata.name) watch.write(`${JSON.stringify({ type, object: map })}\n`);
  };

  function serveMaps(url: URL, response: ServerResponse): void {
    const name = url.searchParams.get('fieldSelector')?.replace('metadata.name=', '') ?? '';
    if (url.searchParams.get('watch') === 'true') {
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
      watches.set(response, name);
      // Includes an event between the list and the watch.
      const since = Number(url.searchParams.get('resourceVersion'));
      const event = lastEvents.get(name);
      if (event !== undefined && Number(event.object.metadata.resourceVersion) > since) {
        response.write(`${JSON.stringify(event)}\n`);
      }
      response.on('close', () => watches.delete(response));
      return;
    }
    const map = maps.get(name);
    const metadata = { resourceVersion: String(version) };
    send(response, 200, {
      kind: 'ConfigMapList',
      apiVersion: 'v1',
      metadata,
      items: map === undefined ? [] : [map],
    });
  }

  function create(
    objects: Map<string, KubernetesObject>,
    prefix: string,
    object: KubernetesObject,
    response: ServerResponse,
  ): void {
    const key = prefix + object.metadata.name;
    if (objects.has(key)) {
      fail(response, 409);
      return;
    }
    objects.set(key, { ...object, metadata: { ...object.metadata, resourceVersion: nextVersion() } });
    send(response, 201, objects.get(key));
  }

  function serveSecret(method: string, key: string, body: KubernetesObject, response: ServerResponse): void {
    const secret = secrets.get(key);
    if (secret === undefined) fail(response, 404);
    else if (method !== 'PUT') send(response, 200, secret);
    else if (body.metadata.resourceVersion !== secret.metadata.resourceVersion) fail(response, 409);
    else {
      const next = { ...body, metadata: { ...body.metadata, resourceVersion: nextVersion() } };
      secrets.set(key, next);
      send(response, 200, next);
    }
  }

  async function serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(message.url ?? '/', 'http://x');
    const { method = '' } = message;
    requests.push(`${method} ${url.pathname}`);
    if (cluster.isLost(`${method} ${url.pathname}`)) return;
    if (failure !== undefined || message.headers.authorization !== 'Bearer cluster-token') {
      fail(response, failure ?? 401);
      return;
    }
    const hasBody = method === 'POST' || method === 'PUT';
    const body = hasBody ? ((await json(message)) as KubernetesObject) : { metadata: { name: '' } };
    const [, secretNamespace = '', secret] =
      /^\/api\/v1\/namespaces\/([^/]+)\/secrets(?:\/([^/]+))?$/.exec(url.pathname) ?? [];
    const [, namespace = ''] = /^\/api\/v1\/namespaces\/([^/]+)$/.exec(url.pathname) ?? [];
    const [, bindingNamespace = '', , binding = ''] =
      /^\/apis\/rbac\.authorization\.k8s\.io\/v1\/namespaces\/([^/]+)\/rolebindings(\/([^/]+))?$/.exec(url.pathname) ??
      [];
    if (url.pathname === '/api/v1/namespaces/kube-system/configmaps') serveMaps(url, response);
    else if (secret !== undefined) serveSecret(method, `${secretNamespace}/${secret}`, body, response);
    else if (secretNamespace !== '') create(secrets, `${secretNamespace}/`, body, response);
    else if (url.pathname === '/api/v1/namespaces' && method === 'POST') create(namespaces, '', body, response);
    else if (namespace !== '' && namespaces.has(namespace)) send(response, 200, namespaces.get(namespace));
    else if (bindingNamespace !== '' && !namespaces.has(bindingNamespace)) fail(response, 404);
    else if (bindingNamespace !== '' && method === 'POST') create(roleBindings, `${bindingNamespace}/`, body, response);
    else if (bindingNamespace !== '' && method === 'DELETE') {
      if (roleBindings.delete(`${bindingNamespace}/${decodeURIComponent(binding)}`))
        send(response, 200, { kind: 'Status', status: 'Success' });
      else fail(response, 404);
    } else if (bindingNamespace !== '') {
      const items = [...roleBindings].flatMap(([key, object]) =>
        key.startsWith(`${bindingNamespace}/`) ? [object] : [],
      );
      send(response, 200, { kind: 'RoleBindingList', apiVersion: 'rbac.authorization.k8s.io/v1', metadata: {}, items });
    } else fail(response, 404);
  }

  const server = createServer((message, response) => {
    handleRequest(t, message, response, () => serve(message, response));
  });
  waitForClients(server);
  const port = await listenForTest(t, server);
  const url = `http://127.0.0.1:${port}`;
  const cluster: StandInCluster = {
    url,
    requests,
    namespaces,
    secrets,
    roleBindings,
    setConfigMap(name, data) {
      const previous = maps.get(name);
      const map = { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name, resourceVersion: nextVersion() }, data };
      if (data === undefined) {
        maps.delete(name);
        notify('DELETED', map);
      } else {
        maps.set(name, map);
        notify(previous === undefined ? 'ADDED' : 'MODIFIED', map);
      }
    },
    endWatches() {
      for (const watch of watches.keys()) watch.end();
      watches.clear();
    },
    endWatchesWith(code) {
      const object = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code };
      for (const watch of watches.keys()) watch.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
      watches.clear();
    },
    loseWatches() {
      watches.clear();
    },
    isLost: () => false,
    failWith(status) {
      failure = status;
    },
    writeKubeconfig(path) {
      const config = {
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'c', cluster: { server: url } }],
        users: [{ name: 'u', user: { token: 'cluster-token' } }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      };
      writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    },
  };
  return cluster;
}
