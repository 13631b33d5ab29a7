/** Version 2 of the policy: `resource_permissions` and `nonresource_permissions`, from keys to verbs. */
import type { JsonObject } from '../../../shared/base/json.ts';
import type { PathRequest, ResourceRequest } from '../../review/review.ts';
import type { Compatibilities, FindingReporter } from './finding.ts';
import { compileKeyPattern, parseKeyPattern } from './key-pattern.ts';
import { readObjectMember, readTextListMember } from './policy-members.ts';

/** Subresources that give more than their resource does. */
const STRONG: Readonly<Record<string, string>> = {
  pods: 'exec, attach, portforward, log and others',
  nodes: 'proxy',
  services: 'proxy',
  serviceaccounts: 'token',
  deployments: 'scale',
  statefulsets: 'scale',
  replicasets: 'scale',
  namespaces: 'finalize',
};

function readVerbs(spec: JsonObject, key: string, find: FindingReporter): ReadonlySet<string> {
  const verbs = readTextListMember(spec, key) ?? [];
  if (verbs.length === 0) find('never', `"${key}" has no verbs`);
  return new Set(verbs);
}

function mentionSubresources(key: string, compatibilities: Compatibilities, find: FindingReporter): void {
  const side = parseKeyPattern(key, compatibilities)?.resource;
  if (side === undefined || side.isNegated) return;
  // Whoever names them beside it has thought of them.
  const strong = side.words.filter((word) => Object.hasOwn(STRONG, word) && !side.words.includes(`${word}/*`));
  for (const word of strong) {
    find(
      'fault',
      compatibilities.has('v2-subresources')
        ? `"${key}" also grants the subresources of ${word} (${STRONG[word] ?? ''}), as in the Go program`
        : `"${key}" granted the subresources of ${word} (${STRONG[word] ?? ''}) in the Go program; here they need "${word}/*" in a key`,
    );
  }
}

/**
 * The test of `resource_permissions`.
 *
 * @throws BadPolicy
 */
export function compileResourcePermissions(
  entry: JsonObject,
  compatibilities: Compatibilities,
  find: FindingReporter,
): ((request: ResourceRequest) => boolean) | undefined {
  const spec = readObjectMember(entry, 'resource_permissions');
  if (spec === undefined) return undefined;
  const keys = Object.keys(spec);
  if (keys.length === 0) find('never', '"resource_permissions" is empty');
  const grants = keys.flatMap((key) => {
    const verbs = new Set([...readVerbs(spec, key, find)].map((verb) => verb.trim().toLowerCase()));
    const matches = compileKeyPattern(key, compatibilities, find);
    if (matches === undefined) return [];
    mentionSubresources(key, compatibilities, find);
    return [{ verbs, matches }];
  });
  // Most entries are for other namespaces, which is soonest seen.
  return (request) =>
    grants.some(({ verbs, matches }) => matches(request) && (verbs.has('*') || verbs.has(request.verb.toLowerCase())));
}

/**
 * The test of `nonresource_permissions`, whose keys are whole paths.
 *
 * @throws BadPolicy
 */
export function compileNonresourcePermissions(
  entry: JsonObject,
  find: FindingReporter,
): ((request: PathRequest) => boolean) | undefined {
  const spec = readObjectMember(entry, 'nonresource_permissions');
  if (spec === undefined) return undefined;
  const keys = Object.keys(spec);
  if (keys.length === 0) find('never', '"nonresource_permissions" is empty');
  const verbsOf = new Map(keys.map((key) => [key, readVerbs(spec, key, find)]));
  for (const key of keys) {
    if (key.includes('*')) find('never', `"${key}" is taken as it stands: version 2 knows no * in a path`);
  }
  return ({ verb, path }) => {
    const verbs = verbsOf.get(path);
    return verbs !== undefined && (verbs.has(verb) || verbs.has('*'));
  };
}
