// What each form of policy entry allows, which is the same as in the Go program unless that is wrong, and which
// problems a policy has.

import t from 'tap';
import { EXTRA_KEYS } from '../../src/webhook/authn/user-info.ts';
import type { Compatibility } from '../../src/webhook/authz/policy/compatibility.ts';
import { findAllowingEntry, parsePolicy } from '../../src/webhook/authz/policy/policy.ts';
import { readSubject } from '../../src/webhook/authz/policy/subject.ts';
import type { AccessRequest } from '../../src/webhook/review/access-request.ts';
import type { AccessReview } from '../../src/webhook/review/review.ts';

const MEMBER = { projects: ['demo'], roles: ['member'] };

interface Row {
  readonly title: string;
  readonly entry: object;
  /** `verb namespace/resource[/subresource]`, with `-` for no namespace, then `.group`; or `verb path`. */
  readonly request: string;
  readonly user?: Partial<AccessReview>;
  readonly compatibilities?: readonly Compatibility[];
  readonly allowed: boolean;
}

const extra = (roles: readonly string[], id = 'p1', name = 'demo'): AccessReview['extra'] =>
  new Map([
    [EXTRA_KEYS.roles, roles],
    [EXTRA_KEYS.projectId, [id]],
    [EXTRA_KEYS.projectName, [name]],
  ]);

const ALICE: Omit<AccessReview, 'request'> = {
  kind: 'SubjectAccessReview',
  version: 'v1',
  user: 'alice',
  uid: 'u1',
  groups: ['p1', 'devs', 'system:authenticated'],
  extra: extra(['member', 'reader']),
};

function parseRequest(text: string): AccessRequest {
  const [verb = '', target = ''] = text.split(' ');
  if (target.startsWith('/')) return { kind: 'path', verb, path: target };
  const [resourcePath = '', group = ''] = target.split('.');
  const [namespace = '', resource = '', subresource = ''] = resourcePath.split('/');
  return {
    kind: 'resource',
    verb,
    namespace: namespace === '-' ? '' : namespace,
    group,
    resource,
    subresource,
    name: '',
  };
}

const v2 = (key: string, verbs: readonly string[] = ['*']): object => ({ resource_permissions: { [key]: verbs } });
const v1 = (resource: object, match: readonly object[] = []): object => ({ resource, match });
const anyV1 = { verbs: ['*'], resources: ['*'], version: '*', namespace: '*' };
const pods = (changes: object): object => v1({ ...anyV1, resources: ['pods'], ...changes });

