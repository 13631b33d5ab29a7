/**
 * The webhook's policies (docs/webhook/policy.md): random policies against a small model of that page, which decides from
 * the parts of an entry and never parses its text; and that less in an entry, or anything unknown, never grants more.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { COMPATIBILITIES } from '../../src/webhook/authz/policy/compatibility.ts';
import type { Compatibilities, Compatibility } from '../../src/webhook/authz/policy/compatibility.ts';
import { parseKeyPattern } from '../../src/webhook/authz/policy/key-pattern.ts';
import { findAllowingEntry, parsePolicy } from '../../src/webhook/authz/policy/policy.ts';
import type { Subject } from '../../src/webhook/authz/policy/subject.ts';
import type { AccessRequest, PathRequest, ResourceRequest } from '../../src/webhook/review/access-request.ts';
import { checkProperty } from '../support/property.ts';

// --- Entries as data ---

interface Side {
  readonly isNegated: boolean;
  readonly isList: boolean;
  readonly words: readonly string[];
}

interface Key {
  readonly namespace: Side;
  readonly resource: Side;
  readonly verbs: readonly string[];
}

interface Term {
  readonly type: string;
  readonly values: readonly string[];
}

interface Entry {
  readonly users?: { readonly roles?: readonly string[]; readonly projects?: readonly string[] } | undefined;
  readonly keys?: readonly Key[] | undefined;
  readonly paths?: readonly { readonly path: string; readonly verbs: readonly string[] }[] | undefined;
  readonly resource?:
    | {
        readonly verbs: readonly string[];
        readonly resources: readonly string[];
        readonly version: string;
        readonly namespace: string;
      }
    | undefined;
  readonly nonresource?: { readonly verbs: readonly string[]; readonly path: string } | undefined;
  readonly match?: readonly Term[] | undefined;
}

/** How a key is written: white space, the kind of quotes and capitals make no difference. */
interface Notation {
  readonly space: string;
  readonly quote: string;
  readonly isUpperCase: boolean;
}

function writeSide({ isNegated, isList, words }: Side, { space, quote }: Notation): string {
  const written = isList ? words.map((word) => quote + word + quote).join(`${space},${space}`) : words.join('');
  return space + (isNegated ? '!' : '') + (isList ? `[${space}${written}${space}]` : written) + space;
}

function writeKey({ namespace, resource }: Key, notation: Notation): string {
  const text = `${writeSide(namespace, notation)}/${writeSide(resource, notation)}`;
  return notation.isUpperCase ? text.toUpperCase() : text;
}

/** Writes the entry as JSON data. */
function writeEntry(entry: Entry, notation: Notation): Record<string, unknown> {
  const { users, keys, paths, resource, nonresource, match } = entry;
  const data = {
    users,
    resource_permissions: keys && Object.fromEntries(keys.map((key) => [writeKey(key, notation), key.verbs])),
    nonresource_permissions: paths && Object.fromEntries(paths.map(({ path, verbs }) => [path, verbs])),
    resource,
    nonresource,
    match,
  };
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined));
}

// --- The model ---

/** "Requests for cluster-scoped resources, and for all namespaces together, need a plain * as the namespace." */
function matchesNamespace({ isNegated, isList, words }: Side, namespace: string): boolean {
  if (namespace === '') return !isNegated && !isList && words[0] === '*';
  const isNamed = words.includes('*') || words.includes(namespace);
  return isNegated ? !isNamed : isNamed;
}

/** "* and exclusions cover subresources. A plain pods does not." */
function names(word: string, { resource, subresource }: ResourceRequest, isExclusion: boolean): boolean {
  if (word === '*') return true;
  const [first, second] = word.split('/');
  if (first !== '*' && first !== resource) return false;
  // "It makes no difference for resources of Kubernetes that have no subresources."
  if (second === undefined) return subresource === '' || isExclusion || resource === 'secrets';
  return subresource !== '' && (second === '*' || second === subresource);
}

/** "A plain pods does not cover pods/exec." */
function namesInVersion1(word: string, request: ResourceRequest): boolean {
  return names(word, request, false) && (word === '*' || word.includes('/') || request.subresource === '');
}

