/** The requests to the API of the cluster that ConfigMaps, synchronization and signing keys need. */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type * as kubernetes from '@kubernetes/client-node';
import type { Clock } from '../../shared/base/clock.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import type { Secret } from '../../shared/base/secret.ts';
import { isPlaintextLoopback } from '../../shared/http/peer.ts';
import { ClusterError } from './cluster-error.ts';
import { readTextFile } from './read-text-file.ts';
import { RequestTimeout, sendInTime } from './request-deadline.ts';
import type { NamedFile } from './read-text-file.ts';
import { watchConfigMap } from './watch-config-map.ts';
import type { ConfigMap, ConfigMapApi, ConfigMapListener } from './watch-config-map.ts';

/** A RoleBinding that grants one user a ClusterRole in a namespace. */
export interface RoleBinding {
  readonly name: string;
  readonly role: string;
  readonly username: string;
}

export interface ConfigMapName {
  readonly namespace: string;
  readonly name: string;
}

export type SecretName = ConfigMapName;

/** A Secret that was read. */
export interface SecretContent {
  readonly data: ReadonlyMap<string, string>;
  /** Replaces these keys and leaves the rest of the Secret as it is; false if somebody else has changed it since. */
  readonly replace: (data: SecretData) => Promise<boolean>;
}

type SecretData = Readonly<Record<string, Secret>>;

/** Why a ConfigMap is unreadable. */
export interface ConfigMapTrouble {
  readonly reason: string;
  /** The API server answered, and does not let the webhook read it. */
  readonly isForbidden: boolean;
}

export interface ConfigMapObserver extends Pick<ConfigMapListener, 'onData' | 'onConfirmed'> {
  /**
   * Takes the reason why the ConfigMap is unreadable for now, and returns whether its content no longer applies, so that
   * `onData` must be called again.
   */
  readonly onTrouble: (trouble: ConfigMapTrouble) => boolean;
  /** Takes the reason why a watch ended early; the next one starts soon. */
  readonly onWatchFailure: (reason: string) => void;
}

export interface Cluster {
  /** Watches a ConfigMap until the returned function is called. */
  watchConfigMap(configMap: ConfigMapName, observer: ConfigMapObserver): () => void;
  /** Creates the namespace unless it exists. */
  ensureNamespace(name: string, annotations: Readonly<Record<string, string>>): Promise<void>;
  listRoleBindings(namespace: string): Promise<readonly RoleBinding[]>;
  /** Creates the binding unless it exists. */
  ensureRoleBinding(namespace: string, binding: RoleBinding): Promise<void>;
  deleteRoleBinding(namespace: string, name: string): Promise<void>;
}

/** Access to Secrets. */
export interface ClusterSecrets {
  /** Reads a Secret; undefined if it does not exist. */
  readSecret(secret: SecretName): Promise<SecretContent | undefined>;
  /** Creates a Secret; false if it already exists. */
  createSecret(secret: SecretName, data: SecretData): Promise<boolean>;
}

type Client = typeof kubernetes;

const MANAGED_BY = { 'app.kubernetes.io/managed-by': 'k8s-keystone-auth' };
const RBAC = 'rbac.authorization.k8s.io';
const POD_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/** The statuses of a request without the right to it. */
const FORBIDDEN: readonly unknown[] = [401, 403];

function getStatus(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if ('code' in error && typeof error.code === 'number') return error.code;
  return 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : undefined;
}

/** Leaves out the message of the library, which quotes the response. */
function explainError(error: unknown): string {
  if (error instanceof RequestTimeout) return error.message;
  const status = getStatus(error);
  if (status !== undefined) return `the API server answered ${status}`;
  const cause = error instanceof Error ? error.cause : undefined;
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  return `the API server cannot be reached${typeof code === 'string' ? ` (${code})` : ''}`;
}

/** The options of a request, so that it can be aborted. */
type RequestOptions = kubernetes.ConfigurationOptions;

/**
 * Sends a request and waits until its deadline.
 *
 * @param expectedStatus an error status that is not a failure, such as 409 for an object that already exists
 */
type Send = <T>(request: (options: RequestOptions) => Promise<T>, expectedStatus?: number) => Promise<T | undefined>;

