/** The verdict on a SubjectAccessReview for each kind of user, and what a policy is allowed to decide. */
import t from 'tap';
import { EXTRA_KEYS } from '../../src/webhook/authn/user-info.ts';
import { makeAuthorizer } from '../../src/webhook/authz/authorizer.ts';
import { parsePolicy } from '../../src/webhook/authz/policy/policy.ts';
import type { AccessReview, AccessVerdict } from '../../src/webhook/review/review.ts';

const KEYSTONE_USER: AccessReview['extra'] = new Map([[EXTRA_KEYS.roles, ['member']]]);

interface Question {
  readonly policy?: unknown;
  readonly deniesUnmatched?: boolean;
  readonly extra?: AccessReview['extra'];
}

function ask({ policy = [], deniesUnmatched = false, extra = KEYSTONE_USER }: Question): AccessVerdict {
  const authorize = makeAuthorizer(() => parsePolicy(JSON.stringify(policy), new Set()), { deniesUnmatched });
  return authorize({
    kind: 'SubjectAccessReview',
    version: 'v1',
    user: 'alice',
    uid: 'u1',
    groups: [],
    extra,
    request: { kind: 'path', verb: 'get', path: '/healthz' },
  });
}

const ALLOWING = [
  { nonresource_permissions: { '/other': ['get'] } },
  { nonresource_permissions: { '/healthz': ['get'] } },
];

void t.test('an entry that matches allows the request, and the reason names the entry', async (t) => {
  t.strictSame(ask({ policy: ALLOWING, deniesUnmatched: true }), {
    allowed: true,
    denied: false,
    reason: 'entry 2 of the Keystone policy',
  });
});

void t.test('a request that no entry allows is left to the other authorizers, unless it is to be denied', async (t) => {
  for (const deniesUnmatched of [false, true]) {
    const verdict = ask({ deniesUnmatched });
    t.match(verdict, { allowed: false, denied: deniesUnmatched, reason: /^no entry of the Keystone policy/ });
  }
});

void t.test('an account of the cluster is neither allowed nor denied', async (t) => {
  for (const extra of [new Map(), new Map([['scopes.example.com', ['x']]])]) {
    const verdict = ask({ policy: ALLOWING, deniesUnmatched: true, extra });
    t.strictSame(verdict, { allowed: false, denied: false, reason: 'not a user of Keystone' });
  }
});

void t.test('the current policy decides', async (t) => {
  let policy: unknown = [];
  const authorize = makeAuthorizer(() => parsePolicy(JSON.stringify(policy), new Set()), { deniesUnmatched: false });
  const review: AccessReview = {
    kind: 'SubjectAccessReview',
    version: 'v1',
    user: 'alice',
    uid: 'u1',
    groups: [],
    extra: KEYSTONE_USER,
    request: { kind: 'path', verb: 'get', path: '/healthz' },
  };
  t.equal(authorize(review).allowed, false);
  policy = ALLOWING;
  t.equal(authorize(review).allowed, true);
});