const ROWS: readonly Row[] = [
  // users
  { title: 'no users: every user', entry: v2('*/*'), request: 'get web/pods', allowed: true },
  { title: 'role and project', entry: { users: MEMBER, ...v2('*/*') }, request: 'get web/pods', allowed: true },
  {
    title: 'project by ID',
    entry: { users: { projects: ['p1'] }, ...v2('*/*') },
    request: 'get web/pods',
    allowed: true,
  },
  {
    title: 'any project',
    entry: { users: { projects: ['x', 'demo'] }, ...v2('*/*') },
    request: 'get web/pods',
    allowed: true,
  },
  {
    title: 'another project',
    entry: { users: { projects: ['x'] }, ...v2('*/*') },
    request: 'get web/pods',
    allowed: false,
  },
  {
    title: 'all roles',
    entry: { users: { projects: ['demo'], roles: ['member', 'reader'] }, ...v2('*/*') },
    request: 'get web/pods',
    allowed: true,
  },
  {
    title: 'a role is missing',
    entry: { users: { projects: ['demo'], roles: ['member', 'admin'] }, ...v2('*/*') },
    request: 'get web/pods',
    allowed: false,
  },
  {
    title: 'roles without projects',
    entry: { users: { roles: ['member'] }, ...v2('*/*') },
    request: 'get web/pods',
    allowed: false,
  },
  {
    title: 'empty projects',
    entry: { users: { projects: [] }, ...v2('*/*') },
    request: 'get web/pods',
    allowed: false,
  },
  { title: 'empty users', entry: { users: {}, ...v2('*/*') }, request: 'get web/pods', allowed: false },
  { title: 'null users are absent', entry: { users: null, ...v2('*/*') }, request: 'get web/pods', allowed: true },
  {
    title: 'an unknown restriction',
    entry: { users: { projects: ['demo'], groups: ['x'] }, ...v2('*/*') },
    request: 'get web/pods',
    allowed: false,
  },
  {
    title: 'a role that is part of another',
    entry: { users: { projects: ['demo'], roles: ['mem'] }, ...v2('*/*') },
    request: 'get web/pods',
    allowed: false,
  },
  { title: 'users with version 1', entry: { users: MEMBER, ...v1(anyV1) }, request: 'get web/pods', allowed: true },
  {
    title: 'users against version 1',
    entry: { users: { projects: ['x'] }, ...v1(anyV1) },
    request: 'get web/pods',
    allowed: false,
  },
  {
    title: 'no extra: not a user of Keystone',
    entry: v2('*/*'),
    request: 'get web/pods',
    user: { extra: new Map() },
    allowed: false,
  },
  {
    title: 'extra of another authenticator',
    entry: v2('*/*'),
    request: 'get web/pods',
    user: { extra: new Map([['scopes', ['all']]]) },
    allowed: false,
  },
  {
    title: 'empty project names match nothing',
    entry: { users: { projects: [''] }, ...v2('*/*') },
    request: 'get web/pods',
    user: { extra: extra(['member'], '', '') },
    allowed: false,
  },

  // version 2: verbs
  { title: 'the verb', entry: v2('*/pods', ['get']), request: 'get web/pods', allowed: true },
  { title: 'another verb', entry: v2('*/pods', ['get']), request: 'list web/pods', allowed: false },
  { title: 'one of the verbs', entry: v2('*/pods', ['get', 'list']), request: 'list web/pods', allowed: true },
  { title: 'any verb', entry: v2('*/pods', ['*']), request: 'delete web/pods', allowed: true },
  { title: 'a verb in capitals', entry: v2('*/pods', ['GET']), request: 'get web/pods', allowed: true },
  { title: 'no verbs', entry: v2('*/pods', []), request: 'get web/pods', allowed: false },
  { title: 'null verbs', entry: { resource_permissions: { '*/pods': null } }, request: 'get web/pods', allowed: false },
  { title: 'an empty verb', entry: v2('*/pods', ['get']), request: ' web/pods', allowed: false },

  // version 2: keys
  { title: 'literals', entry: v2('web/pods'), request: 'get web/pods', allowed: true },
  { title: 'another namespace', entry: v2('web/pods'), request: 'get db/pods', allowed: false },
  { title: 'another resource', entry: v2('web/pods'), request: 'get web/secrets', allowed: false },
  { title: 'trimmed', entry: v2('  web / pods  '), request: 'get web/pods', allowed: true },
  { title: 'lower-cased', entry: v2('Web/Pods'), request: 'get web/pods', allowed: true },
  { title: 'any resource', entry: v2('web/*'), request: 'get web/secrets', allowed: true },
  { title: 'any namespace', entry: v2('*/pods'), request: 'get db/pods', allowed: true },
  { title: 'not this resource', entry: v2('*/!secrets'), request: 'get web/secrets', allowed: false },
  { title: 'not another resource', entry: v2('*/!secrets'), request: 'get web/pods', allowed: true },
  { title: 'not this namespace', entry: v2('!kube-system/*'), request: 'get kube-system/pods', allowed: false },
  { title: 'not another namespace', entry: v2('!kube-system/*'), request: 'get web/pods', allowed: true },
  { title: 'never: !* resource', entry: v2('*/!*'), request: 'get web/pods', allowed: false },
  { title: 'never: !* namespace', entry: v2('!*/*'), request: 'get web/pods', allowed: false },
  { title: 'in the list', entry: v2("*/['pods','secrets']"), request: 'get web/secrets', allowed: true },
  { title: 'in the list, with a space', entry: v2("*/['pods', 'secrets']"), request: 'get web/secrets', allowed: true },
  { title: 'not in the list', entry: v2("*/['pods','secrets']"), request: 'get web/nodes', allowed: false },
  { title: '* in a list', entry: v2("*/['pods','*']"), request: 'get web/nodes', allowed: true },
  { title: 'namespaces in a list', entry: v2("['web','db']/pods"), request: 'get db/pods', allowed: true },
  { title: 'a namespace outside the list', entry: v2("['web','db']/pods"), request: 'get x/pods', allowed: false },
  { title: 'excluded by a list', entry: v2("*/!['secrets','nodes']"), request: 'get web/nodes', allowed: false },
  { title: 'not excluded by a list', entry: v2("*/!['secrets','nodes']"), request: 'get web/pods', allowed: true },
  { title: 'never: * in an excluding list', entry: v2("*/!['x','*']"), request: 'get web/pods', allowed: false },
  { title: 'namespace excluded by a list', entry: v2("!['web','db']/*"), request: 'get db/pods', allowed: false },
  { title: 'both sides exclude', entry: v2('!kube-system/!secrets'), request: 'get web/pods', allowed: true },
  { title: 'a space after ! excludes too', entry: v2("*/! ['secrets']"), request: 'get web/secrets', allowed: false },
  {
    title: 'a space after ! matches the other resources',
    entry: v2("*/! ['secrets']"),
    request: 'get web/pods',
    allowed: true,
  },
  {
    title: 'a space after ! in the Go program',
    entry: v2("*/! ['secrets']"),
    request: 'get web/secrets',
    compatibilities: ['spaced-negation'],
    allowed: true,
  },
  {
    title: 'a space after ! in the Go program, namespace',
    entry: v2("! ['web']/secrets"),
    request: 'get web/secrets',
    compatibilities: ['spaced-negation'],
    allowed: true,
  },
  {
    title: 'spaced-negation changes nothing without a space',
    entry: v2("*/!['secrets']"),
    request: 'get web/secrets',
    compatibilities: ['spaced-negation'],
    allowed: false,
  },
  { title: 'no slash', entry: v2('pods'), request: 'get web/pods', allowed: false },
  { title: 'an open list', entry: v2("*/['pods'"), request: 'get web/pods', allowed: false },
  { title: 'an empty list', entry: v2('*/[]'), request: 'get web/pods', allowed: false },
  { title: 'an empty side', entry: v2('/pods'), request: 'get -/pods', allowed: false },
  { title: 'a * inside a word is not a wildcard', entry: v2('*/po*'), request: 'get web/pods', allowed: false },
  { title: 'a key with too many slashes', entry: v2('*/pods/exec/x'), request: 'create web/pods/exec', allowed: false },
  {
    title: 'the second key',
    entry: { resource_permissions: { 'x/y': ['*'], 'web/pods': ['get'] } },
    request: 'get web/pods',
    allowed: true,
  },

  // version 2: cluster scope
  { title: 'a cluster request and *', entry: v2('*/nodes'), request: 'get -/nodes', allowed: true },
  { title: 'a cluster request and a namespace', entry: v2('web/nodes'), request: 'get -/nodes', allowed: false },
  { title: 'a cluster request and !x', entry: v2('!web/nodes'), request: 'get -/nodes', allowed: false },
  { title: "a cluster request and ['*']", entry: v2("['*']/nodes"), request: 'get -/nodes', allowed: false },
  { title: 'all namespaces', entry: v2('web/pods'), request: 'list -/pods', allowed: false },
  {
    title: 'a cluster request and a space after !, in the Go program',
    entry: v2("! ['web']/nodes"),
    request: 'get -/nodes',
    compatibilities: ['spaced-negation'],
    allowed: false,
  },

  // version 2: subresources
  { title: 'pods is not pods/exec', entry: v2('*/pods'), request: 'create web/pods/exec', allowed: false },
  { title: 'pods/exec', entry: v2('*/pods/exec'), request: 'create web/pods/exec', allowed: true },
  { title: 'pods/exec is not pods/log', entry: v2('*/pods/exec'), request: 'get web/pods/log', allowed: false },
  { title: 'pods/exec is not pods', entry: v2('*/pods/exec'), request: 'create web/pods', allowed: false },
  { title: 'pods/*', entry: v2('*/pods/*'), request: 'create web/pods/exec', allowed: true },
  { title: 'pods/* is not pods', entry: v2('*/pods/*'), request: 'create web/pods', allowed: false },
  { title: '*/scale of anything', entry: v2('*/*/scale'), request: 'update web/deployments/scale', allowed: true },
  { title: '* covers subresources', entry: v2('*/*'), request: 'create web/pods/exec', allowed: true },
  { title: 'a subresource in a list', entry: v2("*/['pods','pods/log']"), request: 'get web/pods/log', allowed: true },
  {
    title: 'excluding pods excludes its subresources',
    entry: v2('*/!pods'),
    request: 'create web/pods/exec',
    allowed: false,
  },
  {
    title: 'excluding secrets matches other subresources',
    entry: v2('*/!secrets'),
    request: 'create web/pods/exec',
    allowed: true,
  },
  { title: 'excluding pods/exec', entry: v2('*/!pods/exec'), request: 'create web/pods/exec', allowed: false },
  { title: 'excluding pods/exec matches pods', entry: v2('*/!pods/exec'), request: 'create web/pods', allowed: true },
  {
    title: 'pods is pods/exec in the Go program',
    entry: v2('*/pods'),
    request: 'create web/pods/exec',
    compatibilities: ['v2-subresources'],
    allowed: true,
  },
  {
    title: 'pods/exec is not a key in the Go program',
    entry: v2('*/pods/exec'),
    request: 'create web/pods/exec',
    compatibilities: ['v2-subresources'],
    allowed: false,
  },

  // version 2: paths
  {
    title: 'the path',
    entry: { nonresource_permissions: { '/healthz': ['get'] } },
    request: 'get /healthz',
    allowed: true,
  },
  {
    title: 'another path',
    entry: { nonresource_permissions: { '/healthz': ['get'] } },
    request: 'get /healthz/x',
    allowed: false,
  },
  {
    title: 'no wildcard',
    entry: { nonresource_permissions: { '/healthz/*': ['get'] } },
    request: 'get /healthz/x',
    allowed: false,
  },
  {
    title: 'any verb of a path',
    entry: { nonresource_permissions: { '/healthz': ['*'] } },
    request: 'head /healthz',
    allowed: true,
  },
  {
    title: 'another verb of a path',
    entry: { nonresource_permissions: { '/healthz': ['get'] } },
    request: 'post /healthz',
    allowed: false,
  },
  { title: 'resources are not paths', entry: v2('*/*'), request: 'get /healthz', allowed: false },
  {
    title: 'paths are not resources',
    entry: { nonresource_permissions: { '/pods': ['*'] } },
    request: 'get -/pods',
    allowed: false,
  },

  // version 1: resource
  { title: 'v1: everything', entry: v1(anyV1), request: 'get web/pods', allowed: true },
  { title: 'v1: the verb', entry: pods({ verbs: ['get'] }), request: 'get web/pods', allowed: true },
  { title: 'v1: another verb', entry: pods({ verbs: ['get'] }), request: 'list web/pods', allowed: false },
  { title: 'v1: the resource', entry: pods({}), request: 'get web/pods', allowed: true },
  { title: 'v1: pods is not pods/exec', entry: pods({}), request: 'create web/pods/exec', allowed: false },
  { title: 'v1: pods/*', entry: pods({ resources: ['pods/*'] }), request: 'create web/pods/exec', allowed: true },
  { title: 'v1: pods/* is not pods', entry: pods({ resources: ['pods/*'] }), request: 'get web/pods', allowed: false },
  { title: 'v1: pods/exec', entry: pods({ resources: ['pods/exec'] }), request: 'create web/pods/exec', allowed: true },
  { title: 'v1: * covers subresources', entry: v1(anyV1), request: 'create web/pods/exec', allowed: true },
  {
    title: 'v1: the group',
    entry: pods({ resources: ['jobs'], version: 'batch' }),
    request: 'get web/jobs.batch',
    allowed: true,
  },
  {
    title: 'v1: another group',
    entry: pods({ resources: ['jobs'], version: 'batch' }),
    request: 'get web/jobs.apps',
    allowed: false,
  },
  { title: 'v1: the core group', entry: pods({ version: '' }), request: 'get web/pods', allowed: true },
  { title: 'v1: the namespace', entry: pods({ namespace: 'web' }), request: 'get web/pods', allowed: true },
  { title: 'v1: another namespace', entry: pods({ namespace: 'web' }), request: 'get db/pods', allowed: false },
  { title: 'v1: cluster scope', entry: pods({ resources: ['nodes'] }), request: 'get -/nodes', allowed: true },
  { title: 'v1: no version', entry: pods({ version: null }), request: 'get web/pods', allowed: false },
  { title: 'v1: no namespace', entry: pods({ namespace: null }), request: 'get web/pods', allowed: false },
  { title: 'v1: no verbs', entry: pods({ verbs: [] }), request: 'get web/pods', allowed: false },
  { title: 'v1: no resources', entry: pods({ resources: null }), request: 'get web/pods', allowed: false },
  { title: 'v1: empty', entry: v1({}), request: 'get web/pods', allowed: false },

  // version 1: nonresource
  {
    title: 'v1: the path',
    entry: { nonresource: { verbs: ['get'], path: '/api' } },
    request: 'get /api',
    allowed: true,
  },
  {
    title: 'v1: another path',
    entry: { nonresource: { verbs: ['get'], path: '/api' } },
    request: 'get /apis',
    allowed: false,
  },
  {
    title: 'v1: a prefix',
    entry: { nonresource: { verbs: ['get'], path: '/api*' } },
    request: 'get /apis/x',
    allowed: true,
  },
  {
    title: 'v1: another prefix',
    entry: { nonresource: { verbs: ['get'], path: '/api*' } },
    request: 'get /healthz',
    allowed: false,
  },
  {
    title: 'v1: any path',
    entry: { nonresource: { verbs: ['*'], path: '*' } },
    request: 'get /healthz',
    allowed: true,
  },
  {
    title: 'v1: an empty verb',
    entry: { nonresource: { verbs: ['*'], path: '*' } },
    request: ' /healthz',
    allowed: true,
  },
  { title: 'v1: no path', entry: { nonresource: { verbs: ['*'] } }, request: 'get /healthz', allowed: false },

  // version 1: match
  {
    title: 'match: user by name',
    entry: v1(anyV1, [{ type: 'user', values: ['alice'] }]),
    request: 'get web/pods',
    allowed: true,
  },
  {
    title: 'match: a uid that does not look like one',
    entry: v1(anyV1, [{ type: 'user', values: ['u1'] }]),
    request: 'get web/pods',
    allowed: false,
  },
  {
    title: 'match: another user',
    entry: v1(anyV1, [{ type: 'user', values: ['bob'] }]),
    request: 'get web/pods',
    allowed: false,
  },
  {
    title: 'match: group',
    entry: v1(anyV1, [{ type: 'group', values: ['x', 'devs'] }]),
    request: 'get web/pods',
    allowed: true,
  },
  {
    title: 'match: another group',
    entry: v1(anyV1, [{ type: 'group', values: ['x'] }]),
    request: 'get web/pods',
    allowed: false,
  },
  {
    title: 'match: project',
    entry: v1(anyV1, [{ type: 'project', values: ['demo'] }]),
    request: 'get web/pods',
    allowed: true,
  },
  {
    title: 'match: project by ID',
    entry: v1(anyV1, [{ type: 'project', values: ['p1'] }]),
    request: 'get web/pods',
    allowed: true,
  },
  {
    title: 'match: role',
    entry: v1(anyV1, [{ type: 'role', values: ['reader'] }]),
    request: 'get web/pods',
    allowed: true,
  },
  {
    title: 'match: another role',
    entry: v1(anyV1, [{ type: 'role', values: ['admin'] }]),
    request: 'get web/pods',
    allowed: false,
  },
  {
    title: 'match: any value',
    entry: v1(anyV1, [{ type: 'role', values: ['*'] }]),
    request: 'get web/pods',
    allowed: true,
  },
  {
    title: 'match: all terms',
    entry: v1(anyV1, [
      { type: 'role', values: ['reader'] },
      { type: 'user', values: ['bob'] },
    ]),
    request: 'get web/pods',
    allowed: false,
  },
  {
    title: 'match: unknown type',
    entry: v1(anyV1, [{ type: 'domain', values: ['*'] }]),
    request: 'get web/pods',
    allowed: false,
  },
  {
    title: 'match: names of JavaScript are not types',
    entry: v1(anyV1, [{ type: 'constructor', values: ['*'] }]),
    request: 'get web/pods',
    allowed: false,
  },
  { title: 'match: no values', entry: v1(anyV1, [{ type: 'role' }]), request: 'get web/pods', allowed: false },
  {
    title: 'match: any user',
    entry: v1(anyV1, [{ type: 'user', values: ['bob', '*'] }]),
    request: 'get web/pods',
    allowed: true,
  },
  { title: 'match: an empty list', entry: v1(anyV1, []), request: 'get web/pods', allowed: true },
  {
    title: 'match: of a path',
    entry: { nonresource: { verbs: ['get'], path: '/api' }, match: [{ type: 'role', values: ['admin'] }] },
    request: 'get /api',
    allowed: false,
  },
  {
    title: 'match: values are exact',
    entry: v1(anyV1, [{ type: 'group', values: ['dev*'] }]),
    request: 'get web/pods',
    allowed: false,
  },
  { title: 'match: absent', entry: { resource: anyV1 }, request: 'get web/pods', allowed: true },
  {
    title: 'match: empty user names',
    entry: v1(anyV1, [{ type: 'user', values: [''] }]),
    request: 'get web/pods',
    user: { user: '', uid: '' },
    allowed: false,
  },

  // both versions in an entry
  { title: 'v2 replaces v1', entry: { ...v1(anyV1), ...v2('db/*') }, request: 'get web/pods', allowed: false },
  {
    title: 'match is ignored with v2',
    entry: { match: [{ type: 'user', values: ['bob'] }], ...v2('*/*') },
    request: 'get web/pods',
    allowed: true,
  },
  {
    title: 'v1 applies to the other kind of request',
    entry: { ...v2('*/*'), nonresource: { verbs: ['get'], path: '/x' }, match: [] },
    request: 'get /x',
    allowed: true,
  },
  { title: 'no permissions', entry: { users: MEMBER }, request: 'get web/pods', allowed: false },
];