function makeAbortable({ Observable }: Client, signal: AbortSignal): RequestOptions {
  return {
    middleware: [
      {
        pre(context) {
          context.setSignal(signal);
          return new Observable(Promise.resolve(context));
        },
        post: (response) => new Observable(Promise.resolve(response)),
      },
    ],
    middlewareMergeStrategy: 'append',
  };
}

function makeSend(client: Client, clock: Clock): Send {
  return async (request, expectedStatus) => {
    try {
      return await sendInTime(clock, (signal) => request(makeAbortable(client, signal)));
    } catch (error) {
      if (expectedStatus !== undefined && getStatus(error) === expectedStatus) return undefined;
      throw new ClusterError(explainError(error), getStatus(error));
    }
  };
}

/** Checks the files that a kubeconfig names: the library reads them itself, at each connection. */
function checkReferencedFiles(config: kubernetes.KubeConfig, { path, origin }: NamedFile): void {
  const cluster = config.getCurrentCluster();
  const user = config.getCurrentUser();
  const files = {
    'certificate-authority': cluster?.caFile,
    'client-certificate': user?.certFile,
    'client-key': user?.keyFile,
  };
  for (const [key, file] of Object.entries(files)) {
    if (file !== undefined) readTextFile({ path: file, origin: `${key} in ${path} (${origin})` });
  }
}

/**
 * Lets the library connect to `kubectl proxy`: without TLS there is no certificate to check, but it wants to be told.
 *
 * @throws ConfigError if the credentials would leave this machine without encryption
 */
function allowLocalHttp(config: kubernetes.KubeConfig, { path, origin }: NamedFile): void {
  const cluster = config.getCurrentCluster();
  if (cluster?.server.startsWith('http:') !== true) return;
  if (!isPlaintextLoopback(new URL(cluster.server))) {
    throw new ConfigError(`${origin}: the server in ${path} uses http:// and is not on this machine`, {
      hint: 'use https:// for the server of the cluster',
    });
  }
  config.clusters = config.clusters.map((each) => (each === cluster ? { ...each, skipTLSVerify: true } : each));
}

function loadKubeConfig(kubeconfig: NamedFile | undefined, client: Client): kubernetes.KubeConfig {
  const config = new client.KubeConfig();
  const text = kubeconfig === undefined ? undefined : readTextFile(kubeconfig);
  try {
    if (kubeconfig === undefined || text === undefined) {
      // Outside a pod the library would use "undefined" as the name of the server.
      if (!existsSync(POD_TOKEN)) throw new Error('no pod');
      config.loadFromCluster();
    } else {
      config.loadFromString(text);
      config.makePathsAbsolute(dirname(kubeconfig.path));
    }
    if (config.getCurrentCluster() === null) throw new Error('no cluster');
  } catch {
    throw new ConfigError(
      kubeconfig === undefined
        ? 'this program does not run in a pod and has no kubeconfig'
        : `${kubeconfig.origin}: ${kubeconfig.path} does not say how to reach a cluster`,
      { hint: 'set --kubeconfig (KEYSTONE_KUBECONFIG_FILE) to a kubeconfig' },
    );
  }
  if (kubeconfig !== undefined) {
    checkReferencedFiles(config, kubeconfig);
    allowLocalHttp(config, kubeconfig);
  }
  return config;
}

function makeConfigMapApi(
  { namespace, name }: ConfigMapName,
  config: kubernetes.KubeConfig,
  core: kubernetes.CoreV1Api,
  client: Client,
): ConfigMapApi {
  const fieldSelector = `metadata.name=${name}`;
  return {
    async find(signal) {
      const options = makeAbortable(client, signal);
      const list = await core.listNamespacedConfigMap({ namespace, fieldSelector }, options);
      const map = list.items.find(({ metadata }) => metadata?.name === name);
      return { map, resourceVersion: list.metadata?.resourceVersion };
    },
    async watch({ resourceVersion, timeoutSeconds, onEvent, onEnd }) {
      const controller = await new client.Watch(config).watch(
        `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps`,
        { fieldSelector, resourceVersion, timeoutSeconds, allowWatchBookmarks: true },
        (type, map: ConfigMap) => {
          onEvent(type, map);
        },
        onEnd,
      );
      return () => {
        controller.abort();
      };
    },
  };
}

