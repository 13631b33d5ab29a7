/** Version 1 of the policy: `resource` or `nonresource`, and whom it is for in `match`. */
import { isJsonObject } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import type { PathRequest, ResourceRequest } from '../../review/review.ts';
import type { FindingReporter } from './finding.ts';
import {
  InvalidPolicyError,
  readMember,
  readObjectMember,
  readTextMember,
  readTextListMember,
} from './policy-members.ts';
import type { Subject } from './subject.ts';
import type { SubjectTest } from './users.ts';

const includes = (list: readonly string[], value: string): boolean => list.includes('*') || list.includes(value);

function covers(word: string, resource: string, subresource: string): boolean {
  if (word === '*') return true;
  if (word.endsWith('/*')) return subresource !== '' && word.slice(0, -2) === resource;
  return word === (subresource === '' ? resource : `${resource}/${subresource}`);
}

/**
 * The test of `resource`: verbs, resources, `version` (the API group), namespace.
 *
 * @throws BadPolicy
 */
export function compileResource(
  entry: JsonObject,
  find: FindingReporter,
): ((request: ResourceRequest) => boolean) | undefined {
  const spec = readObjectMember(entry, 'resource');
  if (spec === undefined) return undefined;
  const verbs = readTextListMember(spec, 'verbs') ?? [];
  const resources = readTextListMember(spec, 'resources') ?? [];
  const group = readTextMember(spec, 'version');
  const namespace = readTextMember(spec, 'namespace');
  if (group === undefined || namespace === undefined) {
    const absent = group === undefined ? 'version' : 'namespace';
    find('fault', `"resource" without "${absent}" made the Go program crash`);
    find('never', `"resource" without "${absent}" grants nothing`);
    return undefined;
  }
  if (verbs.length === 0 || resources.length === 0) {
    find('never', `"resource" without "${verbs.length === 0 ? 'verbs' : 'resources'}" grants nothing`);
    return undefined;
  }
  return (request) =>
    includes(verbs, request.verb) &&
    (group === '*' || group === request.group) &&
    (namespace === '*' || namespace === request.namespace) &&
    resources.some((word) => covers(word, request.resource, request.subresource));
}

/**
 * The test of `nonresource`: verbs, and a path that may end in `*`.
 *
 * @throws BadPolicy
 */
export function compileNonresource(
  entry: JsonObject,
  find: FindingReporter,
): ((request: PathRequest) => boolean) | undefined {
  const spec = readObjectMember(entry, 'nonresource');
  if (spec === undefined) return undefined;
  const verbs = readTextListMember(spec, 'verbs') ?? [];
  const path = readTextMember(spec, 'path') ?? '';
  if (verbs.length === 0 || path === '') {
    find('never', `"nonresource" without "${path === '' ? 'path' : 'verbs'}" grants nothing`);
    return undefined;
  }
  const start = path.endsWith('*') ? path.slice(0, -1) : undefined;
  return (request) =>
    request.verb !== '' &&
    includes(verbs, request.verb) &&
    (start === undefined ? request.path === path : request.path.startsWith(start));
}

const TRAITS: Readonly<Record<string, (subject: Subject, value: string) => boolean>> = {
  user: ({ name, uid }, value) => value !== '' && (value === name || value === uid),
  group: ({ groups }, value) => groups.has(value),
  project: ({ projects }, value) => projects.has(value),
  role: ({ roles }, value) => roles.has(value),
};

function compileTerm(term: JsonObject, find: FindingReporter): SubjectTest {
  const type = readTextMember(term, 'type') ?? '';
  const values = readTextListMember(term, 'values') ?? [];
  const has = Object.hasOwn(TRAITS, type) ? TRAITS[type] : undefined;
  if (has === undefined) {
    find('never', `"match" knows the types ${Object.keys(TRAITS).join(', ')}, not "${type}"`);
    return () => false;
  }
  if (values.length === 0) find('never', `"match" of type ${type} without values is for nobody`);
  return (subject) => values.some((value) => value === '*' || has(subject, value));
}

/**
 * The test of `match`: all its terms, each by any of its values.
 *
 * @throws BadPolicy
 */
export function compileMatch(entry: JsonObject, find: FindingReporter): SubjectTest {
  const terms = readMember(entry, 'match') ?? [];
  if (!Array.isArray(terms) || !terms.every(isJsonObject))
    throw new InvalidPolicyError('"match" must be a list of objects');
  const tests = terms.map((term) => compileTerm(term, find));
  return (subject) => tests.every((test) => test(subject));
}