function matchesResource({ isNegated, words }: Side, request: ResourceRequest): boolean {
  const isNamed = words.some((word) => names(word, request, isNegated));
  return isNegated ? !isNamed : isNamed;
}

const allowsVerb = (verbs: readonly string[], verb: string): boolean => verbs.includes('*') || verbs.includes(verb);

/** "A user must have all of its roles and any of its projects", and without projects the entry is for no one. */
function isForSubject({ users }: Entry, subject: Subject): boolean {
  if (users === undefined) return true;
  const { roles = [], projects = [] } = users;
  return roles.every((role) => subject.roles.has(role)) && projects.some((project) => subject.projects.has(project));
}

/** "A user must match all terms, each by any of its values." No ID here has the form of one. */
function meetsTerms({ match = [] }: Entry, { name, groups, projects, roles }: Subject): boolean {
  const values: Record<string, ReadonlySet<string>> = { user: new Set([name]), group: groups, project: projects };
  values['role'] = roles;
  return match.every(({ type, values: wanted }) =>
    wanted.some((value) => value === '*' || values[type]?.has(value) === true),
  );
}

function grantsResource(entry: Entry, subject: Subject, request: ResourceRequest): boolean {
  const { keys, resource } = entry;
  if (keys !== undefined) {
    return keys.some(
      ({ namespace, resource: side, verbs }) =>
        matchesNamespace(namespace, request.namespace) &&
        matchesResource(side, request) &&
        allowsVerb(verbs, request.verb),
    );
  }
  if (resource === undefined || !meetsTerms(entry, subject)) return false;
  return (
    allowsVerb(resource.verbs, request.verb) &&
    [request.group, '*'].includes(resource.version) &&
    [request.namespace, '*'].includes(resource.namespace) &&
    resource.resources.some((word) => (word.startsWith('*/') ? false : namesInVersion1(word, request)))
  );
}

function grantsPath(entry: Entry, subject: Subject, { verb, path }: PathRequest): boolean {
  const { paths, nonresource } = entry;
  if (paths !== undefined) return paths.some((item) => item.path === path && allowsVerb(item.verbs, verb));
  if (nonresource === undefined || !meetsTerms(entry, subject)) return false;
  const { verbs, path: pattern } = nonresource;
  const isMatch = pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern;
  return isMatch && allowsVerb(verbs, verb);
}

function grants(entry: Entry, subject: Subject, request: AccessRequest): boolean {
  if (!subject.isKeystoneUser || !isForSubject(entry, subject)) return false;
  return request.kind === 'resource' ? grantsResource(entry, subject, request) : grantsPath(entry, subject, request);
}

// --- Random entries, subjects and requests, from few words, so that they often meet ---

const NAMESPACES = ['web', 'db', 'kube-system'];
const RESOURCES = ['pods', 'secrets', 'deployments'];
const SUBRESOURCES = ['exec', 'log'];
const VERBS = ['get', 'list', 'create'];
const ROLES = ['member', 'dba', 'reader'];
const PROJECTS = ['demo', 'p-1'];
const PATHS = ['/healthz', '/metrics', '/metrics/cadvisor', '/'];

const someOf = (words: readonly string[]): fc.Arbitrary<string[]> => fc.subarray([...words], { minLength: 1 });
const verbLists = fc.oneof({ weight: 4, arbitrary: someOf(VERBS) }, { weight: 1, arbitrary: fc.constant(['*']) });

const namespaceWords = fc.constantFrom(...NAMESPACES, '*');
const resourceWords = fc.constantFrom(
  ...RESOURCES,
  ...RESOURCES.flatMap((resource) => [...SUBRESOURCES, '*'].map((subresource) => `${resource}/${subresource}`)),
  '*/log',
  '*',
);

function sidesOf(words: fc.Arbitrary<string>): fc.Arbitrary<Side> {
  const single = words.map((word) => ({ isList: false, words: [word] }));
  const list = fc.array(words, { minLength: 1, maxLength: 3 }).map((some) => ({ isList: true, words: some }));
  return fc.tuple(fc.boolean(), fc.oneof(single, list)).map(([isNegated, side]) => ({ isNegated, ...side }));
}

