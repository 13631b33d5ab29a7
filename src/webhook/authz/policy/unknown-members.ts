/**
 * Members that the format does not have. The Go program ignores them all. A comment does no harm, but a misspelled
 * restriction would let everybody in.
 */
import { isSimilarName } from '../../../shared/base/similar-name.ts';
import type { FindingReporter } from './finding.ts';
import { foldName } from './letter-case.ts';
import type { JsonMember } from './json-tree.ts';

/** Words that restrict or grant something, in this format and in those that its authors know (RBAC, ABAC). */
const RESTRICTIONS = [
  ...['users', 'roles', 'projects', 'domains', 'groups', 'subjects', 'match', 'verbs', 'paths', 'namespaces'],
  ...['resources', 'subresources', 'resource_names', 'nonresource', 'non_resource_urls', 'api_groups'],
  ...['resource_permissions', 'nonresource_permissions', 'except', 'exclude', 'conditions', 'effect', 'deny', 'allow'],
];

/** The words of a name such as `allowed_users` or `allowedUsers`. */
const splitName = (name: string): readonly string[] =>
  name
    .replaceAll(/([a-z\d])([A-Z])/g, '$1_$2')
    .split(/[^A-Za-z\d]+/)
    .map((word) => word.toLowerCase())
    .filter((word) => word !== '');

/**
 * Finds what the author of an unknown name probably meant.
 *
 * @param names those that the object may have
 */
export function findResemblance(name: string, names: readonly string[]): string | undefined {
  // No word of the format is nearly as long.
  if (name.length > 64) return undefined;
  const candidates = [...names, ...RESTRICTIONS];
  const similar = candidates.find((word) => isSimilarName(foldName(name), word));
  if (similar !== undefined) return similar;
  const words = splitName(name);
  if (words.length < 2) return undefined;
  return candidates.find((word) => words.some((part) => part === word || `${part}s` === word || part === `${word}s`));
}

/**
 * Reports unknown members. One that resembles a known member or a restriction voids the entry.
 *
 * @param names those that the object may have
 */
export function reportUnknownMembers(
  unknown: readonly JsonMember[],
  names: readonly string[],
  report: FindingReporter,
): void {
  for (const { name, at } of unknown) {
    const resemblance = findResemblance(name, names);
    if (resemblance === undefined) {
      report('odd', `"${name}" is unknown and ignored`, at);
      continue;
    }
    const problem =
      foldName(name) === resemblance ? 'does not belong here' : `is unknown and resembles "${resemblance}"`;
    report('unknown-restriction', `"${name}" ${problem}, so the entry grants nothing; the Go program ignores it`, at);
  }
}
