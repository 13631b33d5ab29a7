// Each part of the grammar of a policy on its own: which keys are valid, what an entry reports about itself, and which
// entries report nothing. policy.test.ts has the decisions.

import t from 'tap';
import { EXTRA_KEYS } from '../../src/webhook/authn/user-info.ts';
import type { Compatibility } from '../../src/webhook/authz/policy/compatibility.ts';
import type { Finding } from '../../src/webhook/authz/policy/finding.ts';
import { replaceGoLetters } from '../../src/webhook/authz/policy/letter-case.ts';
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
  domains: new Set(['default', 'Default']),
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

/** The findings without their positions, and without the one that every entry without users has. */
const findingsOf = (
  entry: object,
  ...compatibilities: readonly Compatibility[]
): readonly Pick<Finding, 'entry' | 'kind' | 'message'>[] =>
  parse(entry, ...compatibilities)
    .findings.map(({ entry, kind, message }) => ({ entry, kind, message }))
    .filter(({ message }) => !message.startsWith('without "users"'));

const v2 = (key: string, verbs: unknown = ['get']): object => ({ resource_permissions: { [key]: verbs } });
const USERS = { projects: ['demo'] };
const V1 = { verbs: ['get'], resources: ['pods'], version: '', namespace: 'web' };

void t.test('an invalid key grants nothing, although a part of it is valid', async (t) => {
  for (const key of [
    'pods',
    'web',
    '*/[pods',
    '*/pods]',
    '*/[podsx',
    "*/['pods',]",
    "*/['pods','a'b']",
    "*/['pods','a]']",
    '*/[pods, secrets]',
    'web/[pods, services]',
    "*/[['pods']]",
    "*/['pods', 1]",
    "['web','a/b']/pods",
    "['web'/pods",
    'web]/pods',
    "*/'pods'",
    '*/"pods"',
    "*/'*'",
    "default/'pods'",
    "*/' pods'",
    "*/x'pods'",
    "*/'pods'x",
    "*/''",
    '*/po*',
    'we*/pods',
    '*/pods secrets',
    '*/',
    '/pods',
    '/',
    '',
    '*/!a/b/c',
    '*/![secrets]',
    '*/![secrets, configmaps]',
    "*/!['secrets'",
    '*/\uFEFFpods',
  ]) {
    t.equal(allows(v2(key)), false, key);
    t.match(findingsOf(v2(key)), [{ entry: 1, kind: 'never', message: `"${key}" is not a key such as` }], key);
    t.equal(findingsOf(v2(key)).length, 1, key);
  }
});

void t.test('letters that Go changes to others are not part of a name', async (t) => {
  const hooks: ResourceRequest = { ...pods, resource: 'hooks' };
  t.equal(allows(v2('*/hooks'), hooks), true);
  const changed = [{ kind: 'fault', difference: 'changed-letters', message: 'the Go program changed letters' }];
  for (const key of [
    '*/hoo\u212As',
    '*/!hoo\u212As',
    "*/['hoo\u212As']",
    "*/![ 'hoo\u212As' ]",
    "*/['a', 'ho\u0130k']",
    '!\u212Aube-system/hooks',
  ]) {
    t.equal(allows(v2(key), hooks), false, key);
    t.match(parse({ users: USERS, ...v2(key) }).findings.slice(0, 1), changed, key);
  }
  t.equal(allows(v2("web/['hooks', '\u212A']"), hooks), true, 'the other names of a list');
  for (const key of [
    "*/['hoo\\u212As']",
    "*/['hook\u017F']",
    '*/hook\u017F',
    "*/'hoo\u212As'",
    '*/hoo\u212As/x y',
    "*/['\u00c4']",
  ]) {
    t.equal(allows(v2(key), hooks), false, key);
    t.match(findingsOf(v2(key))[0], { kind: 'never' }, `Go does not change it to a name either: ${key}`);
  }
  t.match(findingsOf(v2("*/!['hook\u017F']")), [{ kind: 'fault', message: 'excluded nothing' }]);
});

void t.test('letters that Go changes to others are not part of a verb', async (t) => {
  t.equal(allows(v2('web/configmaps', ['L\u0130ST']), { ...pods, verb: 'list', resource: 'configmaps' }), false);
  t.match(parse({ users: USERS, ...v2('web/configmaps', ['L\u0130ST', '\u017Fet']) }).findings, [
    { kind: 'fault', difference: 'changed-letters', message: '"L\u0130ST" is not a verb and matches nothing; the Go' },
    { kind: 'never', message: '"\u017Fet" is not a verb' },
  ]);
});