const keys: fc.Arbitrary<Key> = fc.record({
  namespace: sidesOf(namespaceWords),
  resource: sidesOf(resourceWords),
  verbs: verbLists,
});

const terms: fc.Arbitrary<Term> = fc.oneof(
  fc.record({ type: fc.constant('user'), values: someOf(['alice', 'u-1', 'bob', '*']) }),
  fc.record({ type: fc.constant('group'), values: someOf(['g-1', 'g-2']) }),
  fc.record({ type: fc.constant('project'), values: someOf(PROJECTS) }),
  fc.record({ type: fc.constant('role'), values: someOf(ROLES) }),
);

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq: 2 });

/** Two keys of one entry have different texts: JSON cannot hold one twice. */
const keyLists = fc.uniqueArray(keys, {
  maxLength: 3,
  selector: (key) => writeKey(key, { space: '', quote: '', isUpperCase: false }),
});

const pathLists = fc.uniqueArray(fc.record({ path: fc.constantFrom(...PATHS), verbs: verbLists }), {
  maxLength: 3,
  selector: ({ path }) => path,
});

const entries: fc.Arbitrary<Entry> = fc.record({
  users: optional(fc.record({ roles: fc.subarray(ROLES), projects: fc.subarray(PROJECTS) })),
  keys: optional(keyLists),
  paths: optional(pathLists),
  resource: optional(
    fc.record({
      verbs: verbLists,
      resources: fc.array(resourceWords, { minLength: 1, maxLength: 3 }),
      version: fc.constantFrom('', 'apps', '*'),
      namespace: fc.constantFrom(...NAMESPACES, '', '*'),
    }),
  ),
  nonresource: optional(fc.record({ verbs: verbLists, path: fc.constantFrom(...PATHS, '/metrics*', '*') })),
  match: optional(fc.array(terms, { maxLength: 2 })),
});

const notations: fc.Arbitrary<Notation> = fc.record({
  space: fc.constantFrom('', ' ', '\t'),
  quote: fc.constantFrom("'", '"'),
  isUpperCase: fc.boolean(),
});

const PLAIN: Notation = { space: '', quote: "'", isUpperCase: false };

const subjects: fc.Arbitrary<Subject> = fc
  .record({
    name: fc.constantFrom('alice', 'bob'),
    uid: fc.constantFrom('u-1', 'u-2'),
    groups: fc.subarray(['g-1', 'g-2']),
    roles: fc.subarray(ROLES),
    projects: fc.subarray(PROJECTS),
    isKeystoneUser: fc.nat({ max: 9 }).map((number) => number > 0),
  })
  .map((subject) => ({
    ...subject,
    groups: new Set(subject.groups),
    roles: new Set(subject.roles),
    projects: new Set(subject.projects),
    domains: new Set<string>(),
  }));

const resourceRequests: fc.Arbitrary<ResourceRequest> = fc.record({
  kind: fc.constant('resource'),
  verb: fc.constantFrom(...VERBS, 'delete'),
  namespace: fc.constantFrom('', ...NAMESPACES),
  group: fc.constantFrom('', 'apps'),
  resource: fc.constantFrom(...RESOURCES, 'nodes'),
  subresource: fc.constantFrom('', '', ...SUBRESOURCES),
  name: fc.constantFrom('', 'x'),
});

const pathRequests: fc.Arbitrary<PathRequest> = fc.record({
  kind: fc.constant('path'),
  verb: fc.constantFrom(...VERBS, 'delete'),
  path: fc.constantFrom(...PATHS, '/healthz/', '/metricsx'),
});

const requests: fc.Arbitrary<AccessRequest> = fc.oneof(
  { weight: 3, arbitrary: resourceRequests },
  { weight: 1, arbitrary: pathRequests },
);

/** Several questions for each policy: to compile a policy costs more than to ask it. */
const questions = fc.array(fc.tuple(subjects, requests), { minLength: 1, maxLength: 12 });

