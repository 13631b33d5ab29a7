/** The cluster's own API, as far as ConfigMaps and synchronisation need it. */
import { existsSync } from 'node:fs';
import type { V1ConfigMap } from '@kubernetes/client-node';
import { ConfigError } from '../../shared/base/errors.ts';

/** A RoleBinding that gives one user a ClusterRole in a namespace. */
export interface RoleBinding {
  readonly name: string;
  readonly role: string;
  readonly username: string;
}

/** What a ConfigMap holds; undefined where there is none. */
export type ConfigMapData = ReadonlyMap<string, string> | undefined;

export interface Cluster {
  /**
   * Follows a ConfigMap until closed: what it holds at first, and after each change.
   *
   * @param onTrouble what keeps it from being read for the moment
   */
  watchConfigMap(
    place: { readonly namespace: string; readonly name: string },
    onData: (data: ConfigMapData) => void,
    onTrouble: (reason: string) => void,
  ): () => void;
  /** Makes the namespace where it is absent. */
  ensureNamespace(name: string, annotations: Readonly<Record<string, string>>): Promise<void>;
  listRoleBindings(namespace: string): Promise<readonly RoleBinding[]>;
  /** Makes the binding where it is absent. */
  ensureRoleBinding(namespace: string, binding: RoleBinding): Promise<void>;
  deleteRoleBinding(namespace: string, name: string): Promise<void>;
}

const MANAGED_BY = { 'app.kubernetes.io/managed-by': 'k8s-keystone-auth' };
const RBAC = 'rbac.authorization.k8s.io';
const POD_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';
const SHORTEST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if ('code' in error && typeof error.code === 'number') return error.code;
  return 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : undefined;
}

/** Without the message, in which the library quotes whatever came. */
function describe(error: unknown): string {
  const status = statusOf(error);
  if (status !== undefined) return `the API server answered ${status}`;
  const cause = error instanceof Error ? error.cause : undefined;
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  return `the API server cannot be reached${typeof code === 'string' ? ` (${code})` : ''}`;
}

/** A request to the cluster that failed, in words that quote nothing. */
export class ClusterError extends Error {}

/** Calls, and takes a status that says that it is done already for an answer. */
async function attempt<T>(work: () => Promise<T>, done: number | undefined): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (done !== undefined && statusOf(error) === done) return undefined;
    throw new ClusterError(describe(error));
  }
}

function dataOf(map: V1ConfigMap | undefined): ConfigMapData {
  return map === undefined ? undefined : new Map(Object.entries(map.data ?? {}));
}

/**
 * Opens the way to the cluster.
 *
 * @param kubeconfig a file; undefined means the account of the pod that we run in
 * @throws ConfigError where there is none
 */
export async function openCluster(kubeconfig: string | undefined): Promise<Cluster> {
  const { CoreV1Api, KubeConfig, RbacAuthorizationV1Api, V1Namespace, V1RoleBinding, Watch } =
    await import('@kubernetes/client-node');
  const config = new KubeConfig();
  try {
    if (kubeconfig === undefined) {
      // It would take "undefined" for the name of the server.
      if (!existsSync(POD_TOKEN)) throw new Error('no pod');
      config.loadFromCluster();
    } else config.loadFromFile(kubeconfig);
    if (config.getCurrentCluster() === null) throw new Error('no cluster');
  } catch {
    throw new ConfigError(
      kubeconfig === undefined
        ? 'there is no account of a pod here'
        : `${kubeconfig} says of no cluster how to reach it`,
      { hint: 'set --kubeconfig (KEYSTONE_KUBECONFIG_FILE) to a kubeconfig' },
    );
  }
  const core = config.makeApiClient(CoreV1Api);
  const rbac = config.makeApiClient(RbacAuthorizationV1Api);

  function follow(
    { namespace, name }: { readonly namespace: string; readonly name: string },
    onData: (data: ConfigMapData) => void,
    onTrouble: (reason: string) => void,
  ): () => void {
    const fieldSelector = `metadata.name=${name}`;
    let seen: string | undefined;
    let closed = false;
    let controller: AbortController | undefined;
    let timer: NodeJS.Timeout | undefined;
    let waitMs = SHORTEST_WAIT_MS;

    const tell = (map: V1ConfigMap | undefined): void => {
      // A watch is begun anew every now and then, and then says the same again.
      const version = map?.metadata?.resourceVersion ?? 'absent';
      if (version === seen || closed) return;
      seen = version;
      onData(dataOf(map));
    };
    const again = (): void => {
      if (closed) return;
      timer = setTimeout(() => void round(), waitMs);
    };
    const fail = (error: unknown): void => {
      if (closed) return;
      onTrouble(describe(error));
      waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2);
      again();
    };
    const round = async (): Promise<void> => {
      try {
        const list = await core.listNamespacedConfigMap({ namespace, fieldSelector });
        tell(list.items.find((map) => map.metadata?.name === name));
        waitMs = SHORTEST_WAIT_MS;
        const resourceVersion = list.metadata?.resourceVersion;
        controller = await new Watch(config).watch(
          `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps`,
          { fieldSelector, resourceVersion, allowWatchBookmarks: true },
          (phase, map: V1ConfigMap) => {
            if (phase === 'ADDED' || phase === 'MODIFIED') tell(map);
            if (phase === 'DELETED') tell(undefined);
          },
          again,
        );
        if (closed) controller.abort();
      } catch (error) {
        fail(error);
      }
    };
    void round();
    return () => {
      closed = true;
      clearTimeout(timer);
      controller?.abort();
    };
  }

  return {
    watchConfigMap: follow,
    async ensureNamespace(name, annotations) {
      const found = await attempt(() => core.readNamespace({ name }), 404);
      if (found !== undefined) return;
      const metadata = { name, annotations: { ...annotations }, labels: MANAGED_BY };
      const body = Object.assign(new V1Namespace(), { metadata });
      await attempt(() => core.createNamespace({ body }), 409);
    },
    async listRoleBindings(namespace) {
      const list = await attempt(() => rbac.listNamespacedRoleBinding({ namespace }), undefined);
      return (list?.items ?? []).flatMap(({ metadata, roleRef, subjects = [] }) => {
        const [subject, ...others] = subjects;
        const ours = roleRef.kind === 'ClusterRole' && subject?.kind === 'User' && others.length === 0;
        return ours ? [{ name: metadata?.name ?? '', role: roleRef.name, username: subject.name }] : [];
      });
    },
    async ensureRoleBinding(namespace, { name, role, username }) {
      const body = Object.assign(new V1RoleBinding(), {
        metadata: { name, labels: MANAGED_BY },
        roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: role },
        subjects: [{ apiGroup: RBAC, kind: 'User', name: username }],
      });
      await attempt(() => rbac.createNamespacedRoleBinding({ namespace, body }), 409);
    },
    async deleteRoleBinding(namespace, name) {
      await attempt(() => rbac.deleteNamespacedRoleBinding({ namespace, name }), 404);
    },
  };
}
