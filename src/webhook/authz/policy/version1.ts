/** Version 1 of the policy: `resource` or `nonresource`, for the subjects that `match` describes. */
import type { PathRequest, ResourceRequest } from '../../review/access-request.ts';
import { reportConnections } from './connections.ts';
import type { SubresourceTest } from './connections.ts';
import type { FindingReporter } from './finding.ts';
import type { JsonMember, JsonObjectTree } from './json-tree.ts';
import type { Audience, Permissions } from './permissions.ts';
import { InvalidPolicyError } from './policy-error.ts';
import { readList, readObject, readText, readTexts, sortMembers } from './policy-members.ts';
import type { ListedText } from './policy-members.ts';
import { reportName, reportPath, reportVerbs } from './policy-words.ts';
import type { Subject } from './subject.ts';
import { reportUnknownMembers } from './unknown-members.ts';

const RESOURCE_MEMBERS = ['verbs', 'resources', 'version', 'namespace'] as const;
const NONRESOURCE_MEMBERS = ['verbs', 'path'] as const;
const TERM_MEMBERS = ['type', 'values'] as const;

/** No resource has a dot in its name; `deployments.apps` is how kubectl names a resource with its group. */
const RESOURCE_WORD = /^(?:\*|[a-z\d][a-z\d_:-]*(?:\/(?:\*|[a-z\d][a-z\d._:-]*))?)$/;
const NAMESPACE_WORD = /^(?:\*|[a-z\d][a-z\d._:-]*)?$/;
/** The member is named `version`, but means the API group. */
const GROUP_WORD = /^(?!v\d)(?:\*|[a-z\d][a-z\d.-]*)?$/;

const includes = (list: readonly string[], value: string): boolean => list.includes('*') || list.includes(value);

const textsOf = (list: readonly { readonly text: string }[]): readonly string[] => list.map(({ text }) => text);

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
  member: JsonMember | undefined,
  report: FindingReporter,
): Permissions<ResourceRequest> | undefined {
  const spec = readObject(member);
  if (spec === undefined) return undefined;
  const members = sortMembers(spec, RESOURCE_MEMBERS);
  const verbs = readTexts(members.known.get('verbs'));
  const resources = readTexts(members.known.get('resources'));
  const version = readText(members.known.get('version'));
  const namespace = readText(members.known.get('namespace'));
  // A rule of RBAC can name single objects; nothing here can.
  reportUnknownMembers(members.unknown, [...RESOURCE_MEMBERS, 'name', 'names'], report);
  if (version === undefined || namespace === undefined) {
    const missing = version === undefined ? 'version' : 'namespace';
    report(
      'incomplete-resource',
      `"resource" without "${missing}" grants nothing; it made the Go program crash`,
      spec.at,
    );
    return undefined;
  }
  if (verbs.length === 0 || resources.length === 0) {
    report('never', `"resource" without "${verbs.length === 0 ? 'verbs' : 'resources'}" grants nothing`, spec.at);
    return undefined;
  }
  reportVerbs(verbs, '"resource"', report);
  for (const resource of resources) reportName(resource, RESOURCE_WORD, '"resources"', report);
  reportName(version, GROUP_WORD, '"version" means the API group', report);
  reportName(namespace, NAMESPACE_WORD, '"namespace"', report);
  const rule = {
    verbs: textsOf(verbs),
    resources: textsOf(resources),
    group: version.text,
    namespace: namespace.text,
  };
  reportRuleConnections(rule, (kind, message) => {
    report(kind, message, spec.at);
  });
  return compileRule(rule);
}

/** What a `resource` allows; each value is exact or `*`. */
interface ResourceRule {
  readonly verbs: readonly string[];
  readonly resources: readonly string[];
  readonly group: string;
  readonly namespace: string;
}

function reportRuleConnections(
  { verbs, resources, group, namespace }: ResourceRule,
  report: (kind: 'odd', message: string) => void,
): void {
  if (group !== '*' && group !== '') return;
  const covers: SubresourceTest = (resource, subresource, isNamespaced) =>
    (isNamespaced || namespace === '*' || namespace === '') &&
    resources.some((word) => coversResource(word, resource, subresource));
  reportConnections('"resource"', new Set(verbs), covers, report);
}

function compileRule({ verbs, resources, group, namespace }: ResourceRule): Permissions<ResourceRequest> {
  return {
    allows: (request) =>
      includes(verbs, request.verb) &&
      (group === '*' || group === request.group) &&
      (namespace === '*' || namespace === request.namespace) &&
      resources.some((word) => coversResource(word, request.resource, request.subresource)),
    namespaces: namespace === '*' ? undefined : new Set([namespace]),
  };
}

/** The text without the `*` at its end; a loop, because an expression can take quadratic time. */
function cutStars(path: string): string {
  let end = path.length;
  while (path.charAt(end - 1) === '*') end -= 1;
  return path.slice(0, end);
}