const MIN_ROWS = 80;

void t.test(`${ROWS.length} decisions are as in the table`, async (t) => {
  const allowedCount = ROWS.filter(({ allowed }) => allowed).length;
  const names = new Set(ROWS.map(({ title }) => title));
  t.equal(names.size, ROWS.length, 'titles are unique');
  t.ok(
    ROWS.length >= MIN_ROWS,
    `${ROWS.length} decisions, ${MIN_ROWS} at least, of which ${allowedCount} allow the request`,
  );
  for (const { title, entry, request, user, compatibilities = [], allowed } of ROWS) {
    const policy = parsePolicy(JSON.stringify([entry]), new Set(compatibilities));
    const review: AccessReview = { ...ALICE, ...user, request: parseRequest(request) };
    const match = findAllowingEntry(policy, readSubject(review), review.request);
    t.equal(match?.number, allowed ? 1 : undefined, `${title}: ${request}`);
  }
});

void t.test('any entry that matches allows the request, and the verdict names the first one', async (t) => {
  const policy = parsePolicy(JSON.stringify([v2('db/*'), v2('web/pods'), v2('*/*')]), new Set());
  const review: AccessReview = { ...ALICE, request: parseRequest('get web/pods') };
  t.equal(findAllowingEntry(policy, readSubject(review), review.request)?.number, 2);
});

