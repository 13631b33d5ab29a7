/** How a scope and a user look in a request, in a message and in a cache key. */
import t from 'tap';
import {
  buildRescopeRequest,
  buildTokensRequest,
  serializeWithSecrets,
  toScopeJson,
  toUserJson,
} from '../../src/shared/keystone/auth-request.ts';
import {
  describeReference,
  describeScope,
  findRescopeTarget,
  listScopeFields,
} from '../../src/shared/keystone/scope.ts';
import type { Scope } from '../../src/shared/keystone/scope.ts';
import { Secret } from '../../src/shared/base/secret.ts';

interface Row {
  readonly scope: Scope;
  /** The member `scope` of the request. */
  readonly json: unknown;
  readonly text: string;
  /** Kind, ID, name, ID of the domain, name of the domain. */
  readonly fields: readonly (string | undefined)[];
  readonly isRescopeTarget: boolean;
}

const domainId = { id: 'd1' };
const domainName = { name: 'Default' };
const ROWS: readonly Row[] = [
  {
    scope: { kind: 'project', id: 'p1' },
    json: { project: { id: 'p1' } },
    text: 'on project p1',
    fields: ['project', 'p1', undefined, undefined, undefined],
    isRescopeTarget: true,
  },
  {
    scope: { kind: 'project', name: 'demo', domain: domainId },
    json: { project: { name: 'demo', domain: domainId } },
    text: 'on project demo',
    fields: ['project', undefined, 'demo', 'd1', undefined],
    isRescopeTarget: true,
  },
  {
    scope: { kind: 'project', name: 'demo', domain: domainName },
    json: { project: { name: 'demo', domain: domainName } },
    text: 'on project demo',
    fields: ['project', undefined, 'demo', undefined, 'Default'],
    isRescopeTarget: true,
  },
  {
    scope: { kind: 'domain', domain: domainId },
    json: { domain: domainId },
    text: 'on domain d1',
    fields: ['domain', undefined, undefined, 'd1', undefined],
    isRescopeTarget: true,
  },
  {
    scope: { kind: 'system' },
    json: { system: { all: true } },
    text: 'on the system',
    fields: ['system', undefined, undefined, undefined, undefined],
    isRescopeTarget: true,
  },
  {
    scope: { kind: 'trust', id: 't1' },
    json: { 'OS-TRUST:trust': { id: 't1' } },
    text: 'with trust t1',
    fields: ['trust', 't1', undefined, undefined, undefined],
    isRescopeTarget: true,
  },
  {
    scope: { kind: 'unscoped' },
    json: { unscoped: {} },
    text: 'without a scope',
    fields: ['unscoped', undefined, undefined, undefined, undefined],
    isRescopeTarget: false,
  },
  {
    scope: { kind: 'default' },
    json: undefined,
    text: 'on the default project',
    fields: ['default', undefined, undefined, undefined, undefined],
    isRescopeTarget: false,
  },
];

for (const { scope, json, text, fields, isRescopeTarget } of ROWS) {
  void t.test(`the scope ${JSON.stringify(scope)} has one form in requests, messages and cache keys`, async (t) => {
    t.strictSame(toScopeJson(scope), json);
    t.equal(describeScope(scope), text);
    t.strictSame(listScopeFields(scope), fields);
    t.equal(findRescopeTarget(scope), isRescopeTarget ? scope : undefined);
  });
}

void t.test('a message shows an entity by what it was given with', async (t) => {
  t.equal(describeReference({ id: 'i' }), 'i');
  t.equal(describeReference({ name: 'n' }), 'n');
});

void t.test('a user by name needs a domain, and a user by ID has none', async (t) => {
  t.strictSame(toUserJson({ name: 'alice' }, domainName), { name: 'alice', domain: domainName });
  t.strictSame(toUserJson({ name: 'alice' }, undefined), { name: 'alice' });
  t.strictSame(toUserJson({ id: 'u1' }, domainName), { id: 'u1' });
});

void t.test('a request names its methods in order and leaves out a scope that Keystone decides', async (t) => {
  const parts = [
    { method: 'password', content: { user: 'u' } },
    { method: 'totp', content: { user: 'v' } },
  ];
  const identity = { methods: ['password', 'totp'], password: { user: 'u' }, totp: { user: 'v' } };
  const request = { verb: 'POST', path: 'auth/tokens?nocatalog=true' };
  t.strictSame(buildTokensRequest(parts, undefined), { ...request, body: { auth: { identity } } });
  t.strictSame(buildTokensRequest(parts, { kind: 'default' }), { ...request, body: { auth: { identity } } });
  t.strictSame(buildTokensRequest(parts, { kind: 'system' }), {
    ...request,
    body: { auth: { identity, scope: { system: { all: true } } } },
  });
});

void t.test('a secret is visible only in the text that is sent', async (t) => {
  const body = { password: new Secret('a-secret-value'), nested: [new Secret('another-secret')], isOn: true };
  t.equal(serializeWithSecrets(body), '{"password":"a-secret-value","nested":["another-secret"],"isOn":true}');
  t.equal(JSON.stringify(body), '{"password":"[redacted]","nested":["[redacted]"],"isOn":true}');
});

void t.test('a token is exchanged with itself as the identity, and the new scope is expected', async (t) => {
  const token = new Secret('unscoped-token');
  const scope: Scope = { kind: 'project', id: 'p1' };
  const request = buildRescopeRequest({ subject: 'alice', expected: { user: { id: 'u1' } } }, token, scope);
  t.equal(
    serializeWithSecrets(request.body ?? ''),
    '{"auth":{"identity":{"methods":["token"],"token":{"id":"unscoped-token"}},"scope":{"project":{"id":"p1"}}}}',
  );
  t.strictSame(request.headers, { 'x-auth-token': token });
  t.equal(request.subject, 'alice');
  t.strictSame(request.expected, { user: { id: 'u1' }, scope });
  t.match(request.statusExplanations?.[401], { code: 'auth-rejected', message: /alice: the user has no role/ });
});
