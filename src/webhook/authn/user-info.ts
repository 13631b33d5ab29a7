/** Maps the owner of a Keystone token to a Kubernetes user: user name, UID, groups and extra. */
import type { TokenVerdict, UserInfo } from '../review/review.ts';
import { applyRoleMappings } from './role-mappings.ts';
import type { RoleMapping } from './role-mappings.ts';
import type { KeystoneGroup, TokenOwner } from './token-owner.ts';

/** Prefix of all extra keys of this webhook, by which RBAC, audit and the policy recognize a Keystone user. */
export const EXTRA_PREFIX = 'alpha.kubernetes.io/identity/';

/** The extra keys, with the names that the Go program uses. */
export const EXTRA_KEYS = {
  roles: `${EXTRA_PREFIX}roles`,
  projectId: `${EXTRA_PREFIX}project/id`,
  projectName: `${EXTRA_PREFIX}project/name`,
  domainId: `${EXTRA_PREFIX}user/domain/id`,
  domainName: `${EXTRA_PREFIX}user/domain/name`,
} as const;

/** How Kubernetes names are made from Keystone names. */
export interface NamingRules {
  /** `%n` the name, `%i` the ID, `%D` the name of the domain, `%d` its ID. */
  readonly usernameFormat: string;
  /** `%n` the name, `%i` the ID, `%d` the ID of the domain. */
  readonly groupFormat: string;
  readonly roleMappings: readonly RoleMapping[];
  /** Whether names from {@link RoleMapping}s, which the operator writes, may begin with `system:`. */
  readonly allowsMappedSystemNames: boolean;
}

/** Replaces each `%x` by the part of that letter, in one pass: a `%i` inside an inserted name stays as it is. */
export function fillFormat(format: string, parts: Readonly<Record<string, string>>): string {
  return format.replace(/%([a-zA-Z])/g, (placeholder, letter: string) =>
    Object.hasOwn(parts, letter) ? (parts[letter] ?? placeholder) : placeholder,
  );
}

/** Whether Kubernetes reserves the name for itself; a name that comes from Keystone must never be one of these. */
export const isSystemName = (name: string): boolean => name.startsWith('system:');

/** A user and the names that were dropped from it, or the reason why the token is refused. */
export type UserInfoResult =
  { readonly userInfo: UserInfo; readonly droppedNames: readonly string[] } | { reason: string };

/** The verdict on a token whose owner was mapped to a user. */
export function makeVerdict(result: UserInfoResult): TokenVerdict {
  return 'reason' in result
    ? { kind: 'refused', reason: result.reason }
    : { kind: 'accepted', userInfo: result.userInfo };
}

/** Makes the Kubernetes user for the owner of a token. */
export function mapOwnerToUserInfo(
  owner: TokenOwner,
  groups: readonly KeystoneGroup[],
  naming: NamingRules,
): UserInfoResult {
  const { user, userDomain, project, roles } = owner;
  const keystoneUsername = fillFormat(naming.usernameFormat, {
    n: user.name,
    i: user.id,
    D: userDomain.name,
    d: userDomain.id,
  });
  if (isSystemName(keystoneUsername)) return { reason: 'its user name begins with "system:"' };
  const mapped = applyRoleMappings(naming.roleMappings, roles);
  const username = mapped.username ?? keystoneUsername;
  if (isSystemName(username) && !naming.allowsMappedSystemNames)
    return { reason: 'its mapped user name begins with "system:"' };
  const keystoneGroups = groups.map((group) =>
    fillFormat(naming.groupFormat, { n: group.name, i: group.id, d: group.domainId }),
  );
  const unmappedNames = [...keystoneGroups, project.id];
  const candidates = [...new Set([...unmappedNames.filter((name) => !isSystemName(name)), ...mapped.groups])];
  const groupNames = naming.allowsMappedSystemNames ? candidates : candidates.filter((name) => !isSystemName(name));
  const droppedNames = [...new Set([...unmappedNames, ...mapped.groups])].filter((name) => !groupNames.includes(name));
  return {
    userInfo: {
      username,
      uid: user.id,
      groups: groupNames,
      extra: {
        [EXTRA_KEYS.roles]: roles,
        [EXTRA_KEYS.projectId]: [project.id],
        [EXTRA_KEYS.projectName]: [project.name],
        [EXTRA_KEYS.domainId]: [userDomain.id],
        [EXTRA_KEYS.domainName]: [userDomain.name],
      },
    },
    droppedNames,
  };
}