const NONE: Compatibilities = new Set();

/** Sets of compatibilities; with them an entry may grant more, but a narrower one still not more than a wider one. */
const compatibilities: fc.Arbitrary<Compatibilities> = fc
  .subarray(Object.keys(COMPATIBILITIES) as Compatibility[])
  .map((list) => new Set(list));

function allows(definitions: readonly unknown[], subject: Subject, request: AccessRequest, set = NONE): boolean {
  return findAllowingEntry(parsePolicy(JSON.stringify(definitions), set), subject, request) !== undefined;
}

void t.test('an entry grants what its description says, however it is written', async (t) => {
  let grantedCount = 0;
  const property = fc.property(entries, notations, questions, (entry, notation, asked) => {
    const policy = parsePolicy(JSON.stringify([writeEntry(entry, notation)]), NONE);
    for (const [subject, request] of asked) {
      const isAllowed = findAllowingEntry(policy, subject, request) !== undefined;
      assert.equal(isAllowed, grants(entry, subject, request), JSON.stringify(request));
      if (isAllowed) grantedCount += 1;
    }
  });
  await checkProperty(t, property, 2_500);
  t.ok(grantedCount > 500, `${grantedCount} requests were granted`);
});

void t.test('a policy grants what any of its entries grants, and names the first of them', async (t) => {
  const lists = fc.array(entries, { maxLength: 4 });
  const property = fc.property(lists, questions, (list, asked) => {
    const policy = parsePolicy(JSON.stringify(list.map((entry) => writeEntry(entry, PLAIN))), NONE);
    for (const [subject, request] of asked) {
      const index = list.findIndex((entry) => grants(entry, subject, request));
      assert.equal(findAllowingEntry(policy, subject, request)?.number, index < 0 ? undefined : index + 1);
    }
  });
  await checkProperty(t, property, 800);
});

void t.test('a key is read as it was written', async (t) => {
  const property = fc.property(keys, notations, (key, notation) => {
    const { namespace, resource } = parseKeyPattern(writeKey(key, notation), NONE) ?? {};
    for (const [side, read] of [
      [key.namespace, namespace],
      [key.resource, resource],
    ] as const) {
      assert.deepEqual(read, { ...side, hasSpacedNegation: false });
    }
  });
  await checkProperty(t, property, 1_500);
});

// --- Narrower entries ---

/** Ways to take something away from an entry; undefined where there is nothing to take. */
type Narrowing = (entry: Entry, at: number) => Entry | undefined;

const without = <T>(list: readonly T[], at: number): T[] => list.toSpliced(at % Math.max(1, list.length), 1);

function changeKey(entry: Entry, at: number, change: (key: Key) => Key): Entry | undefined {
  const { keys: list = [] } = entry;
  const index = at % Math.max(1, list.length);
  const key = list[index];
  return key === undefined ? undefined : { ...entry, keys: list.with(index, change(key)) };
}

/** A positive side loses a word; an exclusion gets another one. */
function narrowSide(side: Side, at: number, words: readonly string[]): Side {
  if (side.isNegated) return { ...side, isList: true, words: [...side.words, words[at % words.length] ?? ''] };
  if (side.isList && side.words.length > 1) return { ...side, words: without(side.words, at) };
  // A list with one word, or one word: nothing else is left than to name one thing of all.
  return side.words[0] === '*' ? { ...side, words: [words[at % words.length] ?? ''] } : side;
}

