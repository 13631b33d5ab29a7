/** Version 2 of the policy: `resource_permissions` and `nonresource_permissions`, which map keys to verbs. */
import type { JsonObject } from '../../../shared/base/json.ts';
import type { PathRequest, ResourceRequest } from '../../review/access-request.ts';
import type { Compatibilities } from './compatibility.ts';
import { reportConnections } from './connections.ts';
import type { FindingReporter } from './finding.ts';
import { compileKeyPattern, readKeyPattern } from './key-pattern.ts';
import type { PatternSide } from './key-pattern.ts';
import { policyMembers } from './policy-members.ts';

/** Resources whose subresources grant more than the resource itself. */
const POWERFUL_SUBRESOURCES: Readonly<Record<string, string>> = {
  pods: 'exec, attach, portforward, log and others',
  nodes: 'proxy',
  services: 'proxy',
  serviceaccounts: 'token',
  deployments: 'scale',
  statefulsets: 'scale',
  replicasets: 'scale',
  namespaces: 'finalize',
};

function readVerbs(spec: JsonObject, key: string, report: FindingReporter): ReadonlySet<string> {
  const verbs = policyMembers.textList(spec, key) ?? [];
  if (verbs.length === 0) report('never', `"${key}" has no verbs`);
  return new Set(verbs);
}

function reportSubresources(
  key: string,
  { isNegated, words }: PatternSide,
  compatibilities: Compatibilities,
  report: FindingReporter,
): void {
  if (isNegated) return;
  for (const [resource, names] of Object.entries(POWERFUL_SUBRESOURCES)) {
    // An author who also lists `pods/*` knows about them.
    if (!words.includes(resource) || words.includes(`${resource}/*`)) continue;
    const subresources = `the subresources of ${resource} (${names})`;
    report(
      'fault',
      compatibilities.has('v2-subresources')
        ? `"${key}" also grants ${subresources}, as in the Go program`
        : `"${key}" granted ${subresources} in the Go program; here they need "${resource}/*" in a key`,
    );
  }
}

/**
 * Compiles `resource_permissions`.
 *
 * @throws InvalidPolicyError
 */
export function compileResourcePermissions(
  entry: JsonObject,
  compatibilities: Compatibilities,
  report: FindingReporter,
): ((request: ResourceRequest) => boolean) | undefined {
  const spec = policyMembers.object(entry, 'resource_permissions');
  if (spec === undefined) return undefined;
  const keys = Object.keys(spec);
  if (keys.length === 0) report('never', '"resource_permissions" is empty');
  const grants = keys.flatMap((key) => {
    const verbs = new Set([...readVerbs(spec, key, report)].map((verb) => verb.trim().toLowerCase()));
    const pattern = readKeyPattern(key, compatibilities, report);
    if (pattern === undefined) return [];
    reportSubresources(key, pattern.resource, compatibilities, report);
    const { matches, coversResource } = compileKeyPattern(pattern, compatibilities);
    reportConnections(`"${key}"`, verbs, coversResource, report);
    return [{ verbs, matches }];
  });
  // The key first: most entries are for other namespaces, which is the cheapest test.
  return (request) =>
    grants.some(({ verbs, matches }) => matches(request) && (verbs.has('*') || verbs.has(request.verb.toLowerCase())));
}

/**
 * Compiles `nonresource_permissions`, whose keys are whole paths.
 *
 * @throws InvalidPolicyError
 */
export function compileNonresourcePermissions(
  entry: JsonObject,
  report: FindingReporter,
): ((request: PathRequest) => boolean) | undefined {
  const spec = policyMembers.object(entry, 'nonresource_permissions');
  if (spec === undefined) return undefined;
  const keys = Object.keys(spec);
  if (keys.length === 0) report('never', '"nonresource_permissions" is empty');
  const verbsOf = new Map(keys.map((key) => [key, readVerbs(spec, key, report)]));
  for (const key of keys) {
    if (key.includes('*')) report('never', `"${key}" is a literal path: version 2 has no * in paths`);
  }
  return ({ verb, path }) => {
    const verbs = verbsOf.get(path);
    return verbs !== undefined && (verbs.has(verb) || verbs.has('*'));
  };
}