void t.test('no other letters become letters of ASCII in lower case', async (t) => {
  const letters: string[] = [];
  for (let code = 0x80; code <= 0x10_ff_ff; code += 1) {
    const letter = String.fromCodePoint(code);
    if (/[a-z]/.test(letter.toLowerCase())) letters.push(letter);
  }
  t.strictSame(letters, ['\u0130', '\u212A']);
  t.equal(replaceGoLetters('\u0130\u212A\u017Fa'), 'ik\u017Fa');
});

void t.test('an exclusion that is not understood grants nothing; in Go it excludes nothing', async (t) => {
  for (const key of [
    '*/!',
    '*/! ',
    '*/!!pods',
    '*/!!x',
    '*/!x!',
    "*/!'secrets'",
    '*/!"secrets"',
    '*/!secrets, configmaps',
    '*/!secret*',
    '!kube-*/pods',
    "!'kube-system'/pods",
    "*/![' secrets']",
    "*/!['secrets', '']",
    "*/!['secrets', null]",
    "*/!['secret*']",
    '!/*',
    '!!x/!!y',
  ]) {
    t.equal(allows(v2(key)), false, key);
    t.strictSame(
      findingsOf(v2(key)),
      [
        {
          entry: 1,
          kind: 'fault',
          message: `"${key}" is not a key such as "namespace/resource"; in the Go program it excluded nothing`,
        },
      ],
      key,
    );
  }
});

void t.test('a list matches its names; what else it contains matches nothing', async (t) => {
  for (const [key, strange] of [
    ["*/['pods','']", ''],
    ["*/['pods', null]", ''],
    ["*/['pods',' secrets']", ' secrets'],
    ["*/['pods','sec*']", 'sec*'],
    ["*/['pods','!secrets']", '!secrets'],
  ] as const) {
    t.equal(allows(v2(key)), true, key);
    t.equal(allows(v2(key), { ...pods, resource: 'secrets' }), false, key);
    t.match(findingsOf(v2(key, ['list'])), [
      { kind: 'never', message: `"${key}": "${strange}" is not a name and matches nothing` },
      { kind: 'fault', message: 'also granted' },
    ]);
  }
  t.equal(allows(v2("*/[' pods']")), false);
  t.match(findingsOf(v2("*/[' pods']")), [{ kind: 'never' }, { kind: 'never', message: 'has an empty list' }]);
  t.equal(allows(v2('*/[]')), false);
  t.match(findingsOf(v2('*/[]')), [{ kind: 'never', message: '"*/[]" has an empty list and matches nothing' }]);
});

void t.test('an empty exclusion excludes nothing, as in Go', async (t) => {
  t.equal(allows(v2('*/![]')), true);
  t.equal(allows(v2('![]/pods')), true);
  t.equal(allows(v2('![]/nodes'), { ...pods, namespace: '', resource: 'nodes' }), false);
  t.match(findingsOf(v2('*/![]', ['list'])), [
    { kind: 'odd', message: '"*/![]" has an empty list and excludes nothing' },
  ]);
});

void t.test('lists may have quotes of both kinds, and each side spaces around it', async (t) => {
  for (const key of [
    '*/["pods","secrets"]',
    '*/[\'pods\' , "secrets"]',
    ' web / pods ',
    "*/ [ 'pods' ] ",
    '*/\u00a0pods\u0085',
    'web/ !secrets',
    ' !db/pods',
  ]) {
    t.equal(allows(v2(key)), true, key);
  }
  t.equal(allows(v2('web/ !pods')), false);
  t.equal(allows(v2(' !web/pods')), false);
});

