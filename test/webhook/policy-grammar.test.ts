// Each part of the grammar of a policy on its own: which keys are valid, what an entry reports about itself, and which
// entries report nothing. policy.test.ts has the decisions.

import t from 'tap';
import { EXTRA_KEYS } from '../../src/webhook/authn/user-info.ts';
import type { Compatibility } from '../../src/webhook/authz/policy/compatibility.ts';
import type { Finding } from '../../src/webhook/authz/policy/finding.ts';
import { EMPTY_POLICY, findAllowingEntry, parsePolicy } from '../../src/webhook/authz/policy/policy.ts';
import { readSubject } from '../../src/webhook/authz/policy/subject.ts';
import type { Subject } from '../../src/webhook/authz/policy/subject.ts';
import type { AccessRequest, ResourceRequest } from '../../src/webhook/review/access-request.ts';

const SUBJECT: Subject = {
  name: 'alice',
  uid: 'u1',
  groups: new Set(),
  roles: new Set(['member']),
  projects: new Set(['demo']),
  isKeystoneUser: true,
};

const pods: ResourceRequest = {
  kind: 'resource',
  verb: 'get',
  namespace: 'web',
  group: '',
  resource: 'pods',
  subresource: '',
  name: '',
};

const parse = (entry: object, ...compatibilities: readonly Compatibility[]): ReturnType<typeof parsePolicy> =>
  parsePolicy(JSON.stringify([entry]), new Set(compatibilities));

const allows = (entry: object, request: AccessRequest = pods): boolean =>
  findAllowingEntry(parse(entry), SUBJECT, request) !== undefined;

const findingsOf = (entry: object, ...compatibilities: readonly Compatibility[]): readonly Finding[] =>
  parse(entry, ...compatibilities).findings;

const v2 = (key: string, verbs: unknown = ['get']): object => ({ resource_permissions: { [key]: verbs } });
const V1 = { verbs: ['get'], resources: ['pods'], version: '', namespace: 'web' };

void t.test('an invalid key grants nothing, although a part of it is valid', async (t) => {
  for (const key of [
    'pods',
    'web',
    '*/[pods',
    '*/pods]',
    '*/[podsx',
    "*/['pods','']",
    "*/['pods',]",
    "*/['pods','a b']",
    "*/['pods','a'b']",
    "*/['pods','a/b/c']",
    "*/['pods','/a']",
    "*/['pods','a/']",
    "['web','a/b']/pods",
    "['web'/pods",
    'web]/pods',
    "*/x'pods'",
    "*/'pods'x",
    '*/x"pods"',
    '*/"pods"x',
    "*/''",
    '*/!',
    '*/!!pods',
    '*/',
    '/pods',
    '/',
    '',
  ]) {
    t.equal(allows(v2(key)), false, key);
    t.match(findingsOf(v2(key)), [{ entry: 1, kind: 'never', message: `"${key}" is not a key such as` }], key);
    t.equal(findingsOf(v2(key)).length, 1, key);
  }
});

void t.test('words may have quotes of both kinds, and spaces around them and inside the quotes', async (t) => {
  for (const key of [
    "*/'pods'",
    '*/"pods"',
    '*/["pods","secrets"]',
    '*/[pods,secrets]',
    '*/[ \' pods \' , " secrets " ]',
    " 'web' / pods ",
    "*/ [ 'pods' ] ",
    'web/ !secrets',
    ' !db/pods',
  ]) {
    t.equal(allows(v2(key)), true, key);
  }
  t.equal(allows(v2('web/ !pods')), false);
  t.equal(allows(v2(' !web/pods')), false);
});

void t.test('verbs of version 2 may have spaces around them, and those of a path may not', async (t) => {
  t.equal(allows(v2('web/pods', [' Get '])), true);
  const path: AccessRequest = { kind: 'path', verb: 'get', path: '/healthz' };
  t.equal(allows({ nonresource_permissions: { '/healthz': ['get'] } }, path), true);
  t.equal(allows({ nonresource_permissions: { '/healthz': [' get '] } }, path), false);
});

void t.test('an entry without problems reports nothing', async (t) => {
  const users = { projects: ['demo'], roles: ['member'] };
  for (const entry of [
    { users, ...v2('web/configmaps') },
    { users: { projects: ['demo'] }, nonresource_permissions: { '/healthz': ['get'] } },
    { resource: V1, match: [{ type: 'role', values: ['member'] }] },
    { nonresource: { verbs: ['get'], path: '/healthz' }, match: [{ type: 'user', values: ['alice'] }] },
    { resource: V1, nonresource: { verbs: ['get'], path: '/healthz' } },
    { ...v2('web/configmaps'), nonresource: { verbs: ['get'], path: '/x' }, match: [] },
    v2("web/['pods','pods/*']", ['list']),
    v2('web/!pods', ['list']),
    v2('web/*', ['list']),
    v2('web/pods/exec', ['create']),
  ]) {
    t.strictSame(findingsOf(entry), [], JSON.stringify(entry));
  }
});