const NARROWINGS: Readonly<Record<string, Narrowing>> = {
  'a verb is removed': (entry, at) => changeKey(entry, at, (key) => ({ ...key, verbs: without(key.verbs, at) })),
  'all verbs become one': (entry, at) =>
    changeKey(entry, at, (key) => (key.verbs.includes('*') ? { ...key, verbs: ['get'] } : key)),
  'fewer namespaces': (entry, at) =>
    changeKey(entry, at, (key) => ({ ...key, namespace: narrowSide(key.namespace, at, NAMESPACES) })),
  'fewer resources': (entry, at) =>
    changeKey(entry, at, (key) => ({ ...key, resource: narrowSide(key.resource, at, [...RESOURCES, 'pods/exec']) })),
  'a key is removed': (entry, at) => entry.keys && { ...entry, keys: without(entry.keys, at) },
  'a path is removed': (entry, at) => entry.paths && { ...entry, paths: without(entry.paths, at) },
  'another role is required': ({ users, ...entry }, at) => ({
    ...entry,
    users: { projects: PROJECTS, ...users, roles: [...(users?.roles ?? []), ROLES[at % ROLES.length] ?? ''] },
  }),
  'a project is removed': ({ users, ...entry }, at) =>
    users?.projects && { ...entry, users: { ...users, projects: without(users.projects, at) } },
  'the projects are removed': ({ users, ...entry }) => users?.roles && { ...entry, users: { roles: users.roles } },
  'another term must match': ({ match = [], ...entry }, at) => ({
    ...entry,
    match: [...match, { type: 'role', values: [ROLES[at % ROLES.length] ?? ''] }],
  }),
  'a value of a term is removed': ({ match = [], ...entry }, at) => ({
    ...entry,
    match: match.map(({ type, values }) => ({ type, values: without(values, at) })),
  }),
  'a resource of version 1 is removed': ({ resource, ...entry }, at) =>
    resource && { ...entry, resource: { ...resource, resources: without(resource.resources, at) } },
  'a verb of version 1 is removed': ({ resource, ...entry }, at) =>
    resource && { ...entry, resource: { ...resource, verbs: without(resource.verbs, at) } },
  'one namespace in version 1': ({ resource, ...entry }) =>
    resource?.namespace === '*' ? { ...entry, resource: { ...resource, namespace: 'web' } } : undefined,
  'one API group in version 1': ({ resource, ...entry }) =>
    resource?.version === '*' ? { ...entry, resource: { ...resource, version: 'apps' } } : undefined,
  'one path in version 1': ({ nonresource, ...entry }) =>
    nonresource?.path.endsWith('*') ? { ...entry, nonresource: { ...nonresource, path: '/metrics' } } : undefined,
};

void t.test('an entry from which something is taken away never grants more', async (t) => {
  const narrowings = fc.constantFrom(...Object.entries(NARROWINGS));
  let lostCount = 0;
  const property = fc.property(
    entries,
    narrowings,
    fc.nat(),
    compatibilities,
    questions,
    (entry, [, narrow], at, set, asked) => {
      const narrowed = narrow(entry, at);
      fc.pre(narrowed !== undefined);
      const [wide, narrower] = [[writeEntry(entry, PLAIN)], [writeEntry(narrowed, PLAIN)]];
      for (const [subject, request] of asked) {
        const [before, after] = [wide, narrower].map((list) => allows(list, subject, request, set));
        assert.ok(before === true || after !== true, `granted only by the narrower entry: ${JSON.stringify(request)}`);
        if (before === true && after === false) lostCount += 1;
      }
    },
  );
  await checkProperty(t, property, 1_500);
  t.ok(lostCount > 50, `${lostCount} requests were granted by the wider entry only`);
});

// --- Unknown things ---

