/**
 * The user name and groups that a Keystone role gives in the cluster, in addition to those it gives without a
 * mapping.
 */
export interface RoleMapping {
  readonly role: string;
  readonly username: string | undefined;
  readonly groups: readonly string[];
}

/** Returns the groups of all mappings that apply, and the user name of the last one that has a user name. */
export function applyRoleMappings(
  mappings: readonly RoleMapping[],
  roles: readonly string[],
): { readonly username: string | undefined; readonly groups: readonly string[] } {
  const matching = mappings.filter(({ role }) => roles.includes(role));
  return {
    username: matching.findLast(({ username }) => username !== undefined)?.username,
    groups: matching.flatMap(({ groups }) => groups),
  };
}