void t.test('members that are missing are reported with their names and what they cost', async (t) => {
  const never = (message: string): object => ({ entry: 1, kind: 'never', message });
  const fault = (message: string): object => ({ entry: 1, kind: 'fault', message });
  const without = (name: keyof typeof V1): object => ({ resource: { ...V1, [name]: undefined } });
  for (const [entry, ...findings] of [
    [v2('web/configmaps', null), never('"web/configmaps" has no verbs')],
    [{ resource_permissions: {} }, never('"resource_permissions" is empty')],
    [{ nonresource_permissions: {} }, never('"nonresource_permissions" is empty')],
    [{ nonresource_permissions: { '/x': null } }, never('"/x" has no verbs')],
    [
      without('version'),
      fault('"resource" without "version" made the Go program crash'),
      never('"resource" without "version" grants nothing'),
    ],
    [
      without('namespace'),
      fault('"resource" without "namespace" made the Go program crash'),
      never('"resource" without "namespace" grants nothing'),
    ],
    [without('verbs'), never('"resource" without "verbs" grants nothing')],
    [without('resources'), never('"resource" without "resources" grants nothing')],
    [{ nonresource: { path: '/x' } }, never('"nonresource" without "verbs" grants nothing')],
    [{ nonresource: { verbs: ['get'] } }, never('"nonresource" without "path" grants nothing')],
    [
      { resource: V1, match: [{ values: ['x'] }] },
      never('"match" supports the types user, group, project, role, not ""'),
    ],
    [{ resource: V1, match: [{ type: 'role' }] }, never('"match" of type role without values matches no user')],
    [{ users: {}, ...v2('web/configmaps') }, never('"users" without "projects" matches no user')],
    [{}, never('it has no permissions')],
    [
      { ...v2('web/configmaps'), a: 1, b: 2 },
      { entry: 1, kind: 'odd', message: '"a", "b" is unknown and ignored' },
    ],
  ] as const) {
    t.strictSame(findingsOf(entry), findings, JSON.stringify(entry));
    if (findings.some((finding) => 'kind' in finding && finding.kind === 'never')) t.equal(allows(entry), false);
  }
});

void t.test('version 1 without "match" or with an empty one is for every user', async (t) => {
  t.equal(allows({ resource: V1 }), true);
  t.equal(allows({ resource: V1, match: null }), true);
});

void t.test('a resource of version 1 is one of the list, and its subresources are its own', async (t) => {
  t.equal(allows({ resource: { ...V1, resources: ['secrets', 'pods'] } }), true);
  const subresources = { resource: { ...V1, resources: ['pods/*'] } };
  t.equal(allows(subresources, { ...pods, subresource: 'log' }), true);
  t.equal(allows(subresources, { ...pods, resource: 'services', subresource: 'proxy' }), false);
  t.equal(allows({ resource: { ...V1, resources: ['pods/log'] } }, { ...pods, resource: 'pods/log' }), true);
});

const SUBRESOURCES: Readonly<Record<string, string>> = {
  pods: 'exec, attach, portforward, log and others',
  nodes: 'proxy',
  services: 'proxy',
  serviceaccounts: 'token',
  deployments: 'scale',
  statefulsets: 'scale',
  replicasets: 'scale',
  namespaces: 'finalize',
};

void t.test('a resource whose subresources grant more is reported with their names', async (t) => {
  for (const [resource, names] of Object.entries(SUBRESOURCES)) {
    const key = `web/${resource}`;
    t.match(findingsOf(v2(key)), [
      {
        kind: 'fault',
        message: `"${key}" granted the subresources of ${resource} (${names}) in the Go program; here they need "${resource}/*" in a key`,
      },
    ]);
    t.match(findingsOf(v2(key, ['list']), 'v2-subresources'), [
      {
        kind: 'fault',
        message: `"${key}" also grants the subresources of ${resource} (${names}), as in the Go program`,
      },
    ]);
  }
  t.equal(findingsOf(v2("web/['pods','nodes']")).length, 2);
});

void t.test('get is reported for each connection that it opens, unless the entry also creates them', async (t) => {
  const all = ['pods/exec', 'pods/attach', 'pods/portforward', 'pods/proxy', 'services/proxy', 'nodes/proxy'];
  for (const connection of all) {
    const key = `*/${connection}`;
    t.match(findingsOf(v2(key)), [{ entry: 1, kind: 'odd', message: `"${key}" with "get" allows ${connection}: ` }]);
    for (const verbs of [['create'], ['get', 'create'], ['get', '*'], ['*']]) {
      t.strictSame(findingsOf(v2(key, verbs)), [], `${key} ${verbs.join()}`);
    }
  }
  t.match(findingsOf(v2('*/*')), [{ message: `"*/*" with "get" allows ${all.join(', ')}: ` }]);
  t.match(findingsOf(v2('web/*')), [{ message: `"web/*" with "get" allows ${all.slice(0, -1).join(', ')}: ` }]);
  t.strictSame(findingsOf(v2('web/nodes/proxy')), [], 'a node is not in a namespace');
});

void t.test('the empty policy allows nothing and has no findings', async (t) => {
  t.equal(findAllowingEntry(EMPTY_POLICY, SUBJECT, pods), undefined);
  t.strictSame(EMPTY_POLICY, { entries: [], findings: [] });
});

void t.test('a subject has only the properties that the review names', async (t) => {
  const review = { kind: 'SubjectAccessReview', version: 'v1', user: 'alice', uid: 'u1', request: pods } as const;
  t.strictSame(readSubject({ ...review, groups: ['g'], extra: new Map() }), {
    name: 'alice',
    uid: 'u1',
    groups: new Set(['g']),
    roles: new Set(),
    projects: new Set(),
    isKeystoneUser: false,
  });
  const extra = new Map([[EXTRA_KEYS.projectName, ['demo', '']]]);
  t.match(readSubject({ ...review, groups: [], extra }), { projects: new Set(['demo']), isKeystoneUser: true });
});