/** The grammar of keys, written down a second time. */
const WORD = String.raw`(?:[a-z0-9][a-z0-9._:-]*|\*)`;
const RESOURCE_WORD = String.raw`${WORD}(?:/${WORD})?`;
const listOf = (item: string): string => String.raw`\[\s*(?:${item}(?:\s*,\s*${item})*\s*)?\]`;
/** A list may contain anything in quotes, an excluding list only words. */
const sideOf = (word: string, text: string): string =>
  String.raw`\s*(?:!?\s*${word}|!\s*${listOf(`(?:["']${word}["'])`)}|${listOf(`["']${text}*["']`)})\s*`;
const KEY = new RegExp(
  String.raw`^${sideOf(WORD, String.raw`[^"'\]/]`)}/${sideOf(RESOURCE_WORD, String.raw`[^"'\]]`)}$`,
  'i',
);

const keyPieces = fc.constantFrom('web', 'pods', '*', '/', '!', '[', ']', ',', "'", '"', ' ', '**', '.', '{', '(', '|');
const keyTexts = fc.oneof(
  fc.array(keyPieces, { maxLength: 9 }).map((pieces) => pieces.join('')),
  // A valid key, with something else in place of one character.
  fc.tuple(keys, notations, fc.nat({ max: 30 }), keyPieces).map(([key, notation, at, piece]) => {
    const text = writeKey(key, notation);
    return text.slice(0, at) + piece + text.slice(at + 1);
  }),
);

void t.test('a key that does not follow the grammar grants nothing', async (t) => {
  let validCount = 0;
  const property = fc.property(keyTexts, resourceRequests, subjects, (key, request, subject) => {
    const isKey = parseKeyPattern(key, NONE) !== undefined;
    assert.equal(isKey, KEY.test(key), JSON.stringify(key));
    if (isKey) validCount += 1;
    else assert.equal(allows([{ resource_permissions: { [key]: ['*'] } }], subject, request), false);
  });
  await checkProperty(t, property, 3_000);
  t.ok(validCount > 100, `${validCount} keys followed it`);
});

const WIDE = { resource_permissions: { '*/*': ['*'] }, nonresource_permissions: { '/healthz': ['*'] } };
/** Names of comments begin with a mark, or say so. */
const unknownNames = fc
  .string()
  .filter((name) => !['roles', 'projects', 'domains'].includes(name) && !/^(?:[_#$]|\/\/|x-)/i.test(name));
const typeNames = fc.string().filter((type) => !['user', 'group', 'project', 'role'].includes(type));

void t.test('a restriction that is not understood grants nothing to anyone', async (t) => {
  const property = fc.property(unknownNames, typeNames, fc.jsonValue(), questions, (name, type, value, asked) => {
    const users = { roles: [], projects: PROJECTS, [name]: value };
    const everything = { verbs: ['*'], resources: ['*'], version: '*', namespace: '*' };
    const version1 = { resource: everything, nonresource: { verbs: ['*'], path: '*' } };
    for (const [subject, request] of asked) {
      assert.equal(allows([{ users, ...WIDE }], subject, request), false, 'an unknown restriction of users');
      const match = [{ type, values: ['*'] }];
      assert.equal(allows([{ ...version1, match }], subject, request), false, 'an unknown type of term');
    }
  });
  await checkProperty(t, property, 500);
});

/** A value that is none of those that a member may have; null counts as absent, as in Go. */
const wrongValues = fc.oneof(fc.integer(), fc.boolean(), fc.string(), fc.array(fc.integer(), { minLength: 1 }));

const WRONG_MEMBERS: readonly ((value: unknown) => Record<string, unknown>)[] = [
  (value) => ({ users: value, ...WIDE }),
  (value) => ({ users: { projects: value }, ...WIDE }),
  (value) => ({ users: { roles: value, projects: PROJECTS }, ...WIDE }),
  (value) => ({ resource_permissions: value }),
  (value) => ({ resource_permissions: { '*/*': value } }),
  (value) => ({ nonresource_permissions: { '/healthz': value } }),
  (value) => ({ resource: value }),
  (value) => ({ resource: { verbs: value, resources: ['*'], version: '*', namespace: '*' } }),
  (value) => ({ resource: { verbs: ['*'], resources: value, version: '*', namespace: '*' } }),
  (value) => ({ nonresource: { verbs: value, path: '*' } }),
  (value) => ({ resource: { verbs: ['*'], resources: ['*'], version: '*', namespace: '*' }, match: value }),
  (value) => ({ resource: { verbs: ['*'], resources: ['*'], version: '*', namespace: '*' }, match: [value] }),
];

void t.test('a member of a wrong type makes the whole policy invalid', async (t) => {
  const property = fc.property(fc.constantFrom(...WRONG_MEMBERS), wrongValues, (make, value) => {
    assert.throws(() => parsePolicy(JSON.stringify([WIDE, make(value)]), NONE), /^Error: entry 2: "/);
  });
  await checkProperty(t, property, 500);
});