type RoleBindingMethods = Pick<Cluster, 'listRoleBindings' | 'ensureRoleBinding' | 'deleteRoleBinding'>;

function makeRoleBindingMethods(
  rbac: kubernetes.RbacAuthorizationV1Api,
  { V1RoleBinding }: Client,
  send: Send,
): RoleBindingMethods {
  return {
    async listRoleBindings(namespace) {
      const list = await send((options) => rbac.listNamespacedRoleBinding({ namespace }, options));
      return (list?.items ?? []).flatMap(({ metadata, roleRef, subjects = [] }) => {
        const [subject, ...otherSubjects] = subjects;
        if (roleRef.kind !== 'ClusterRole' || subject?.kind !== 'User' || otherSubjects.length > 0) return [];
        return [{ name: metadata?.name ?? '', role: roleRef.name, username: subject.name }];
      });
    },
    async ensureRoleBinding(namespace, { name, role, username }) {
      const body = Object.assign(new V1RoleBinding(), {
        metadata: { name, labels: MANAGED_BY },
        roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: role },
        subjects: [{ apiGroup: RBAC, kind: 'User', name: username }],
      });
      await send((options) => rbac.createNamespacedRoleBinding({ namespace, body }, options), 409);
    },
    async deleteRoleBinding(namespace, name) {
      await send((options) => rbac.deleteNamespacedRoleBinding({ namespace, name }, options), 404);
    },
  };
}

const encode = (data: SecretData): Record<string, string> =>
  Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text.reveal()).toString('base64')]));

const decode = (data: Readonly<Record<string, string>>): ReadonlyMap<string, string> =>
  new Map(Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]));

function makeSecretMethods(core: kubernetes.CoreV1Api, { V1Secret }: Client, send: Send): ClusterSecrets {
  return {
    async readSecret({ namespace, name }) {
      const secret = await send((options) => core.readNamespacedSecret({ namespace, name }, options), 404);
      if (secret === undefined) return undefined;
      const { data = {} } = secret;
      return {
        data: decode(data),
        async replace(changes) {
          // Without the list of who has set which field, the API server keeps its own.
          delete secret.metadata?.managedFields;
          secret.data = { ...data, ...encode(changes) };
          return (
            (await send((options) => core.replaceNamespacedSecret({ namespace, name, body: secret }, options), 409)) !==
            undefined
          );
        },
      };
    },
    async createSecret({ namespace, name }, data) {
      const metadata = { namespace, name, labels: MANAGED_BY };
      const body = Object.assign(new V1Secret(), { metadata, type: 'Opaque', data: encode(data) });
      return (await send((options) => core.createNamespacedSecret({ namespace, body }, options), 409)) !== undefined;
    },
  };
}

/**
 * Prepares requests to the cluster.
 *
 * @param kubeconfig a file; undefined uses the service account of the pod
 * @throws ConfigError if the kubeconfig or the service account is missing or invalid
 */
export async function openCluster(kubeconfig: NamedFile | undefined, clock: Clock): Promise<Cluster & ClusterSecrets> {
  const client = await import('@kubernetes/client-node');
  const config = loadKubeConfig(kubeconfig, client);
  const core = config.makeApiClient(client.CoreV1Api);
  const rbac = config.makeApiClient(client.RbacAuthorizationV1Api);
  const send = makeSend(client, clock);
  return {
    watchConfigMap: (configMap, { onData, onConfirmed, onTrouble, onWatchFailure }) =>
      watchConfigMap(
        makeConfigMapApi(configMap, config, core, client),
        {
          onData,
          onConfirmed,
          onError: (error) =>
            onTrouble({ reason: explainError(error), isForbidden: FORBIDDEN.includes(getStatus(error)) }),
          onWatchFailure: (error) => {
            onWatchFailure(error === undefined ? 'its connection has died' : explainError(error));
          },
        },
        clock,
      ),
    async ensureNamespace(name, annotations) {
      if ((await send((options) => core.readNamespace({ name }, options), 404)) !== undefined) return;
      const metadata = { name, annotations: { ...annotations }, labels: MANAGED_BY };
      const body = Object.assign(new client.V1Namespace(), { metadata });
      await send((options) => core.createNamespace({ body }, options), 409);
    },
    ...makeRoleBindingMethods(rbac, client, send),
    ...makeSecretMethods(core, client, send),
  };
}
