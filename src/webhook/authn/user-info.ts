/** Who a Keystone token's owner is in the cluster: user name, uid, groups and extra. */
import { isJsonObject, listAt, objectAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { applyRoleMappings } from './role-mappings.ts';
import type { RoleMapping } from './role-mappings.ts';

/** `UserInfo` of authentication.k8s.io. */
export interface UserInfo {
  readonly username: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** What all extra of ours begins with, so that the cluster's RBAC and audit can tell it. */
export const EXTRA_PREFIX = 'alpha.kubernetes.io/identity/';

/** Names of the extra, as the Go program chose them. */
export const EXTRA_KEYS = {
  roles: `${EXTRA_PREFIX}roles`,
  projectId: `${EXTRA_PREFIX}project/id`,
  projectName: `${EXTRA_PREFIX}project/name`,
  domainId: `${EXTRA_PREFIX}user/domain/id`,
  domainName: `${EXTRA_PREFIX}user/domain/name`,
} as const;

export interface KeystoneEntity {
  readonly id: string;
  readonly name: string;
}

/** A group of Keystone's; of its domain it tells the id alone. */
export interface KeystoneGroup extends KeystoneEntity {
  readonly domainId: string;
}

/** What Keystone says of a token that is for a project (Keystone API v3, "Validate and show information for token"). */
export interface TokenOwner {
  readonly user: KeystoneEntity;
  readonly userDomain: KeystoneEntity;
  readonly project: KeystoneEntity;
  readonly projectDomain: KeystoneEntity;
  readonly roles: readonly string[];
}

function readNamed(value: JsonObject | undefined): KeystoneEntity | undefined {
  const id = textAt(value, 'id');
  const name = textAt(value, 'name');
  return id === undefined || id === '' || name === undefined || name === '' ? undefined : { id, name };
}

/**
 * Reads the owner of a token.
 *
 * @param facts the member `token` of Keystone's answer
 * @returns in words why the cluster cannot take it, where it is not for a project
 */
export function readTokenOwner(facts: JsonObject): TokenOwner | string {
  const user = readNamed(objectAt(facts, 'user'));
  const userDomain = readNamed(objectAt(objectAt(facts, 'user'), 'domain'));
  if (user === undefined || userDomain === undefined) return 'Keystone does not say whose token it is';
  const place = objectAt(facts, 'project');
  const project = readNamed(place);
  const projectDomain = readNamed(objectAt(place, 'domain'));
  if (project === undefined || projectDomain === undefined) {
    if (objectAt(facts, 'domain') !== undefined) return 'the token is for a domain; it must be for a project';
    if (objectAt(facts, 'system') !== undefined) return 'the token is for the system; it must be for a project';
    return 'the token has no scope; it must be for a project';
  }
  // A project that is a domain: what a domain-scoped token looks like to an older Keystone.
  if (facts['is_domain'] === true) return 'the token is for a domain; it must be for a project';
  const roles = listAt(facts, 'roles').flatMap((role) => (isJsonObject(role) ? (textAt(role, 'name') ?? []) : []));
  return { user, userDomain, project, projectDomain, roles };
}

/** Reads the groups in the answer to "List groups to which a user belongs" (Keystone API v3). */
export function readKeystoneGroups(body: JsonObject | undefined): readonly KeystoneGroup[] {
  return listAt(body, 'groups').flatMap((entry) => {
    const group = isJsonObject(entry) ? readNamed(entry) : undefined;
    if (group === undefined || !isJsonObject(entry)) return [];
    return [{ ...group, domainId: textAt(entry, 'domain_id') ?? '' }];
  });
}

/** How names are made that the cluster shall see. */
export interface NamingRules {
  /** `%n` the name, `%i` the id, `%D` the name of the domain, `%d` its id. */
  readonly usernameFormat: string;
  /** `%n` the name, `%i` the id, `%d` the id of the domain. */
  readonly groupFormat: string;
  readonly roleMappings: readonly RoleMapping[];
  /** Whether names that {@link RoleMapping}s give may begin with `system:`; the operator wrote those. */
  readonly allowsMappedSystemNames: boolean;
}

/** Replaces `%x` by the part of that letter, all at once, so that a name that holds `%i` stays what it is. */
export function fillFormat(format: string, parts: Readonly<Record<string, string>>): string {
  return format.replace(/%([a-zA-Z])/g, (whole, letter: string) =>
    Object.hasOwn(parts, letter) ? (parts[letter] ?? whole) : whole,
  );
}

/** Kubernetes' own users and groups: whoever may name things in Keystone must not become one of them. */
export const isReserved = (name: string): boolean => name.startsWith('system:');

/** An identity, and the names that were dropped from it; or why there is none. */
export type UserInfoResult =
  { readonly userInfo: UserInfo; readonly droppedNames: readonly string[] } | { reason: string };

/** Makes the cluster's identity of a token's owner. */
export function mapOwnerToUserInfo(
  owner: TokenOwner,
  groups: readonly KeystoneGroup[],
  naming: NamingRules,
): UserInfoResult {
  const { user, userDomain, project, roles } = owner;
  const own = fillFormat(naming.usernameFormat, {
    n: user.name,
    i: user.id,
    D: userDomain.name,
    d: userDomain.id,
  });
  const named = groups.map((group) =>
    fillFormat(naming.groupFormat, { n: group.name, i: group.id, d: group.domainId }),
  );
  if (isReserved(own)) return { reason: 'its user name begins with "system:"' };
  const mapped = applyRoleMappings(naming.roleMappings, roles);
  const username = mapped.username ?? own;
  if (isReserved(username) && !naming.allowsMappedSystemNames)
    return { reason: 'its mapped user name begins with "system:"' };
  const given = [...named, project.id];
  const wanted = [...new Set([...given.filter((name) => !isReserved(name)), ...mapped.groups])];
  const kept = naming.allowsMappedSystemNames ? wanted : wanted.filter((name) => !isReserved(name));
  const droppedNames = [...new Set([...given, ...mapped.groups])].filter((name) => !kept.includes(name));
  return {
    userInfo: {
      username,
      uid: user.id,
      groups: kept,
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
