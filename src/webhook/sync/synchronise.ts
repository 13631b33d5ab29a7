/** A namespace for each project that somebody comes with, and there a RoleBinding for each role that they have. */
import { fillFormat } from '../authn/identity.ts';
import type { Owner } from '../authn/identity.ts';
import type { Binding, Cluster } from '../sources/kubernetes.ts';
import { ClusterError } from '../sources/kubernetes.ts';
import type { SyncConfig } from './sync-config.ts';

export interface SynchroniserSettings {
  readonly cluster: Cluster;
  /** As of now. */
  readonly config: () => SyncConfig;
  readonly onDone: () => void;
  readonly onFailed: (reason: string) => void;
  readonly onSkipped: (what: string) => void;
}

/** Brings the cluster up to date with a user's project and roles; never fails, and takes no longer than a second. */
export type Synchronise = (owner: Owner, username: string) => Promise<void>;

/** RFC 1123, 2.1; Kubernetes' names of namespaces. */
const LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** Namespaces of the cluster's own. */
const OWN = /^(?:default|kube-.*)$/;

/** How long a first `kubectl` waits for its namespace. */
const WAIT_MS = 1_000;

/** The namespace of a project: by the format, or the id where that would be none; undefined where neither is. */
export function nameNamespace({ project, projectDomain }: Owner, format: string): string | undefined {
  const wanted = fillFormat(format, { i: project.id, n: project.name, d: projectDomain.id });
  return [wanted, project.id].find((name) => LABEL.test(name) && !OWN.test(name));
}

/** The bindings that a user is to have; a role that cannot be one is named instead. */
export function wantBindings(
  { user, roles }: Owner,
  username: string,
): { readonly wanted: readonly Binding[]; readonly skipped: readonly string[] } {
  // Neither what cannot stand in a path, nor the cluster's own roles.
  const usable = (role: string): boolean => !/[/%]/.test(role) && role !== '' && !role.startsWith('system:');
  return {
    wanted: roles.filter(usable).map((role) => ({ name: `${user.id}_${role}`, role, username })),
    skipped: roles.filter((role) => !usable(role)),
  };
}

/** Makes what synchronises. */
export function makeSynchroniser(settings: SynchroniserSettings): Synchronise {
  const { cluster, config, onDone, onFailed, onSkipped } = settings;
  const running = new Map<string, Promise<void>>();

  async function bind(owner: Owner, username: string, namespace: string): Promise<void> {
    const { wanted, skipped } = wantBindings(owner, username);
    for (const role of skipped) onSkipped(`role "${role}"`);
    const own = (await cluster.listBindings(namespace)).filter(({ name }) => name.startsWith(`${owner.user.id}_`));
    const isSame = (one: Binding, other: Binding): boolean =>
      one.name === other.name && one.role === other.role && one.username === other.username;
    const stale = own.filter((binding) => !wanted.some((one) => isSame(one, binding)));
    for (const { name } of stale) await cluster.removeBinding(namespace, name);
    for (const binding of wanted.filter((one) => !own.some((has) => isSame(one, has)))) {
      await cluster.addBinding(namespace, binding);
    }
  }

  async function synchronise(owner: Owner, username: string): Promise<void> {
    const { projects, roleAssignments, namespaceFormat, excludedIds, excludedNames } = config();
    const { project } = owner;
    if (excludedIds.includes(project.id) || excludedNames.includes(project.name)) return;
    const namespace = nameNamespace(owner, namespaceFormat);
    if (namespace === undefined) {
      onSkipped(`project ${project.id}, whose id is no name for a namespace`);
      return;
    }
    try {
      if (projects) {
        await cluster.ensureNamespace(namespace, {
          'keystone.openstack.org/project-id': project.id,
          'keystone.openstack.org/project-name': project.name,
        });
      }
      if (roleAssignments) await bind(owner, username, namespace);
      onDone();
    } catch (error) {
      if (!(error instanceof ClusterError)) throw error;
      onFailed(error.message);
    }
  }

  return async (owner, username) => {
    const key = `${owner.user.id} ${owner.project.id}`;
    const before = running.get(key) ?? Promise.resolve();
    // One after another for one user and project: two at once would each undo what the other does.
    const turn = before
      .then(() => synchronise(owner, username))
      .catch(() => {
        onFailed('internal error');
      })
      .finally(() => {
        if (running.get(key) === turn) running.delete(key);
      });
    running.set(key, turn);
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, WAIT_MS);
    });
    await Promise.race([turn, enough]);
    clearTimeout(timer);
  };
}
