/**
 * Creates a namespace for the project of each authenticated user, and a RoleBinding in it for each role of the user.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { TokenOwner } from '../authn/token-owner.ts';
import { fillFormat, findReservedPrefix } from '../authn/kubernetes-name.ts';
import { ClusterError } from '../sources/cluster-error.ts';
import type { Cluster, RoleBinding } from '../sources/cluster.ts';
import type { SyncConfig } from './sync-config.ts';

export interface SynchronizerSettings {
  readonly cluster: Cluster;
  /** Returns the current configuration. */
  readonly config: () => SyncConfig;
  readonly clock: Clock;
  readonly onSynchronized: () => void;
  readonly onFailed: (reason: string) => void;
  readonly onSkipped: (what: string) => void;
}

/** Synchronizes the project and the roles of a user; never fails, and resolves after one second at the latest. */
export type Synchronizer = (owner: TokenOwner, username: string) => Promise<void>;

/** A label as in RFC 1123, 2.1: what Kubernetes allows as the name of a namespace. */
const LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** Namespaces that belong to the cluster itself. */
const CLUSTER_NAMESPACE = /^(?:default|kube-.*)$/;

/** How long a review waits for the synchronization, so that the first `kubectl` finds its namespace. */
const MAX_WAIT_MS = 1_000;

/** The namespace of a project: by the format, or else its ID; undefined if neither is a valid name. */
export function chooseNamespace({ project, userDomain }: TokenOwner, format: string): string | undefined {
  const formatted = fillFormat(format, { i: project.id, n: project.name, d: userDomain.id });
  return [formatted, project.id].find((name) => LABEL.test(name) && !CLUSTER_NAMESPACE.test(name));
}

/** The RoleBindings of a user, and the roles that cannot have one. */
export function planRoleBindings(
  { user, roles }: TokenOwner,
  username: string,
): { readonly bindings: readonly RoleBinding[]; readonly skippedRoles: readonly string[] } {
  // A name must be valid in a URL path, and roles of the cluster itself must not be granted.
  const isUsable = (role: string): boolean =>
    !/[/%]/.test(role) && role !== '' && findReservedPrefix(role) === undefined;
  return {
    bindings: roles.filter(isUsable).map((role) => ({ name: `${user.id}_${role}`, role, username })),
    skippedRoles: roles.filter((role) => !isUsable(role)),
  };
}

const isSameBinding = (a: RoleBinding, b: RoleBinding): boolean =>
  a.name === b.name && a.role === b.role && a.username === b.username;

async function synchronizeRoleBindings(
  owner: TokenOwner,
  username: string,
  namespace: string,
  { cluster, onSkipped }: SynchronizerSettings,
): Promise<void> {
  const { bindings, skippedRoles } = planRoleBindings(owner, username);
  for (const role of skippedRoles) onSkipped(`role "${role}"`);
  const allBindings = await cluster.listRoleBindings(namespace);
  const existing = allBindings.filter(({ name }) => name.startsWith(`${owner.user.id}_`));
  const isMissingFrom = (list: readonly RoleBinding[], binding: RoleBinding): boolean =>
    !list.some((candidate) => isSameBinding(candidate, binding));
  for (const binding of existing.filter((candidate) => isMissingFrom(bindings, candidate))) {
    await cluster.deleteRoleBinding(namespace, binding.name);
  }
  for (const binding of bindings.filter((candidate) => isMissingFrom(existing, candidate))) {
    await cluster.ensureRoleBinding(namespace, binding);
  }
}

async function synchronize(owner: TokenOwner, username: string, settings: SynchronizerSettings): Promise<void> {
  const { cluster, config, onSynchronized, onFailed, onSkipped } = settings;
  const { syncsProjects, syncsRoleAssignments, namespaceFormat, excludedProjectIds, excludedProjectNames } = config();
  if (!syncsProjects && !syncsRoleAssignments) return;
  const { project } = owner;
  if (excludedProjectIds.includes(project.id) || excludedProjectNames.includes(project.name)) return;
  const namespace = chooseNamespace(owner, namespaceFormat);
  if (namespace === undefined) {
    onSkipped(`project ${project.id}: its ID is not a valid name for a namespace`);
    return;
  }
  try {
    if (syncsProjects) {
      await cluster.ensureNamespace(namespace, {
        'keystone.openstack.org/project-id': project.id,
        'keystone.openstack.org/project-name': project.name,
      });
    }
    if (syncsRoleAssignments) await synchronizeRoleBindings(owner, username, namespace, settings);
    onSynchronized();
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    onFailed(error.message);
  }
}

/** Waits for a promise that never rejects, but not longer than {@link MAX_WAIT_MS}. */
async function waitAtMost(promise: Promise<void>, clock: Clock): Promise<void> {
  let cancelTimer = (): void => undefined;
  const timeout = new Promise<void>((resolve) => {
    cancelTimer = clock.startTimer(MAX_WAIT_MS, resolve);
  });
  await Promise.race([promise, timeout]);
  cancelTimer();
}

/** Makes a synchronizer. */
export function makeSynchronizer(settings: SynchronizerSettings): Synchronizer {
  /** The last synchronization of each user and project. */
  const lastTurns = new Map<string, Promise<void>>();
  return async (owner, username) => {
    const key = `${owner.user.id} ${owner.project.id}`;
    // One after the other: two at the same time would undo each other's changes.
    const turn = (lastTurns.get(key) ?? Promise.resolve())
      .then(() => synchronize(owner, username, settings))
      .catch(() => {
        settings.onFailed('internal error');
      })
      .finally(() => {
        if (lastTurns.get(key) === turn) lastTurns.delete(key);
      });
    lastTurns.set(key, turn);
    await waitAtMost(turn, settings.clock);
  };
}
