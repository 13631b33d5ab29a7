import type { Compatibilities } from './compatibility.ts';
import type { FindingReporter } from './finding.ts';
import type { JsonMember, JsonObjectTree } from './json-tree.ts';
import { InvalidPolicyError } from './policy-error.ts';
import { isAbsent, readTexts } from './policy-members.ts';
import type { Audience } from './permissions.ts';

const NAMES = ['roles', 'projects', 'domains'] as const;

/** Names by which an author says that a member is a comment. */
const COMMENT = /^(?:[_#$]|\/\/|x-|(?:comment|description|note|remark|reason)s?$)/i;

const EVERYONE: Audience = { includes: () => true };

/**
 * Compiles `users`: matches subjects that have every role and any project that it lists, and who belong to any of its
 * domains if it lists some. Without `users` an entry is for every subject.
 *
 * @throws InvalidPolicyError if `users` has a wrong type, because without it the entry would be for every subject
 */
export function compileUsers(
  users: JsonMember | undefined,
  compatibilities: Compatibilities,
  report: FindingReporter,
): Audience {
  if (users === undefined) return EVERYONE;
  if (isAbsent(users)) {
    report('odd', '"users" is null, so the entry is for every user', users.at);
    return EVERYONE;
  }
  if (users.value.kind === 'object') return compileRestriction(users.value, users.at, compatibilities, report);
  // As in the Go program, which skips what it cannot read.
  if (compatibilities.has('wrong-users')) return EVERYONE;
  throw new InvalidPolicyError('"users" must be an object with "roles" and "projects"', users.value.at);
}

/** The strings of a list; with `wrong-users` as many as there are, as in the Go program. */
function readNames(member: JsonMember | undefined, compatibilities: Compatibilities): readonly string[] {
  try {
    return readTexts(member).map(({ text }) => text);
  } catch (error) {
    if (!(error instanceof InvalidPolicyError) || !compatibilities.has('wrong-users')) throw error;
    const items = member?.value.kind === 'list' ? member.value.items : [];
    return items.flatMap((item) => (item.kind === 'text' ? item.text : []));
  }
}

/** To ignore an unknown restriction would grant too much. */
function reportUnknownRestrictions(unknown: readonly JsonMember[], report: FindingReporter): void {
  for (const { name, at } of unknown) {
    if (COMMENT.test(name)) report('odd', `"${name}" is unknown and ignored`, at);
    else
      report(
        'unknown-in-users',
        `"users" contains "${name}", which is unknown, so the entry is for no one; the Go program ignores it`,
        at,
      );
  }
}

function compileRestriction(
  users: JsonObjectTree,
  at: number,
  compatibilities: Compatibilities,
  report: FindingReporter,
): Audience {
  // Unlike other names, these are keys of a map in Go, which does not ignore capitals there.
  const memberAt = (wanted: (typeof NAMES)[number]): JsonMember | undefined =>
    users.members.find(({ name }) => name === wanted);
  const roles = readNames(memberAt('roles'), compatibilities);
  const projects = readNames(memberAt('projects'), compatibilities);
  const domainsMember = memberAt('domains');
  const domains = readTexts(domainsMember).map(({ text }) => text);
  const hasDomains = domainsMember !== undefined && !isAbsent(domainsMember);
  const unknown = users.members.filter((member) => !NAMES.some((name) => name === member.name));
  reportUnknownRestrictions(unknown, report);
  if (projects.length === 0) {
    report('never', '"users" without "projects" matches no user', at);
    return { includes: () => false, projects: new Set() };
  }
  if ([...roles, ...projects].includes('')) {
    report('empty-name', '"users" contains "", which matches nothing; in the Go program, it matched empty names', at);
  }
  if ([...roles, ...projects, ...domains].includes('*')) {
    report('odd', '"users" contains "*", which is a name there and does not stand for all names', at);
  }
  if (hasDomains) {
    report('users-domains', '"users" is restricted to "domains", which the Go program ignores', domainsMember.at);
  }
  return {
    includes: (subject) =>
      roles.every((role) => subject.roles.has(role)) &&
      projects.some((project) => subject.projects.has(project)) &&
      (!hasDomains || domains.some((domain) => subject.domains.has(domain))),
    projects: new Set(projects),
  };
}