/**
 * Compiles `nonresource`: verbs, and a path that may end in `*`.
 *
 * @throws InvalidPolicyError
 */
export function compileNonresource(
  member: JsonMember | undefined,
  report: FindingReporter,
): Permissions<PathRequest> | undefined {
  const spec = readObject(member);
  if (spec === undefined) return undefined;
  const members = sortMembers(spec, NONRESOURCE_MEMBERS);
  const listedVerbs = readTexts(members.known.get('verbs'));
  const path = readText(members.known.get('path'))?.text ?? '';
  reportUnknownMembers(members.unknown, NONRESOURCE_MEMBERS, report);
  if (listedVerbs.length === 0 || path === '') {
    report('never', `"nonresource" without "${path === '' ? 'path' : 'verbs'}" grants nothing`, spec.at);
    return undefined;
  }
  const emptyVerb = listedVerbs.find(({ text }) => text === '');
  if (emptyVerb !== undefined) {
    report('never', '"nonresource" with an empty verb grants nothing', emptyVerb.at);
    return undefined;
  }
  reportVerbs(listedVerbs, '"nonresource"', report);
  reportPath(path, /^\*+$|^\/[^*]*\**$/, spec.at, report);
  const verbs = textsOf(listedVerbs);
  const prefix = path.endsWith('*') ? cutStars(path) : undefined;
  return {
    allows: (request) =>
      includes(verbs, request.verb) && (prefix === undefined ? request.path === path : request.path.startsWith(prefix)),
  };
}

/**
 * How Keystone writes the IDs of users. Only such a value is compared with an ID: other values are names, which the
 * owner of another account can have as an ID where the IDs come from a directory (LDAP).
 */
const USER_ID = /^(?:[\da-f]{32}|[\da-f]{64})$/;

const SUBJECT_TESTS: Readonly<Record<string, (subject: Subject, value: string) => boolean>> = {
  user: ({ name, uid }, value) => value !== '' && (value === name || (value === uid && USER_ID.test(value))),
  group: ({ groups }, value) => groups.has(value),
  project: ({ projects }, value) => projects.has(value),
  role: ({ roles }, value) => roles.has(value),
};

/** Types of which only users of Keystone have a value. */
const KEYSTONE_TYPES = ['project', 'role'];

interface CompiledTerm extends Audience {
  readonly needsKeystoneUser: boolean;
}

const NO_ONE: CompiledTerm = { includes: () => false, projects: new Set(), needsKeystoneUser: true };

function reportValues(type: string, values: readonly ListedText[], report: FindingReporter): void {
  for (const { text, at } of values) {
    if (text === '' && type !== 'group') {
      const [difference, others] =
        type === 'user' ? (['empty-user', 'every user'] as const) : (['empty-name', 'empty names'] as const);
      report(difference, `"match": "" matches no user; in the Go program, it matched ${others}`, at);
    }
    if (type === 'user' && USER_ID.test(text)) {
      report('user-id', `"match": "${text}" also matches the ID of a user, which the Go program does not read`, at);
    }
  }
}

function compileTerm(term: JsonObjectTree, report: FindingReporter): CompiledTerm {
  const members = sortMembers(term, TERM_MEMBERS);
  const type = readText(members.known.get('type'))?.text ?? '';
  const listed = readTexts(members.known.get('values'));
  const values = textsOf(listed);
  reportUnknownMembers(members.unknown, TERM_MEMBERS, report);
  const hasValue = Object.hasOwn(SUBJECT_TESTS, type) ? SUBJECT_TESTS[type] : undefined;
  if (hasValue === undefined) {
    report('never', `"match" supports the types ${Object.keys(SUBJECT_TESTS).join(', ')}, not "${type}"`, term.at);
    return NO_ONE;
  }
  if (values.length === 0) report('never', `"match" of type ${type} without values matches no user`, term.at);
  reportValues(type, listed, report);
  const isForEvery = values.includes('*');
  return {
    includes: (subject) => isForEvery || values.some((value) => hasValue(subject, value)),
    projects: type === 'project' && !isForEvery ? new Set(values) : undefined,
    needsKeystoneUser: KEYSTONE_TYPES.includes(type) && !isForEvery,
  };
}

/**
 * Compiles `match`: a subject must meet all its terms, each by any of its values.
 *
 * @throws InvalidPolicyError
 */
export function compileMatch(member: JsonMember | undefined, report: FindingReporter): CompiledTerm {
  const list = readList(member)?.items ?? [];
  const terms = list.map((item) => {
    if (item.kind === 'object') return compileTerm(item, report);
    throw new InvalidPolicyError('"match" must be a list of objects', item.at);
  });
  return {
    includes: (subject) => terms.every((term) => term.includes(subject)),
    // That of any term will do: a subject must meet them all.
    projects: terms.find(({ projects }) => projects !== undefined)?.projects,
    needsKeystoneUser: terms.some(({ needsKeystoneUser }) => needsKeystoneUser),
  };
}