const INVALID_POLICIES: Readonly<Record<string, [text: string, message: RegExp]>> = {
  'invalid JSON': ['nonsense', /^it is not JSON: a value is expected here$/],
  'an object': ['{}', /^it is not a JSON list of entries$/],
  'an entry that is a string': ['["x"]', /^entry 1: it is not an object$/],
  'users of a wrong type': ['[{}, {"users": ["admin"]}]', /^entry 2: "users" must be an object/],
  'roles of a wrong type': ['[{"users": {"roles": "admin"}}]', /^entry 1: "roles" must be a list of strings$/],
  'verbs of a wrong type': [
    '[{"resource_permissions": {"*/*": "get"}}]',
    /^entry 1: "\*\/\*" must be a list of strings$/,
  ],
  'permissions of a wrong type': ['[{"resource_permissions": []}]', /"resource_permissions" must be an object$/],
  'a resource of a wrong type': ['[{"resource": []}]', /"resource" must be an object$/],
  'a namespace of a wrong type': ['[{"resource": {"namespace": 1}}]', /"namespace" must be a string$/],
  'a match of a wrong type': ['[{"match": {}}]', /"match" must be a list of objects$/],
  'a term of a wrong type': ['[{"match": ["x"]}]', /"match" must be a list of objects$/],
};