void t.test('what is no verb matches nothing', async (t) => {
  t.equal(allows(v2('web/pods', ['Get'])), true, 'capitals make no difference for resources');
  const path: AccessRequest = { kind: 'path', verb: 'get', path: '/healthz' };
  t.equal(allows({ nonresource_permissions: { '/healthz': ['get'] } }, path), true);
  for (const verb of [' get', 'get ', '', 'ge*', '* ']) {
    t.equal(allows(v2('web/configmaps', [verb]), { ...pods, resource: 'configmaps' }), false, verb);
    t.equal(allows({ nonresource_permissions: { '/healthz': [verb] } }, path), false, verb);
    for (const entry of [
      v2('web/configmaps', [verb]),
      { nonresource_permissions: { '/healthz': [verb] } },
      { resource: { ...V1, verbs: [verb] } },
    ]) {
      t.match(findingsOf(entry), [{ kind: 'never', message: `"${verb}" is not a verb and matches nothing` }], verb);
    }
  }
  for (const verb of ['impersonate:user-info', 'impersonate-on:user-info:list', 'use']) {
    const entry = { users: { projects: ['demo'] }, ...v2('web/configmaps', [verb]) };
    t.strictSame(findingsOf(entry), [], verb);
    t.equal(allows(v2('web/configmaps', [verb]), { ...pods, verb, resource: 'configmaps' }), true, verb);
  }
  t.equal(allows({ nonresource_permissions: { '/healthz': ['GET'] } }, path), false);
  t.equal(allows(v2('web/pods'), { ...pods, verb: 'GET' }), false);
});

void t.test('a path that no request has is reported', async (t) => {
  const nonresource = (path: string): object => ({ nonresource: { verbs: ['get'], path } });
  const inVersion2 = (path: string): object => ({ nonresource_permissions: { [path]: ['get'] } });
  for (const path of ['healthz', 'api*', ' /api']) {
    t.match(findingsOf(nonresource(path)), [{ kind: 'never', message: 'does not begin with "/"' }], path);
  }
  t.match(findingsOf(inVersion2('healthz')), [{ kind: 'never', message: 'does not begin with "/"' }]);
  t.match(findingsOf(nonresource('/api/*/x')), [{ kind: 'never', message: 'a * elsewhere than at its end' }]);
  for (const path of ['*', '**', '/', '/*', '/api', '/api**']) t.strictSame(findingsOf(nonresource(path)), [], path);
});

void t.test('a resource with an API group is reported: no resource has a dot in its name', async (t) => {
  for (const key of ['*/deployments.apps', "*/['secrets', 'deployments.apps/scale']"]) {
    t.match(findingsOf(v2(key, ['list']))[0], {
      kind: 'never',
      message: 'matches nothing: version 2 has no API groups',
    });
    t.notMatch(findingsOf(v2(key, ['list'])), [{ message: 'also granted' }], key);
  }
  t.match(findingsOf(v2('*/!deployments.apps', ['list'])), [{ kind: 'odd', message: 'excludes nothing' }]);
  t.match(findingsOf({ resource: { ...V1, resources: ['deployments.apps'] } }), [{ kind: 'never' }]);
});

void t.test('an empty verb voids "nonresource" and no other permission, as in Go', async (t) => {
  const path: AccessRequest = { kind: 'path', verb: 'get', path: '/healthz' };
  const verbs = ['', 'get'];
  t.equal(allows({ nonresource: { verbs, path: '/healthz' } }, path), false);
  t.match(findingsOf({ nonresource: { verbs, path: '/healthz' } }), [{ kind: 'never', message: 'an empty verb' }]);
  t.equal(allows({ nonresource_permissions: { '/healthz': verbs } }, path), true);
  t.equal(allows({ resource: { ...V1, verbs } }), true);
  t.equal(allows(v2('web/pods', verbs)), true);
});

void t.test('every * at the end of a path is part of the wildcard', async (t) => {
  const nonresource = { verbs: ['get'], path: '/api**' };
  t.equal(allows({ nonresource }, { kind: 'path', verb: 'get', path: '/apis/apps' }), true);
  t.equal(allows({ nonresource }, { kind: 'path', verb: 'get', path: '/version' }), false);
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
    v2('web/!pods', ['list']),
    v2('web/*', ['list']),
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
    [without('version'), fault('"resource" without "version" grants nothing; it made the Go program crash')],
    [without('namespace'), fault('"resource" without "namespace" grants nothing; it made the Go program crash')],
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
    [{ resource: null, resource_permissions: null }, never('it has no permissions')],
    [
      { ...v2('web/configmaps'), a: 1, b: 2 },
      { entry: 1, kind: 'odd', message: '"a" is unknown and ignored' },
      { entry: 1, kind: 'odd', message: '"b" is unknown and ignored' },
    ],
  ] as const) {
    t.strictSame(findingsOf(entry), findings, JSON.stringify(entry));
    if (findings.some((finding) => 'kind' in finding && finding.kind === 'never')) t.equal(allows(entry), false);
  }
});

