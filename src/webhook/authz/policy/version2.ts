/** Version 2 of the policy: `resource_permissions` and `nonresource_permissions`, which map keys to verbs. */
import type { PathRequest, ResourceRequest } from '../../review/access-request.ts';
import type { Compatibilities } from './compatibility.ts';
import { reportConnections } from './connections.ts';
import type { FindingReporter } from './finding.ts';
import type { JsonMember } from './json-tree.ts';
import { compileKeyPattern, readKeyPattern } from './key-pattern.ts';
import { reportLostSubresources } from './lost-subresources.ts';
import type { Permissions } from './permissions.ts';
import { readObject, readTexts } from './policy-members.ts';
import { reportPowers } from './powers.ts';
import type { ListedText } from './policy-members.ts';
import { readLowerCaseVerbs, reportVerbs } from './policy-words.ts';

function readVerbs(member: JsonMember, report: FindingReporter): readonly ListedText[] {
  const verbs = readTexts(member);
  if (verbs.length === 0) report('never', `"${member.name}" has no verbs`, member.at);
  return verbs;
}

/** Undefined if one of the sets is, because it stands for every namespace. */
function joinNamespaces(sets: readonly (ReadonlySet<string> | undefined)[]): ReadonlySet<string> | undefined {
  const names = new Set<string>();
  for (const set of sets) {
    if (set === undefined) return undefined;
    for (const name of set) names.add(name);
  }
  return names;
}

/**
 * Compiles `resource_permissions`.
 *
 * @throws InvalidPolicyError
 */
export function compileResourcePermissions(
  member: JsonMember | undefined,
  compatibilities: Compatibilities,
  report: FindingReporter,
): Permissions<ResourceRequest> | undefined {
  const spec = readObject(member);
  if (spec === undefined) return undefined;
  if (spec.members.length === 0) report('never', '"resource_permissions" is empty', spec.at);
  const grants = spec.members.flatMap((grant) => {
    const { name: key, at } = grant;
    const listedVerbs = readVerbs(grant, report);
    const pattern = readKeyPattern(key, at, compatibilities, report);
    if (pattern === undefined) return [];
    const verbs = new Set(readLowerCaseVerbs(listedVerbs, `"${key}"`, report));
    reportLostSubresources(key, at, pattern.resource, compatibilities, report);
    const { matches, namespaces, coversResource } = compileKeyPattern(pattern, compatibilities);
    const reportHere = (kind: 'odd', message: string): void => {
      report(kind, message, at);
    };
    reportConnections(`"${key}"`, verbs, coversResource, reportHere);
    const excludes = pattern.resource.isNegated && pattern.resource.words.length > 0;
    if (excludes) reportPowers(`"${key}"`, verbs, coversResource, reportHere);
    return [{ verbs, matches, namespaces }];
  });
  // The key first: most entries are for other namespaces, which is the cheapest test.
  return {
    allows: (request) =>
      grants.some(({ verbs, matches }) => matches(request) && (verbs.has('*') || verbs.has(request.verb))),
    namespaces: joinNamespaces(grants.map(({ namespaces }) => namespaces)),
  };
}

/**
 * Compiles `nonresource_permissions`, whose keys are whole paths.
 *
 * @throws InvalidPolicyError
 */
export function compileNonresourcePermissions(
  member: JsonMember | undefined,
  report: FindingReporter,
): Permissions<PathRequest> | undefined {
  const spec = readObject(member);
  if (spec === undefined) return undefined;
  if (spec.members.length === 0) report('never', '"nonresource_permissions" is empty', spec.at);
  const verbsOf = new Map<string, ReadonlySet<string>>();
  for (const grant of spec.members) {
    const { name: key, at } = grant;
    const verbs = readVerbs(grant, report);
    reportVerbs(verbs, `"${key}"`, report);
    verbsOf.set(key, new Set(verbs.map(({ text }) => text)));
    if (key.includes('*')) report('never', `"${key}" is a literal path: version 2 has no * in paths`, at);
    else if (!key.startsWith('/')) report('never', `"${key}" does not begin with "/"`, at);
  }
  return {
    allows: ({ verb, path }) => {
      const verbs = verbsOf.get(path);
      return verbs !== undefined && (verbs.has(verb) || verbs.has('*'));
    },
  };
}