void t.test('an invalid entry makes the policy invalid', async (t) => {
  for (const [title, [text, message]] of Object.entries(INVALID_POLICIES)) {
    t.throws(() => parsePolicy(text, new Set()), { message }, title);
  }
});

void t.test('with wrong-users, "users" of a wrong type is ignored as in the Go program', async (t) => {
  const text = JSON.stringify([{ users: ['admin'], ...v2('*/*') }]);
  const policy = parsePolicy(text, new Set<Compatibility>(['wrong-users']));
  const review: AccessReview = { ...ALICE, request: parseRequest('get web/pods') };
  t.equal(findAllowingEntry(policy, readSubject(review), review.request)?.number, 1);
  t.notMatch(policy.findings, [{ message: /must be/ }], 'a compatibility covers it');
});

const FINDINGS: Readonly<Record<string, [entry: object, kind: string, message: RegExp]>> = {
  'users without projects': [{ users: { roles: ['x'] }, ...v2('*/x') }, 'never', /without "projects"/],
  'unknown users': [{ users: { projects: ['x'], teams: ['y'] }, ...v2('*/x') }, 'fault', /"teams"/],
  'no permissions': [{ users: MEMBER }, 'never', /no permissions/],
  'no key': [v2('x'), 'never', /not a key/],
  '!*': [v2('*/!*'), 'never', /excludes everything/],
  'no verbs': [v2('*/x', []), 'never', /no verbs/],
  'empty permissions': [{ resource_permissions: {} }, 'never', /is empty/],
  'empty paths': [{ nonresource_permissions: {} }, 'never', /is empty/],
  'a * in a path': [{ nonresource_permissions: { '/x/*': ['get'] } }, 'never', /no \* in paths/],
  'v1 without version': [pods({ version: null }), 'fault', /crash/],
  'v1 without verbs': [pods({ verbs: [] }), 'never', /without "verbs"/],
  'v1 without resources': [pods({ resources: [] }), 'never', /without "resources"/],
  'v1 without path': [{ nonresource: { verbs: ['x'] } }, 'never', /without "path"/],
  'v1 path without verbs': [{ nonresource: { path: '/' } }, 'never', /without "verbs"/],
  'v1 unknown type': [v1(anyV1, [{ type: 'domain', values: ['x'] }]), 'never', /not "domain"/],
  'v1 no values': [v1(anyV1, [{ type: 'role' }]), 'never', /without values/],
  'both versions': [{ ...v1(anyV1), ...v2('*/x') }, 'never', /"resource" is ignored because/],
  'match with v2': [
    { match: [{ type: 'user', values: ['x'] }], ...v2('*/x') },
    'odd',
    /"match" is ignored in version 2/,
  ],
  'an unknown member': [{ ...v2('*/x'), comment: 'x' }, 'odd', /"comment"/],
  'a space after !': [v2('*/! x'), 'fault', /space after/],
  'a * among projects': [{ users: { projects: ['*'] }, ...v2('*/x') }, 'odd', /"\*", which is a name/],
  'a * among roles': [{ users: { projects: ['x'], roles: ['*'] }, ...v2('*/x') }, 'odd', /"\*", which is a name/],
  'a * among domains': [{ users: { projects: ['x'], domains: ['*'] }, ...v2('*/x') }, 'odd', /"\*", which is a name/],
  'an exclusion with every verb': [
    v2('*/!secrets', ['*']),
    'odd',
    /allows impersonate on users, impersonate on groups, impersonate on serviceaccounts, escalate on cluster/,
  ],
  'an exclusion in a namespace with every verb': [
    v2("web/!['secrets', 'roles']", ['get', '*']),
    'odd',
    /allows impersonate on serviceaccounts, which can give what it excludes; list the verbs$/,
  ],
  'a resource with subresources': [v2('*/pods'), 'fault', /exec/],
};

void t.test('each problem of an entry is reported', async (t) => {
  for (const [title, [entry, kind, message]] of Object.entries(FINDINGS)) {
    const { findings } = parsePolicy(JSON.stringify([entry]), new Set());
    t.ok(
      findings.some((finding) => finding.entry === 1 && finding.kind === kind && message.test(finding.message)),
      `${title}: ${JSON.stringify(findings)}`,
    );
  }
  t.strictSame(parsePolicy(JSON.stringify([{ users: MEMBER, ...v2('*/configmaps') }]), new Set()).findings, []);
  t.match(parsePolicy('[]', new Set()).findings, [{ entry: 0, kind: 'never' }]);
  for (const entry of [v2('*/*', ['*']), v2('*/!secrets', ['get']), v2('*/![]', ['*'])]) {
    const { findings } = parsePolicy(JSON.stringify([entry]), new Set());
    t.notOk(findings.some(({ message }) => message.includes('escalate')));
  }
});