void t.test('a part of version 1 that version 2 replaces has no other problems', async (t) => {
  const replaced = (part: object, key = 'web/configmaps'): readonly object[] => findingsOf({ ...v2(key), ...part });
  const ignored = [{ kind: 'never', message: '"resource" is ignored because "resource_permissions" is set' }];
  for (const resource of [{ verbs: ['get'] }, { ...V1, name: 'x' }, { ...V1, verbs: ['GET'] }]) {
    t.match(replaced({ resource }), ignored);
    t.equal(replaced({ resource }).length, 1);
    t.equal(allows({ ...v2('web/pods'), resource }), true);
  }
  t.throws(() => parse({ ...v2('web/pods'), resource: [] }), /"resource" must be an object/);
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
  pods: 'exec, attach, portforward, proxy, log, eviction and others',
  nodes: 'proxy',
  services: 'proxy',
  serviceaccounts: 'token',
  deployments: 'scale',
  statefulsets: 'scale',
  replicasets: 'scale',
  replicationcontrollers: 'scale',
  namespaces: 'finalize',
  certificatesigningrequests: 'approval',
  widgets: 'status',
};

void t.test('subresources that the Go program also granted are reported with their names', async (t) => {
  for (const [resource, names] of Object.entries(SUBRESOURCES)) {
    const key = `web/${resource}`;
    t.match(findingsOf(v2(key)), [
      {
        kind: 'fault',
        message: `"${key}" also granted the subresources of ${resource} (${names}) in the Go program; here they need "${resource}/*"`,
      },
    ]);
    t.strictSame(findingsOf(v2(key, ['list']), 'v2-subresources'), [], 'nothing that a compatibility covers');
  }
  t.match(findingsOf(v2("web/['pods','nodes','secrets']")), [{ message: 'here they need "pods/*", "nodes/*"' }]);
});

void t.test(
  'a resource that has no subresources covers those of a custom resource of its name, as in Go',
  async (t) => {
    const status: ResourceRequest = { ...pods, group: 'example.com', resource: 'configmaps', subresource: 'status' };
    t.equal(allows(v2('web/configmaps'), status), true);
    t.equal(allows(v2('web/widgets'), { ...status, resource: 'widgets' }), false);
  },
);

void t.test('a key that names a subresource is reported: the Go program ignores it', async (t) => {
  for (const key of ['x/pods/exec', "x/!['pods/exec']", 'x/!pods/exec', "x/['pods','pods/*']", 'x/*/scale']) {
    t.match(findingsOf(v2(key, ['create'])), [
      { kind: 'fault', message: `"${key}" names a subresource; the Go program ignores such a key` },
    ]);
    t.match(findingsOf(v2(key, ['create']), 'v2-subresources'), [
      { kind: 'never', message: `"${key}" names a subresource, which v2-subresources excludes` },
    ]);
  }
});

const UID = '0123456789abcdef0123456789abcdef';

void t.test('a user is matched by an ID only if the value has the form of one', async (t) => {
  const isMatch = (value: string, user: Partial<Subject>): boolean =>
    findAllowingEntry(
      parse({ resource: V1, match: [{ type: 'user', values: [value] }] }),
      { ...SUBJECT, ...user },
      pods,
    ) !== undefined;
  t.equal(isMatch(UID, { uid: UID }), true);
  t.equal(isMatch('u1', { uid: 'u1' }), false, 'as in Go, which never compares IDs');
  t.equal(isMatch('alice', {}), true);
  t.match(findingsOf({ resource: V1, match: [{ type: 'user', values: [UID] }] }), [
    { kind: 'fault', message: `"${UID}" also matches the ID of a user` },
  ]);
  t.match(findingsOf({ resource: V1, match: [{ type: 'user', values: [''] }] }), [
    { kind: 'fault', message: 'in the Go program, it matched every user' },
  ]);
});

void t.test('an empty name of a role or a project matches nothing', async (t) => {
  for (const entry of [
    { users: { projects: [''] }, ...v2('web/configmaps') },
    { users: { projects: ['demo'], roles: [''] }, ...v2('web/configmaps') },
    { resource: V1, match: [{ type: 'role', values: [''] }] },
  ]) {
    t.equal(allows(entry, { ...pods, resource: 'configmaps' }), false);
    t.match(findingsOf(entry), [{ kind: 'fault', message: 'matched empty names' }], JSON.stringify(entry));
  }
});

void t.test('users.domains restricts to the domain of the user, by ID or name', async (t) => {
  const users = (domains: unknown): object => ({ users: { projects: ['demo'], domains }, ...v2('web/pods') });
  t.equal(allows(users(['x', 'default'])), true);
  t.equal(allows(users(['Default'])), true);
  t.equal(allows(users(['x'])), false);
  t.equal(allows(users([])), false);
  t.equal(allows({ users: { domains: ['default'] }, ...v2('web/pods') }), false, 'projects stay necessary');
  t.throws(() => allows(users('default')), /"domains" must be a list of strings/);
  t.match(findingsOf({ users: { projects: ['demo'], domains: ['x'] }, ...v2('web/configmaps') }), [
    { kind: 'fault', message: '"users" is restricted to "domains", which the Go program ignores' },
  ]);
});

void t.test('names of members are read as Go reads them', async (t) => {
  const USERS = { projects: ['ops'], roles: ['admin'] };
  for (const entry of [
    { Users: USERS, ...v2('*/*') },
    { USERS, Resource_Permissions: { '*/*': ['get'] } },
    { 'u\u017fers': USERS, ...v2('*/*') },
    { RESOURCE: V1, Match: [{ Type: 'role', VALUES: ['admin'] }] },
  ]) {
    t.equal(allows(entry), false, JSON.stringify(entry));
    t.strictSame(
      findingsOf(entry).filter(({ kind }) => kind !== 'odd'),
      [],
      JSON.stringify(entry),
    );
  }
  t.equal(allows({ RESOURCE: { VERBS: ['get'], Resources: ['pods'], Version: '', NameSpace: 'web' } }), true);
  t.equal(allows({ Resource_Permissions: { 'web/pods': ['get'] } }), true);
});

void t.test('a member that occurs twice makes the policy invalid', async (t) => {
  for (const text of [
    '[{"users":{"projects":["ops"],"roles":["admin"]},"users":{"projects":["demo"]},"resource_permissions":{"*/*":["*"]}}]',
    '[{"users":{"projects":["ops"]},"Users":{"projects":["demo"]}}]',
    '[{"users":{"projects":["ops"],"projects":["demo"]}}]',
    '[{"resource_permissions":{"*/*":["get"],"*/*":["*"]}}]',
    '[{"match":[{"type":"role","Type":"user"}]}]',
    '[{"comment":{"x":1,"x":2}}]',
    '[{"a":1,"\\u0061":2}]',
  ]) {
    t.throws(() => parsePolicy(text, new Set()), { message: /the key ".*" occurs twice$/ }, text);
  }
});

void t.test('an unknown member that resembles a restriction voids its entry', async (t) => {
  const users = { projects: ['demo'] };
  for (const [name, entry] of [
    ['user', { user: users, ...v2('web/pods') }],
    ['matches', { resource: V1, matches: [{ type: 'role', values: ['admin'] }] }],
    ['user_s', { user_s: users, ...v2('web/pods') }],
    ['roles', { users, roles: ['admin'], ...v2('web/pods') }],
    ['allowedUsers', { allowedUsers: ['bob'], ...v2('web/pods') }],
    ['resourceNames', { resource: { ...V1, resourceNames: ['x'] } }],
    ['name', { resource: { ...V1, name: 'x' } }],
    ['namespaces', { resource: { ...V1, namespaces: ['x'] } }],
    ['value', { resource: V1, match: [{ type: 'role', values: ['member'], value: 'admin' }] }],
    ['deny', { users, deny: true, ...v2('web/pods') }],
    ['Roles', { users: { ...users, Roles: ['admin'] }, ...v2('web/pods') }],
    ['groups', { users: { ...users, groups: ['admins'] }, ...v2('web/pods') }],
    ['teams', { users: { ...users, teams: ['x'] }, ...v2('web/pods') }],
  ] as const) {
    t.equal(allows(entry), false, name);
    t.match(
      findingsOf(entry).filter(({ kind, message }) => kind === 'fault' && message.includes(`"${name}"`)),
      [{ message: /the Go program ignores it$/ }],
      name,
    );
  }
});

void t.test('any other unknown member is reported and changes nothing', async (t) => {
  const users = { projects: ['demo'] };
  for (const [name, entry] of [
    ['comment', { comment: 'x', users, ...v2('web/pods') }],
    ['Comment', { Comment: { a: [1, null, true] }, users, ...v2('web/pods') }],
    ['description', { description: 'x', users, ...v2('web/pods') }],
    ['name', { name: 'x', users, ...v2('web/pods') }],
    ['notes', { notes: 'x', users, ...v2('web/pods') }],
    ['id', { id: 1, users, ...v2('web/pods') }],
    ['_', { _: '', users, ...v2('web/pods') }],
    ['comment', { users: { ...users, comment: ['x'] }, ...v2('web/pods') }],
    ['comment', { resource: { ...V1, comment: 'x' } }],
    ['comment', { resource: V1, match: [{ type: 'role', values: ['member'], comment: 'x' }] }],
  ] as const) {
    t.equal(allows(entry), true, JSON.stringify(entry));
    t.match(
      findingsOf(entry).filter(({ message }) => !message.includes('subresources')),
      [{ kind: 'odd', message: `"${name}" is unknown and ignored` }],
      JSON.stringify(entry),
    );
  }
});

void t.test('an entry without users is reported: the Go program applies it to service accounts too', async (t) => {
  const isReported = (entry: object): boolean =>
    parse(entry).findings.some(({ message }) => message.startsWith('without "users"'));
  const role = { match: [{ type: 'role', values: ['member'] }] };
  t.equal(isReported(v2('web/pods')), true);
  t.equal(isReported({ nonresource_permissions: { '/x': ['get'] } }), true);
  t.equal(isReported({ resource: V1 }), true);
  t.equal(isReported({ resource: V1, match: [{ type: 'group', values: ['system:serviceaccounts'] }] }), true);
  t.equal(isReported({ resource: V1, match: [{ type: 'role', values: ['*'] }] }), true);
  t.equal(isReported({ ...role, ...v2('web/pods') }), true, 'match is for version 1');
  t.equal(isReported({ resource: V1, ...role }), false);
  t.equal(isReported({ users: { projects: ['demo'] }, ...v2('web/pods') }), false);
});

void t.test('a finding has the position of what it is about', async (t) => {
  const text = `[
  {
    "users": { "projects": ["demo"], "team": ["x"] },
    "resource_permissions": {
      "web/po*": ["get"],
      "web/configmaps": ["list", " get"]
    }
  }
]`;
  t.match(parsePolicy(text, new Set()).findings, [
    { line: 3, column: 38, message: '"team"' },
    { line: 5, column: 7, message: '"web/po*"' },
    { line: 6, column: 34, message: '" get" is not a verb' },
  ]);
});

void t.test('get is reported for each connection that it opens, unless the entry also creates them', async (t) => {
  const all = ['pods/exec', 'pods/attach', 'pods/portforward', 'pods/proxy', 'services/proxy', 'nodes/proxy'];
  for (const connection of all) {
    const key = `*/${connection}`;
    t.match(
      findingsOf(v2(key)).filter(({ kind }) => kind === 'odd'),
      [{ entry: 1, message: `"${key}" with "get" allows ${connection}: ` }],
    );
    for (const verbs of [['create'], ['get', 'create'], ['get', '*'], ['*']]) {
      t.match(findingsOf(v2(key, verbs)), [{ kind: 'fault' }], `${key} ${verbs.join()}`);
    }
  }
  t.match(findingsOf(v2('*/*')), [{ message: `"*/*" with "get" allows ${all.join(', ')}: ` }]);
  t.match(findingsOf(v2('web/*')), [{ message: `"web/*" with "get" allows ${all.slice(0, -1).join(', ')}: ` }]);
  t.match(findingsOf(v2('web/nodes/proxy')), [{ kind: 'fault' }], 'a node is not in a namespace');
});

void t.test('the empty policy allows nothing and has no findings', async (t) => {
  t.equal(findAllowingEntry(EMPTY_POLICY, SUBJECT, pods), undefined);
  t.match(EMPTY_POLICY, { entries: [], findings: [] });
});

void t.test('a subject has only the properties that the review names', async (t) => {
  const review = { kind: 'SubjectAccessReview', version: 'v1', user: 'alice', uid: 'u1', request: pods } as const;
  t.strictSame(readSubject({ ...review, groups: ['g'], extra: new Map() }), {
    name: 'alice',
    uid: 'u1',
    groups: new Set(['g']),
    roles: new Set(),
    projects: new Set(),
    domains: new Set(),
    isKeystoneUser: false,
  });
  const extra = new Map([[EXTRA_KEYS.projectName, ['demo', '']]]);
  t.match(readSubject({ ...review, groups: [], extra }), { projects: new Set(['demo']), isKeystoneUser: true });
});
