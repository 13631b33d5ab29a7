// What a policy decides, form by form, as the Go program does where it is right; and what is odd about a policy.

import t from 'tap';
import { EXTRA_KEYS } from '../../src/webhook/authn/user-info.ts';
import type { Compatibility } from '../../src/webhook/authz/policy/finding.ts';
import { findAllowingEntry, parsePolicy } from '../../src/webhook/authz/policy/policy.ts';
import { readSubject } from '../../src/webhook/authz/policy/subject.ts';
import type { AccessRequest, AccessReview } from '../../src/webhook/review/review.ts';

const MEMBER = { projects: ['demo'], roles: ['member'] };

interface Row {
  readonly is: string;
  readonly entry: object;
  /** `verb namespace/resource[/subresource]`, with `-` for no namespace, then `.group`; or `verb path`. */
  readonly asks: string;
  readonly who?: Partial<AccessReview>;
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

function readAsked(text: string): AccessRequest {
  const [verb = '', what = ''] = text.split(' ');
  if (what.startsWith('/')) return { kind: 'path', verb, path: what };
  const [place = '', group = ''] = what.split('.');
  const [namespace = '', resource = '', subresource = ''] = place.split('/');
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
const pods = (more: object): object => v1({ ...anyV1, resources: ['pods'], ...more });

const ROWS: readonly Row[] = [
  // users
  { is: 'no users: everybody', entry: v2('*/*'), asks: 'get web/pods', allowed: true },
  { is: 'role and project', entry: { users: MEMBER, ...v2('*/*') }, asks: 'get web/pods', allowed: true },
  { is: 'project by id', entry: { users: { projects: ['p1'] }, ...v2('*/*') }, asks: 'get web/pods', allowed: true },
  {
    is: 'any project',
    entry: { users: { projects: ['x', 'demo'] }, ...v2('*/*') },
    asks: 'get web/pods',
    allowed: true,
  },
  { is: 'another project', entry: { users: { projects: ['x'] }, ...v2('*/*') }, asks: 'get web/pods', allowed: false },
  {
    is: 'all roles',
    entry: { users: { projects: ['demo'], roles: ['member', 'reader'] }, ...v2('*/*') },
    asks: 'get web/pods',
    allowed: true,
  },
  {
    is: 'a role is missing',
    entry: { users: { projects: ['demo'], roles: ['member', 'admin'] }, ...v2('*/*') },
    asks: 'get web/pods',
    allowed: false,
  },
  {
    is: 'roles without projects',
    entry: { users: { roles: ['member'] }, ...v2('*/*') },
    asks: 'get web/pods',
    allowed: false,
  },
  { is: 'empty projects', entry: { users: { projects: [] }, ...v2('*/*') }, asks: 'get web/pods', allowed: false },
  { is: 'empty users', entry: { users: {}, ...v2('*/*') }, asks: 'get web/pods', allowed: false },
  { is: 'null users are absent', entry: { users: null, ...v2('*/*') }, asks: 'get web/pods', allowed: true },
  {
    is: 'a restriction that is not understood',
    entry: { users: { projects: ['demo'], groups: ['x'] }, ...v2('*/*') },
    asks: 'get web/pods',
    allowed: false,
  },
  {
    is: 'a role that is part of another',
    entry: { users: { projects: ['demo'], roles: ['mem'] }, ...v2('*/*') },
    asks: 'get web/pods',
    allowed: false,
  },
  { is: 'users with version 1', entry: { users: MEMBER, ...v1(anyV1) }, asks: 'get web/pods', allowed: true },
  {
    is: 'users against version 1',
    entry: { users: { projects: ['x'] }, ...v1(anyV1) },
    asks: 'get web/pods',
    allowed: false,
  },
  {
    is: 'no extra: not of Keystone',
    entry: v2('*/*'),
    asks: 'get web/pods',
    who: { extra: new Map() },
    allowed: false,
  },
  {
    is: "another's extra",
    entry: v2('*/*'),
    asks: 'get web/pods',
    who: { extra: new Map([['scopes', ['all']]]) },
    allowed: false,
  },
  {
    is: 'empty project names match nothing',
    entry: { users: { projects: [''] }, ...v2('*/*') },
    asks: 'get web/pods',
    who: { extra: extra(['member'], '', '') },
    allowed: false,
  },

  // version 2: verbs
  { is: 'the verb', entry: v2('*/pods', ['get']), asks: 'get web/pods', allowed: true },
  { is: 'another verb', entry: v2('*/pods', ['get']), asks: 'list web/pods', allowed: false },
  { is: 'one of the verbs', entry: v2('*/pods', ['get', 'list']), asks: 'list web/pods', allowed: true },
  { is: 'any verb', entry: v2('*/pods', ['*']), asks: 'delete web/pods', allowed: true },
  { is: 'a verb in capitals', entry: v2('*/pods', ['GET']), asks: 'get web/pods', allowed: true },
  { is: 'no verbs', entry: v2('*/pods', []), asks: 'get web/pods', allowed: false },
  { is: 'null verbs', entry: { resource_permissions: { '*/pods': null } }, asks: 'get web/pods', allowed: false },
  { is: 'an empty verb', entry: v2('*/pods', ['get']), asks: ' web/pods', allowed: false },

  // version 2: keys
  { is: 'literals', entry: v2('web/pods'), asks: 'get web/pods', allowed: true },
  { is: 'another namespace', entry: v2('web/pods'), asks: 'get db/pods', allowed: false },
  { is: 'another resource', entry: v2('web/pods'), asks: 'get web/secrets', allowed: false },
  { is: 'trimmed', entry: v2('  web / pods  '), asks: 'get web/pods', allowed: true },
  { is: 'lower-cased', entry: v2('Web/Pods'), asks: 'get web/pods', allowed: true },
  { is: 'any resource', entry: v2('web/*'), asks: 'get web/secrets', allowed: true },
  { is: 'any namespace', entry: v2('*/pods'), asks: 'get db/pods', allowed: true },
  { is: 'not this resource', entry: v2('*/!secrets'), asks: 'get web/secrets', allowed: false },
  { is: 'not another resource', entry: v2('*/!secrets'), asks: 'get web/pods', allowed: true },
  { is: 'not this namespace', entry: v2('!kube-system/*'), asks: 'get kube-system/pods', allowed: false },
  { is: 'not another namespace', entry: v2('!kube-system/*'), asks: 'get web/pods', allowed: true },
  { is: 'never: !* resource', entry: v2('*/!*'), asks: 'get web/pods', allowed: false },
  { is: 'never: !* namespace', entry: v2('!*/*'), asks: 'get web/pods', allowed: false },
  { is: 'in the list', entry: v2("*/['pods','secrets']"), asks: 'get web/secrets', allowed: true },
  { is: 'in the list, with a space', entry: v2("*/['pods', 'secrets']"), asks: 'get web/secrets', allowed: true },
  { is: 'not in the list', entry: v2("*/['pods','secrets']"), asks: 'get web/nodes', allowed: false },
  { is: '* in a list', entry: v2("*/['pods','*']"), asks: 'get web/nodes', allowed: true },
  { is: 'namespaces in a list', entry: v2("['web','db']/pods"), asks: 'get db/pods', allowed: true },
  { is: 'another than the list', entry: v2("['web','db']/pods"), asks: 'get x/pods', allowed: false },
  { is: 'excluded by a list', entry: v2("*/!['secrets','nodes']"), asks: 'get web/nodes', allowed: false },
  { is: 'not excluded by a list', entry: v2("*/!['secrets','nodes']"), asks: 'get web/pods', allowed: true },
  { is: 'never: * in an excluding list', entry: v2("*/!['x','*']"), asks: 'get web/pods', allowed: false },
  { is: 'namespace excluded by a list', entry: v2("!['web','db']/*"), asks: 'get db/pods', allowed: false },
  { is: 'both sides exclude', entry: v2('!kube-system/!secrets'), asks: 'get web/pods', allowed: true },
  { is: 'a space after ! excludes too', entry: v2("*/! ['secrets']"), asks: 'get web/secrets', allowed: false },
  { is: 'a space after ! keeps the rest', entry: v2("*/! ['secrets']"), asks: 'get web/pods', allowed: true },
  {
    is: 'a space after ! in the Go program',
    entry: v2("*/! ['secrets']"),
    asks: 'get web/secrets',
    compatibilities: ['spaced-negation'],
    allowed: true,
  },
  {
    is: 'a space after ! in the Go program, namespace',
    entry: v2("! ['web']/secrets"),
    asks: 'get web/secrets',
    compatibilities: ['spaced-negation'],
    allowed: true,
  },
  {
    is: 'the switch changes nothing without a space',
    entry: v2("*/!['secrets']"),
    asks: 'get web/secrets',
    compatibilities: ['spaced-negation'],
    allowed: false,
  },
  { is: 'no slash', entry: v2('pods'), asks: 'get web/pods', allowed: false },
  { is: 'an open list', entry: v2("*/['pods'"), asks: 'get web/pods', allowed: false },
  { is: 'an empty list', entry: v2('*/[]'), asks: 'get web/pods', allowed: false },
  { is: 'an empty side', entry: v2('/pods'), asks: 'get -/pods', allowed: false },
  { is: 'a wildcard inside a word is none', entry: v2('*/po*'), asks: 'get web/pods', allowed: false },
  { is: 'a key of three parts too many', entry: v2('*/pods/exec/x'), asks: 'create web/pods/exec', allowed: false },
  {
    is: 'the second key',
    entry: { resource_permissions: { 'x/y': ['*'], 'web/pods': ['get'] } },
    asks: 'get web/pods',
    allowed: true,
  },

  // version 2: cluster scope
  { is: 'a cluster request and *', entry: v2('*/nodes'), asks: 'get -/nodes', allowed: true },
  { is: 'a cluster request and a namespace', entry: v2('web/nodes'), asks: 'get -/nodes', allowed: false },
  { is: 'a cluster request and !x', entry: v2('!web/nodes'), asks: 'get -/nodes', allowed: false },
  { is: "a cluster request and ['*']", entry: v2("['*']/nodes"), asks: 'get -/nodes', allowed: false },
  { is: 'all namespaces', entry: v2('web/pods'), asks: 'list -/pods', allowed: false },
  {
    is: 'a cluster request and the old !',
    entry: v2("! ['web']/nodes"),
    asks: 'get -/nodes',
    compatibilities: ['spaced-negation'],
    allowed: false,
  },

  // version 2: subresources
  { is: 'pods is not pods/exec', entry: v2('*/pods'), asks: 'create web/pods/exec', allowed: false },
  { is: 'pods/exec', entry: v2('*/pods/exec'), asks: 'create web/pods/exec', allowed: true },
  { is: 'pods/exec is not pods/log', entry: v2('*/pods/exec'), asks: 'get web/pods/log', allowed: false },
  { is: 'pods/exec is not pods', entry: v2('*/pods/exec'), asks: 'create web/pods', allowed: false },
  { is: 'pods/*', entry: v2('*/pods/*'), asks: 'create web/pods/exec', allowed: true },
  { is: 'pods/* is not pods', entry: v2('*/pods/*'), asks: 'create web/pods', allowed: false },
  { is: '*/scale of anything', entry: v2('*/*/scale'), asks: 'update web/deployments/scale', allowed: true },
  { is: '* covers subresources', entry: v2('*/*'), asks: 'create web/pods/exec', allowed: true },
  { is: 'a subresource in a list', entry: v2("*/['pods','pods/log']"), asks: 'get web/pods/log', allowed: true },
  {
    is: 'excluding pods excludes its subresources',
    entry: v2('*/!pods'),
    asks: 'create web/pods/exec',
    allowed: false,
  },
  { is: 'excluding secrets leaves subresources', entry: v2('*/!secrets'), asks: 'create web/pods/exec', allowed: true },
  { is: 'excluding pods/exec', entry: v2('*/!pods/exec'), asks: 'create web/pods/exec', allowed: false },
  { is: 'excluding pods/exec leaves pods', entry: v2('*/!pods/exec'), asks: 'create web/pods', allowed: true },
  {
    is: 'pods is pods/exec in the Go program',
    entry: v2('*/pods'),
    asks: 'create web/pods/exec',
    compatibilities: ['v2-subresources'],
    allowed: true,
  },
  {
    is: 'pods/exec is no key in the Go program',
    entry: v2('*/pods/exec'),
    asks: 'create web/pods/exec',
    compatibilities: ['v2-subresources'],
    allowed: false,
  },

  // version 2: paths
  { is: 'the path', entry: { nonresource_permissions: { '/healthz': ['get'] } }, asks: 'get /healthz', allowed: true },
  {
    is: 'another path',
    entry: { nonresource_permissions: { '/healthz': ['get'] } },
    asks: 'get /healthz/x',
    allowed: false,
  },
  {
    is: 'no wildcard',
    entry: { nonresource_permissions: { '/healthz/*': ['get'] } },
    asks: 'get /healthz/x',
    allowed: false,
  },
  {
    is: 'any verb of a path',
    entry: { nonresource_permissions: { '/healthz': ['*'] } },
    asks: 'head /healthz',
    allowed: true,
  },
  {
    is: 'another verb of a path',
    entry: { nonresource_permissions: { '/healthz': ['get'] } },
    asks: 'post /healthz',
    allowed: false,
  },
  { is: 'resources are no paths', entry: v2('*/*'), asks: 'get /healthz', allowed: false },
  {
    is: 'paths are no resources',
    entry: { nonresource_permissions: { '/pods': ['*'] } },
    asks: 'get -/pods',
    allowed: false,
  },

  // version 1: resource
  { is: 'v1: everything', entry: v1(anyV1), asks: 'get web/pods', allowed: true },
  { is: 'v1: the verb', entry: pods({ verbs: ['get'] }), asks: 'get web/pods', allowed: true },
  { is: 'v1: another verb', entry: pods({ verbs: ['get'] }), asks: 'list web/pods', allowed: false },
  { is: 'v1: the resource', entry: pods({}), asks: 'get web/pods', allowed: true },
  { is: 'v1: pods is not pods/exec', entry: pods({}), asks: 'create web/pods/exec', allowed: false },
  { is: 'v1: pods/*', entry: pods({ resources: ['pods/*'] }), asks: 'create web/pods/exec', allowed: true },
  { is: 'v1: pods/* is not pods', entry: pods({ resources: ['pods/*'] }), asks: 'get web/pods', allowed: false },
  { is: 'v1: pods/exec', entry: pods({ resources: ['pods/exec'] }), asks: 'create web/pods/exec', allowed: true },
  { is: 'v1: * covers subresources', entry: v1(anyV1), asks: 'create web/pods/exec', allowed: true },
  {
    is: 'v1: the group',
    entry: pods({ resources: ['jobs'], version: 'batch' }),
    asks: 'get web/jobs.batch',
    allowed: true,
  },
  {
    is: 'v1: another group',
    entry: pods({ resources: ['jobs'], version: 'batch' }),
    asks: 'get web/jobs.apps',
    allowed: false,
  },
  { is: 'v1: the core group', entry: pods({ version: '' }), asks: 'get web/pods', allowed: true },
  { is: 'v1: the namespace', entry: pods({ namespace: 'web' }), asks: 'get web/pods', allowed: true },
  { is: 'v1: another namespace', entry: pods({ namespace: 'web' }), asks: 'get db/pods', allowed: false },
  { is: 'v1: cluster scope', entry: pods({ resources: ['nodes'] }), asks: 'get -/nodes', allowed: true },
  { is: 'v1: no version', entry: pods({ version: null }), asks: 'get web/pods', allowed: false },
  { is: 'v1: no namespace', entry: pods({ namespace: null }), asks: 'get web/pods', allowed: false },
  { is: 'v1: no verbs', entry: pods({ verbs: [] }), asks: 'get web/pods', allowed: false },
  { is: 'v1: no resources', entry: pods({ resources: null }), asks: 'get web/pods', allowed: false },
  { is: 'v1: nothing in it', entry: v1({}), asks: 'get web/pods', allowed: false },

  // version 1: nonresource
  { is: 'v1: the path', entry: { nonresource: { verbs: ['get'], path: '/api' } }, asks: 'get /api', allowed: true },
  {
    is: 'v1: another path',
    entry: { nonresource: { verbs: ['get'], path: '/api' } },
    asks: 'get /apis',
    allowed: false,
  },
  { is: 'v1: a start', entry: { nonresource: { verbs: ['get'], path: '/api*' } }, asks: 'get /apis/x', allowed: true },
  {
    is: 'v1: another start',
    entry: { nonresource: { verbs: ['get'], path: '/api*' } },
    asks: 'get /healthz',
    allowed: false,
  },
  { is: 'v1: any path', entry: { nonresource: { verbs: ['*'], path: '*' } }, asks: 'get /healthz', allowed: true },
  { is: 'v1: an empty verb', entry: { nonresource: { verbs: ['*'], path: '*' } }, asks: ' /healthz', allowed: false },
  { is: 'v1: no path', entry: { nonresource: { verbs: ['*'] } }, asks: 'get /healthz', allowed: false },

  // version 1: match
  {
    is: 'match: user by name',
    entry: v1(anyV1, [{ type: 'user', values: ['alice'] }]),
    asks: 'get web/pods',
    allowed: true,
  },
  {
    is: 'match: user by uid',
    entry: v1(anyV1, [{ type: 'user', values: ['u1'] }]),
    asks: 'get web/pods',
    allowed: true,
  },
  {
    is: 'match: another user',
    entry: v1(anyV1, [{ type: 'user', values: ['bob'] }]),
    asks: 'get web/pods',
    allowed: false,
  },
  {
    is: 'match: group',
    entry: v1(anyV1, [{ type: 'group', values: ['x', 'devs'] }]),
    asks: 'get web/pods',
    allowed: true,
  },
  {
    is: 'match: another group',
    entry: v1(anyV1, [{ type: 'group', values: ['x'] }]),
    asks: 'get web/pods',
    allowed: false,
  },
  {
    is: 'match: project',
    entry: v1(anyV1, [{ type: 'project', values: ['demo'] }]),
    asks: 'get web/pods',
    allowed: true,
  },
  {
    is: 'match: project by id',
    entry: v1(anyV1, [{ type: 'project', values: ['p1'] }]),
    asks: 'get web/pods',
    allowed: true,
  },
  { is: 'match: role', entry: v1(anyV1, [{ type: 'role', values: ['reader'] }]), asks: 'get web/pods', allowed: true },
  {
    is: 'match: another role',
    entry: v1(anyV1, [{ type: 'role', values: ['admin'] }]),
    asks: 'get web/pods',
    allowed: false,
  },
  { is: 'match: any value', entry: v1(anyV1, [{ type: 'role', values: ['*'] }]), asks: 'get web/pods', allowed: true },
  {
    is: 'match: all terms',
    entry: v1(anyV1, [
      { type: 'role', values: ['reader'] },
      { type: 'user', values: ['bob'] },
    ]),
    asks: 'get web/pods',
    allowed: false,
  },
  {
    is: 'match: unknown type',
    entry: v1(anyV1, [{ type: 'domain', values: ['*'] }]),
    asks: 'get web/pods',
    allowed: false,
  },
  {
    is: "match: JavaScript's own names are no types",
    entry: v1(anyV1, [{ type: 'constructor', values: ['*'] }]),
    asks: 'get web/pods',
    allowed: false,
  },
  { is: 'match: no values', entry: v1(anyV1, [{ type: 'role' }]), asks: 'get web/pods', allowed: false },
  {
    is: 'match: any user',
    entry: v1(anyV1, [{ type: 'user', values: ['bob', '*'] }]),
    asks: 'get web/pods',
    allowed: true,
  },
  { is: 'match: an empty list', entry: v1(anyV1, []), asks: 'get web/pods', allowed: true },
  {
    is: 'match: of a path',
    entry: { nonresource: { verbs: ['get'], path: '/api' }, match: [{ type: 'role', values: ['admin'] }] },
    asks: 'get /api',
    allowed: false,
  },
  {
    is: 'match: values are exact',
    entry: v1(anyV1, [{ type: 'group', values: ['dev*'] }]),
    asks: 'get web/pods',
    allowed: false,
  },
  { is: 'match: absent', entry: { resource: anyV1 }, asks: 'get web/pods', allowed: true },
  {
    is: 'match: empty user names',
    entry: v1(anyV1, [{ type: 'user', values: [''] }]),
    asks: 'get web/pods',
    who: { user: '', uid: '' },
    allowed: false,
  },

  // both versions in an entry
  { is: 'v2 replaces v1', entry: { ...v1(anyV1), ...v2('db/*') }, asks: 'get web/pods', allowed: false },
  {
    is: 'match does not count with v2',
    entry: { match: [{ type: 'user', values: ['bob'] }], ...v2('*/*') },
    asks: 'get web/pods',
    allowed: true,
  },
  {
    is: 'v1 of the other kind stays',
    entry: { ...v2('*/*'), nonresource: { verbs: ['get'], path: '/x' }, match: [] },
    asks: 'get /x',
    allowed: true,
  },
  { is: 'no permissions', entry: { users: MEMBER }, asks: 'get web/pods', allowed: false },
];

/** The bar. */
const FEWEST = 80;

void t.test(`${ROWS.length} decisions`, async (t) => {
  const granted = ROWS.filter(({ allowed }) => allowed).length;
  const names = new Set(ROWS.map(({ is }) => is));
  t.equal(names.size, ROWS.length, 'each has its own name');
  t.ok(ROWS.length >= FEWEST, `${ROWS.length} decisions, ${FEWEST} at least: ${granted} allow, the others do not`);
  for (const { is, entry, asks, who, compatibilities = [], allowed } of ROWS) {
    const policy = parsePolicy(JSON.stringify([entry]), new Set(compatibilities));
    const review: AccessReview = { ...ALICE, ...who, request: readAsked(asks) };
    const found = findAllowingEntry(policy, readSubject(review), review.request);
    t.equal(found?.number, allowed ? 1 : undefined, `${is}: ${asks}`);
  }
});

void t.test('any entry that matches allows, and the first of them is named', async (t) => {
  const policy = parsePolicy(JSON.stringify([v2('db/*'), v2('web/pods'), v2('*/*')]), new Set());
  const review: AccessReview = { ...ALICE, request: readAsked('get web/pods') };
  t.equal(findAllowingEntry(policy, readSubject(review), review.request)?.number, 2);
});

const BAD: Readonly<Record<string, [text: string, says: RegExp]>> = {
  'no JSON': ['nonsense', /^it is not JSON$/],
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

void t.test('half a policy is none', async (t) => {
  for (const [is, [text, says]] of Object.entries(BAD)) {
    t.throws(() => parsePolicy(text, new Set()), { message: says }, is);
  }
});

void t.test('the Go program left a wrong "users" out', async (t) => {
  const text = JSON.stringify([{ users: ['admin'], ...v2('*/*') }]);
  const policy = parsePolicy(text, new Set<Compatibility>(['wrong-users']));
  const review: AccessReview = { ...ALICE, request: readAsked('get web/pods') };
  t.equal(findAllowingEntry(policy, readSubject(review), review.request)?.number, 1);
  t.match(policy.findings, [{ entry: 1, kind: 'fault', message: /restricts nobody/ }]);
});

const FINDINGS: Readonly<Record<string, [entry: object, kind: string, says: RegExp]>> = {
  'users without projects': [{ users: { roles: ['x'] }, ...v2('*/x') }, 'never', /without "projects"/],
  'unknown users': [{ users: { projects: ['x'], domains: ['y'] }, ...v2('*/x') }, 'never', /"domains"/],
  'no permissions': [{ users: MEMBER }, 'never', /no permissions/],
  'no key': [v2('x'), 'never', /not a key/],
  '!*': [v2('*/!*'), 'never', /excludes everything/],
  'no verbs': [v2('*/x', []), 'never', /no verbs/],
  'empty permissions': [{ resource_permissions: {} }, 'never', /is empty/],
  'empty paths': [{ nonresource_permissions: {} }, 'never', /is empty/],
  'a * in a path': [{ nonresource_permissions: { '/x/*': ['get'] } }, 'never', /no \* in a path/],
  'v1 without version': [pods({ version: null }), 'fault', /crash/],
  'v1 without verbs': [pods({ verbs: [] }), 'never', /without "verbs"/],
  'v1 without resources': [pods({ resources: [] }), 'never', /without "resources"/],
  'v1 without path': [{ nonresource: { verbs: ['x'] } }, 'never', /without "path"/],
  'v1 path without verbs': [{ nonresource: { path: '/' } }, 'never', /without "verbs"/],
  'v1 unknown type': [v1(anyV1, [{ type: 'domain', values: ['x'] }]), 'never', /not "domain"/],
  'v1 no values': [v1(anyV1, [{ type: 'role' }]), 'never', /without values/],
  'both versions': [{ ...v1(anyV1), ...v2('*/x') }, 'never', /"resource" does not count/],
  'match with v2': [{ match: [{ type: 'user', values: ['x'] }], ...v2('*/x') }, 'odd', /"match" does not count/],
  'an unknown member': [{ ...v2('*/x'), comment: 'x' }, 'odd', /"comment"/],
  'a space after !': [v2('*/! x'), 'fault', /space after/],
  'a resource with subresources': [v2('*/pods'), 'fault', /exec/],
};

void t.test('what is odd about an entry', async (t) => {
  for (const [is, [entry, kind, says]] of Object.entries(FINDINGS)) {
    const { findings } = parsePolicy(JSON.stringify([entry]), new Set());
    t.ok(
      findings.some((finding) => finding.entry === 1 && finding.kind === kind && says.test(finding.message)),
      `${is}: ${JSON.stringify(findings)}`,
    );
  }
  t.strictSame(parsePolicy(JSON.stringify([{ users: MEMBER, ...v2('*/configmaps') }]), new Set()).findings, []);
  t.match(parsePolicy('[]', new Set()).findings, [{ entry: 0, kind: 'never' }]);
  t.match(parsePolicy(JSON.stringify([v2('*/pods')]), new Set<Compatibility>(['v2-subresources'])).findings, [
    { kind: 'fault', message: /as in the Go program/ },
  ]);
});
