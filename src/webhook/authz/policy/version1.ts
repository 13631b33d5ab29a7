/** Version 1 of the policy: `resource` or `nonresource`, for the subjects that `match` describes. */
import { memberAt } from '../../../shared/base/json-members.ts';
import { isJsonObject } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import type { PathRequest, ResourceRequest } from '../../review/access-request.ts';
import { reportConnections } from './connections.ts';
import type { SubresourceTest } from './connections.ts';
import type { FindingReporter } from './finding.ts';
import { InvalidPolicyError, policyMembers } from './policy-members.ts';
import type { Subject } from './subject.ts';
import type { SubjectTest } from './users.ts';

const includes = (list: readonly string[], value: string): boolean => list.includes('*') || list.includes(value);

function coversResource(word: string, resource: string, subresource: string): boolean {
  if (word === '*') return true;
  if (word.endsWith('/*')) return subresource !== '' && word.slice(0, -2) === resource;
  return word === (subresource === '' ? resource : `${resource}/${subresource}`);
}

/**
 * Compiles `resource`: verbs, resources, `version` (the API group) and namespace.
 *
 * @throws InvalidPolicyError
 */
export function compileResource(
  entry: JsonObject,
  report: FindingReporter,
): ((request: ResourceRequest) => boolean) | undefined {
  const spec = policyMembers.object(entry, 'resource');
  if (spec === undefined) return undefined;
  const verbs = policyMembers.textList(spec, 'verbs') ?? [];
  const resources = policyMembers.textList(spec, 'resources') ?? [];
  const group = policyMembers.text(spec, 'version');
  const namespace = policyMembers.text(spec, 'namespace');
  if (group === undefined || namespace === undefined) {
    const missing = group === undefined ? 'version' : 'namespace';
    report('fault', `"resource" without "${missing}" made the Go program crash`);
    report('never', `"resource" without "${missing}" grants nothing`);
    return undefined;
  }
  if (verbs.length === 0 || resources.length === 0) {
    report('never', `"resource" without "${verbs.length === 0 ? 'verbs' : 'resources'}" grants nothing`);
    return undefined;
  }
  if (group === '*' || group === '') {
    const covers: SubresourceTest = (resource, subresource, isNamespaced) =>
      (isNamespaced || namespace === '*' || namespace === '') &&
      resources.some((word) => coversResource(word, resource, subresource));
    reportConnections('"resource"', new Set(verbs), covers, report);
  }
  return (request) =>
    includes(verbs, request.verb) &&
    (group === '*' || group === request.group) &&
    (namespace === '*' || namespace === request.namespace) &&
    resources.some((word) => coversResource(word, request.resource, request.subresource));
}

/**
 * Compiles `nonresource`: verbs, and a path that may end in `*`.
 *
 * @throws InvalidPolicyError
 */
export function compileNonresource(
  entry: JsonObject,
  report: FindingReporter,
): ((request: PathRequest) => boolean) | undefined {
  const spec = policyMembers.object(entry, 'nonresource');
  if (spec === undefined) return undefined;
  const verbs = policyMembers.textList(spec, 'verbs') ?? [];
  const path = policyMembers.text(spec, 'path') ?? '';
  if (verbs.length === 0 || path === '') {
    report('never', `"nonresource" without "${path === '' ? 'path' : 'verbs'}" grants nothing`);
    return undefined;
  }
  const prefix = path.endsWith('*') ? path.slice(0, -1) : undefined;
  return (request) =>
    request.verb !== '' &&
    includes(verbs, request.verb) &&
    (prefix === undefined ? request.path === path : request.path.startsWith(prefix));
}

const SUBJECT_TESTS: Readonly<Record<string, (subject: Subject, value: string) => boolean>> = {
  user: ({ name, uid }, value) => value !== '' && (value === name || value === uid),
  group: ({ groups }, value) => groups.has(value),
  project: ({ projects }, value) => projects.has(value),
  role: ({ roles }, value) => roles.has(value),
};

function compileTerm(term: JsonObject, report: FindingReporter): SubjectTest {
  const type = policyMembers.text(term, 'type') ?? '';
  const values = policyMembers.textList(term, 'values') ?? [];
  const hasValue = Object.hasOwn(SUBJECT_TESTS, type) ? SUBJECT_TESTS[type] : undefined;
  if (hasValue === undefined) {
    report('never', `"match" supports the types ${Object.keys(SUBJECT_TESTS).join(', ')}, not "${type}"`);
    return () => false;
  }
  if (values.length === 0) report('never', `"match" of type ${type} without values matches no user`);
  return (subject) => values.some((value) => value === '*' || hasValue(subject, value));
}

/**
 * Compiles `match`: a subject must meet all its terms, each by any of its values.
 *
 * @throws InvalidPolicyError
 */
export function compileMatch(entry: JsonObject, report: FindingReporter): SubjectTest {
  const terms = memberAt(entry, 'match') ?? [];
  if (!Array.isArray(terms) || !terms.every(isJsonObject))
    throw new InvalidPolicyError('"match" must be a list of objects');
  const tests = terms.map((term) => compileTerm(term, report));
  return (subject) => tests.every((test) => test(subject));
}
