/**
 * A real cluster without nodes, for tests of the whole chain: kubectl → the plugin → Keystone → kube-apiserver → the
 * webhook → Keystone.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { findEachKubernetes } from '../../scripts/kubernetes/find-kubernetes.ts';
import type { KubernetesPrograms } from '../../scripts/kubernetes/find-kubernetes.ts';
import { makeAdminToken, renderKubeconfig, startKubeApiserver } from '../../scripts/kubernetes/kube-apiserver.ts';
import type { KubeApiserver, KubeApiserverOptions } from '../../scripts/kubernetes/kube-apiserver.ts';
import { readMinor } from '../../scripts/kubernetes/versions.ts';
import { collectResult } from '../../scripts/lib/child-result.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { makeEnvironment, makeTestHome } from './home.ts';
import type { Home } from './home.ts';
import { asAliceOnDemo } from './login-settings.ts';
import { requireKubectl, skipBecause } from './missing-tools.ts';
import { makeIsolatedCommand, PLUGIN_PATH } from './run-plugin.ts';
import type { RunResult } from './run-plugin.ts';
import { writeKubeconfig } from './stand-in-api-server.ts';
import { testWithKeystone } from './test-environment.ts';
import type { TestEnvironment } from './test-environment.ts';
import { waitUntil } from './wait-until.ts';
import { makeTestFolder } from './webhook-settings.ts';

/** The programs of one version of Kubernetes. */
export interface ClusterPrograms {
  readonly kubernetes: KubernetesPrograms;
  /** The minor version of the API server, such as 36. */
  readonly minor: number;
  readonly kubectl: string;
}

/** The place of a cluster that is about to start. A webhook that reads ConfigMaps has to know it first. */
export interface ClusterPlace {
  readonly folder: string;
  readonly port: number;
  readonly adminToken: string;
  /** The administrator's. */
  readonly kubeconfig: string;
}

/** A cluster, and alice, who uses it. */
export interface Cluster extends KubeApiserver {
  readonly home: Home;
  /** Alice's. */
  readonly kubeconfig: string;
  /** Alice's. */
  readonly env: Readonly<Record<string, string>>;
  /** Creates an object as the administrator. */
  readonly create: (path: string, body: object) => Promise<void>;
  /** Runs kubectl as alice. */
  readonly kubectl: (...args: readonly string[]) => Promise<RunResult>;
  /** Runs kubectl until she is authenticated: on a busy machine, Keystone may be too slow for the webhook. */
  readonly kubectlAuthenticated: (...args: readonly string[]) => Promise<RunResult>;
  readonly canGetPods: (namespace: string) => Promise<boolean>;
}

/**
 * Declares a test for each version of kube-apiserver. It is skipped by name for a version that is not built, except in
 * CI.
 *
 * @param oldest the oldest minor version that the test applies to
 */
export async function testOnEachKubernetes(
  name: string,
  body: (t: Test, environment: TestEnvironment, programs: ClusterPrograms) => Promise<void>,
  { oldest = 0 }: { readonly oldest?: number } = {},
): Promise<void> {
  const kubectl = await requireKubectl('new');
  for (const kubernetes of await findEachKubernetes(() => undefined)) {
    const minor = readMinor(kubernetes.version);
    if (minor < oldest) continue;
    const title = `kube-apiserver ${kubernetes.version}: ${name}`;
    const skip = 'missing' in kubernetes ? skipBecause(kubernetes.missing) : 'missing' in kubectl && kubectl.missing;
    if ('missing' in kubernetes || 'missing' in kubectl) void t.test(title, { skip }, () => undefined);
    else
      testWithKeystone(title, (t, environment) => body(t, environment, { kubernetes, minor, kubectl: kubectl.path }));
  }
}

/** Chooses where a cluster will be. */
export async function chooseClusterPlace(t: Test, { pki }: TestEnvironment): Promise<ClusterPlace> {
  const [folder, port, adminToken] = [makeTestFolder(t), await findFreePort(), makeAdminToken()];
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, renderKubeconfig(`https://127.0.0.1:${port}`, pki.ca, adminToken), { mode: 0o600 });
  return { folder, port, adminToken, kubeconfig };
}

/** Starts a cluster, which is stopped after the test. */
export async function startCluster(
  t: Test,
  environment: TestEnvironment,
  { kubernetes, kubectl }: ClusterPrograms,
  settings: Pick<KubeApiserverOptions, 'webhookPort' | 'cacheSeconds' | 'accessCacheSeconds' | 'flags'> & {
    readonly place: ClusterPlace;
  },
): Promise<Cluster> {
  const { folder, port, adminToken } = settings.place;
  const { pki, tenancy, http } = environment;
  const options = { ...settings, programs: kubernetes, dir: join(folder, 'cluster'), pki, port };
  const apiServer = await startKubeApiserver(options, adminToken);
  t.teardown(() => apiServer.stop());
  const home = makeTestHome(t);
  const kubeconfig = join(home.path, 'kubeconfig');
  await writeKubeconfig({ path: kubeconfig, server: apiServer.url, ca: pki.ca, command: PLUGIN_PATH });
  const env = makeEnvironment(home, {
    PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
    OS_AUTH_URL: `${http.url}/v3`,
    ...asAliceOnDemo(tenancy),
  });
  const run: Cluster['kubectl'] = async (...args) => {
    const [file, words, isolated] = makeIsolatedCommand(kubectl, ['--kubeconfig', kubeconfig, ...args], env);
    const child = spawn(file, words, {
      ...isolated,
      cwd: home.path,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return collectResult(child);
  };
  return {
    ...apiServer,
    home,
    kubeconfig,
    env,
    create: async (path, body) => {
      const { status } = await apiServer.request(path, { method: 'POST', body });
      t.equal(status, 201, `POST ${path}`);
    },
    kubectl: run,
    kubectlAuthenticated: async (...args) => {
      let result = await run(...args);
      await waitUntil('the user is authenticated', async () => {
        const isAuthenticated = !/Unauthorized|must be logged in/.test(result.stderr);
        if (!isAuthenticated) result = await run(...args);
        return isAuthenticated;
      });
      return result;
    },
    canGetPods: async (namespace) => (await run('get', 'pods', '-n', namespace)).status === 0,
  };
}

/** Makes a ConfigMap. */
export function makeConfigMap(name: string, data: Readonly<Record<string, string>>): object {
  return { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name }, data };
}

/** Lets somebody get and list pods of a namespace by RBAC, with a Role of this test. */
export async function allowReading(
  { create }: Pick<Cluster, 'create'>,
  namespace: string,
  subject: { readonly kind: 'Group' | 'User'; readonly name: string },
): Promise<void> {
  const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
  const name = `see-${randomUUID()}`;
  await create(`${rbac}/roles`, {
    metadata: { name },
    rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] }],
  });
  await create(`${rbac}/rolebindings`, {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', ...subject }],
  });
}
