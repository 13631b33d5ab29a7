/** A namespace for each project that somebody comes with, and there a RoleBinding for each role that they have. */
import { fillFormat } from '../authn/user-info.ts';
import type { TokenOwner } from '../authn/user-info.ts';
import type { RoleBinding, Cluster } from '../sources/cluster.ts';
import { ClusterError } from '../sources/cluster.ts';
import type { SyncConfig } from './sync-config.ts';

export interface SynchronizerSettings {
  readonly cluster: Cluster;
  /** As of now. */
  readonly config: () => SyncConfig;
  readonly onSynchronized: () => void;
  readonly onFailed: (reason: string) => void;
  readonly onSkipped: (what: string) => void;
}

/** Brings the cluster up to date with a user's project and roles; never fails, and takes no longer than a second. */
export type Synchronizer = (owner: TokenOwner, username: string) => Promise<void>;

/** RFC 1123, 2.1; Kubernetes' names of namespaces. */
const LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** Namespaces of the cluster's own. */
const OWN = /^(?:default|kube-.*)$/;

/** How long a first `kubectl` waits for its namespace. */
const WAIT_MS = 1_000;

/** The namespace of a project: by the format, or the id where that would be none; undefined where neither is. */
export function chooseNamespace({ project, projectDomain }: TokenOwner, format: string): string | undefined {
  const wanted = fillFormat(format, { i: project.id, n: project.name, d: projectDomain.id });
  return [wanted, project.id].find((name) => LABEL.test(name) && !OWN.test(name));
}

/** The bindings that a user is to have; a role that cannot be one is named instead. */
export function planRoleBindings(
  { user, roles }: TokenOwner,
  username: string,
): { readonly bindings: readonly RoleBinding[]; readonly skippedRoles: readonly string[] } {
  // Neither what cannot stand in a path, nor the cluster's own roles.
  const usable = (role: string): boolean => !/[/%]/.test(role) && role !== '' && !role.startsWith('system:');
  return {
    bindings: roles.filter(usable).map((role) => ({ name: `${user.id}_${role}`, role, username })),
    skippedRoles: roles.filter((role) => !usable(role)),
  };
}

/** Makes what synchronises. */
export function makeSynchronizer(settings: SynchronizerSettings): Synchronizer {
  const { cluster, config, onSynchronized, onFailed, onSkipped } = settings;
  const running = new Map<string, Promise<void>>();

  async function bind(owner: TokenOwner, username: string, namespace: string): Promise<void> {
    const { bindings, skippedRoles } = planRoleBindings(owner, username);
    for (const role of skippedRoles) onSkipped(`role "${role}"`);
    const own = (await cluster.listRoleBindings(namespace)).filter(({ name }) => name.startsWith(`${owner.user.id}_`));
    const isSame = (one: RoleBinding, other: RoleBinding): boolean =>
      one.name === other.name && one.role === other.role && one.username === other.username;
    const stale = own.filter((binding) => !bindings.some((one) => isSame(one, binding)));
    for (const { name } of stale) await cluster.deleteRoleBinding(namespace, name);
    for (const binding of bindings.filter((one) => !own.some((has) => isSame(one, has)))) {
      await cluster.ensureRoleBinding(namespace, binding);
    }
  }

  async function synchronise(owner: TokenOwner, username: string): Promise<void> {
    const { syncsProjects, syncsRoleAssignments, namespaceFormat, excludedProjectIds, excludedProjectNames } = config();
    const { project } = owner;
    if (excludedProjectIds.includes(project.id) || excludedProjectNames.includes(project.name)) return;
    const namespace = chooseNamespace(owner, namespaceFormat);
    if (namespace === undefined) {
      onSkipped(`project ${project.id}, whose id is no name for a namespace`);
      return;
    }
    try {
      if (syncsProjects) {
        await cluster.ensureNamespace(namespace, {
          'keystone.openstack.org/project-id': project.id,
          'keystone.openstack.org/project-name': project.name,
        });
      }
      if (syncsRoleAssignments) await bind(owner, username, namespace);
      onSynchronized();
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
