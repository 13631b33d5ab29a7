/** Maps the owner of a Keystone token to a Kubernetes user: user name, UID, groups and extra. */
import type { RefusalCause, TokenVerdict, UserInfo } from '../review/review.ts';
import { findReservedPrefix, formatName, looksLikeProjectId } from './kubernetes-name.ts';
import type { AllowedNames } from './kubernetes-name.ts';
import { applyRoleMappings } from './role-mappings.ts';
import type { RoleMapping } from './role-mappings.ts';
import type { KeystoneGroup, TokenOwner } from './token-owner.ts';

/** Prefix of all extra keys of this webhook, by which RBAC, audit and the policy recognize a Keystone user. */
export const EXTRA_PREFIX = 'alpha.kubernetes.io/identity/';

/**
 * The same for users whose token the API server verifies itself: its AuthenticationConfiguration cannot set keys below
 * `kubernetes.io`.
 */
export const MAPPED_EXTRA_PREFIX = 'identity.openstack.org/';

/** The ends of the extra keys, with the names that the Go program uses. */
export const EXTRA_NAMES = {
  roles: 'roles',
  projectId: 'project/id',
  projectName: 'project/name',
  domainId: 'user/domain/id',
  domainName: 'user/domain/name',
} as const;

/** The extra keys of this webhook. */
export const EXTRA_KEYS = {
  roles: `${EXTRA_PREFIX}${EXTRA_NAMES.roles}`,
  projectId: `${EXTRA_PREFIX}${EXTRA_NAMES.projectId}`,
  projectName: `${EXTRA_PREFIX}${EXTRA_NAMES.projectName}`,
  domainId: `${EXTRA_PREFIX}${EXTRA_NAMES.domainId}`,
  domainName: `${EXTRA_PREFIX}${EXTRA_NAMES.domainName}`,
} as const;

/** How Kubernetes names are made from Keystone names. */
export interface NamingRules {
  /** `%n` the name, `%i` the ID, `%D` the name of the domain, `%d` its ID. */
  readonly usernameFormat: string;
  /** `%n` the name, `%i` the ID, `%d` the ID of the domain. */
  readonly groupFormat: string;
  readonly roleMappings: readonly RoleMapping[];
  readonly allowedNames: AllowedNames;
  /** Whether names from {@link RoleMapping}s, which the operator writes, may begin with `system:`. */
  readonly allowsMappedSystemNames: boolean;
}

/** Whether only Kubernetes itself may give a name; of the reserved names, role mappings may give the others. */
const isSystemName = (name: string): boolean => name.startsWith('system:');

/** A user and the names that were dropped from it, or the reason why the token is refused. */
export type UserInfoResult =
  | { readonly userInfo: UserInfo; readonly droppedNames: readonly string[] }
  | { readonly cause: RefusalCause; readonly reason: string };

/** The verdict on a token whose owner was mapped to a user. */
export function makeVerdict(result: UserInfoResult): TokenVerdict {
  return 'reason' in result
    ? { kind: 'refused', cause: result.cause, reason: result.reason }
    : { kind: 'accepted', userInfo: result.userInfo };
}

/** The names of a user's groups that Keystone gives, and those that are dropped. */
function nameGroups(
  { project }: TokenOwner,
  groups: readonly KeystoneGroup[],
  { groupFormat, allowedNames }: NamingRules,
): { readonly names: readonly string[]; readonly dropped: readonly string[] } {
  const names: string[] = [];
  const dropped: string[] = [];
  for (const { name, id, domainId } of groups) {
    const group = formatName(groupFormat, { n: name, i: id, d: domainId }, allowedNames);
    // The name of a group must not give the rights of another project, whose ID is a group too.
    const isUsable = group.problem === undefined && (group.name !== name || !looksLikeProjectId(name));
    (isUsable ? names : dropped).push(group.name);
  }
  (findReservedPrefix(project.id) === undefined ? names : dropped).push(project.id);
  return { names, dropped };
}

/** Makes the Kubernetes user for the owner of a token. */
export function mapOwnerToUserInfo(
  owner: TokenOwner,
  groups: readonly KeystoneGroup[],
  naming: NamingRules,
): UserInfoResult {
  const { user, userDomain, project, roles } = owner;
  const parts = { n: user.name, i: user.id, D: userDomain.name, d: userDomain.id };
  const keystoneUsername = formatName(naming.usernameFormat, parts, naming.allowedNames);
  if (keystoneUsername.problem !== undefined)
    return { cause: 'user-name', reason: `its user name ${keystoneUsername.problem}` };
  const mapped = applyRoleMappings(naming.roleMappings, roles);
  const username = mapped.username ?? keystoneUsername.name;
  if (isSystemName(username) && !naming.allowsMappedSystemNames)
    return { cause: 'user-name', reason: 'its mapped user name begins with "system:"' };
  const keystoneGroups = nameGroups(owner, groups, naming);
  const isForbidden = (name: string): boolean => isSystemName(name) && !naming.allowsMappedSystemNames;
  const groupNames = new Set([...keystoneGroups.names, ...mapped.groups.filter((name) => !isForbidden(name))]);
  const dropped = new Set([...keystoneGroups.dropped, ...mapped.groups.filter(isForbidden)]);
  return {
    userInfo: {
      username,
      uid: user.id,
      groups: [...groupNames],
      extra: {
        [EXTRA_KEYS.roles]: roles,
        [EXTRA_KEYS.projectId]: [project.id],
        [EXTRA_KEYS.projectName]: [project.name],
        [EXTRA_KEYS.domainId]: [userDomain.id],
        [EXTRA_KEYS.domainName]: [userDomain.name],
      },
    },
    droppedNames: [...dropped].filter((name) => !groupNames.has(name)),
  };
}
