/** What a role of Keystone's gives in the cluster beside what it has anyway. */
export interface RoleMapping {
  readonly role: string;
  readonly username: string | undefined;
  readonly groups: readonly string[];
}

/** The groups of all mappings that apply, and the user name of the last of them that has one. */
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
