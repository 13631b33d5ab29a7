// The reviews of kube-apiserver and the responses, in both versions; and malformed bodies, which must be refused.

import t from 'tap';
import { makeRandom } from '../../scripts/jitter/delays.ts';
import { answerAccessReview, answerTokenReview, InvalidReviewError } from '../../src/webhook/review/review.ts';
import { makeStatus, parseReview } from '../../src/webhook/review/review.ts';
import type { AccessReview, TokenReview } from '../../src/webhook/review/review.ts';
import { redact } from '../../src/shared/base/secret.ts';

const VERSIONS = ['v1', 'v1beta1'] as const;

// Recorded from kube-apiserver 1.20.
const TOKEN_REVIEW = {
  kind: 'TokenReview',
  apiVersion: 'authentication.k8s.io/v1',
  metadata: { creationTimestamp: null },
  spec: { token: 'gAAAA-canary', audiences: ['https://127.0.0.1:6443'] },
  status: { user: {} },
};
const ACCESS_REVIEW = {
  kind: 'SubjectAccessReview',
  apiVersion: 'authorization.k8s.io/v1',
  metadata: { creationTimestamp: null },
  spec: {
    resourceAttributes: { namespace: 'default', verb: 'list', version: 'v1', resource: 'pods' },
    user: 'alice',
    groups: ['p1', 'system:authenticated'],
    extra: { 'alpha.kubernetes.io/identity/roles': ['reader', 'member'] },
    uid: 'u1',
  },
  status: { allowed: false },
};

void t.test('the response to a TokenReview has its version and its status', async (t) => {
  for (const version of VERSIONS) {
    const review = parseReview(JSON.stringify({ ...TOKEN_REVIEW, apiVersion: `authentication.k8s.io/${version}` }));
    t.match(review, { kind: 'TokenReview', version });
    const { token } = review as TokenReview;
    t.equal(token.reveal(), 'gAAAA-canary');
    t.equal(String(token), '[redacted]');
    const userInfo = { username: 'alice', uid: 'u1', groups: ['p1'], extra: { x: ['y'] } };
    const head = { apiVersion: `authentication.k8s.io/${version}`, kind: 'TokenReview' };
    t.strictSame(answerTokenReview(review as TokenReview, { kind: 'accepted', userInfo }), {
      ...head,
      status: { authenticated: true, user: userInfo },
    });
    t.strictSame(
      answerTokenReview(review as TokenReview, { kind: 'refused', cause: 'not-accepted', reason: 'revoked' }),
      {
        ...head,
        status: { authenticated: false },
      },
    );
    t.strictSame(answerTokenReview(review as TokenReview, { kind: 'unknown', reason: 'Keystone is down' }), {
      ...head,
      status: { authenticated: false, error: 'Keystone is down' },
    });
  }
});

void t.test('the response to a SubjectAccessReview has its version and its status', async (t) => {
  for (const version of VERSIONS) {
    const { groups, ...spec } = ACCESS_REVIEW.spec;
    const review = parseReview(
      JSON.stringify({
        ...ACCESS_REVIEW,
        apiVersion: `authorization.k8s.io/${version}`,
        spec: { ...spec, [version === 'v1' ? 'groups' : 'group']: groups },
      }),
    ) as AccessReview;
    t.strictSame(review, {
      kind: 'SubjectAccessReview',
      version,
      user: 'alice',
      uid: 'u1',
      groups: ['p1', 'system:authenticated'],
      extra: new Map([['alpha.kubernetes.io/identity/roles', ['reader', 'member']]]),
      request: {
        kind: 'resource',
        verb: 'list',
        namespace: 'default',
        group: '',
        resource: 'pods',
        subresource: '',
        name: '',
      },
    });
    const head = { apiVersion: `authorization.k8s.io/${version}`, kind: 'SubjectAccessReview' };
    t.strictSame(answerAccessReview(review, { allowed: true, denied: false, reason: 'entry 1' }), {
      ...head,
      status: { allowed: true, reason: 'entry 1' },
    });
    t.strictSame(answerAccessReview(review, { allowed: false, denied: true, reason: 'none' }), {
      ...head,
      status: { allowed: false, denied: true, reason: 'none' },
    });
  }
});

void t.test('a request with selectors is a request for everything that they select from', async (t) => {
  const fieldSelector = { requirements: [{ key: 'spec.nodeName', operator: 'In', values: ['node-1'] }] };
  const labelSelector = { requirements: [{ key: 'app', operator: 'Exists' }] };
  const { resourceAttributes } = ACCESS_REVIEW.spec;
  for (const selectors of [{ fieldSelector, labelSelector }, { fieldSelector: { rawSelector: '%' } }]) {
    const attributes = { ...resourceAttributes, ...selectors };
    const spec = { ...ACCESS_REVIEW.spec, resourceAttributes: attributes };
    t.strictSame(parseReview(JSON.stringify({ ...ACCESS_REVIEW, spec })), parseReview(JSON.stringify(ACCESS_REVIEW)));
  }
});

void t.test('paths are read, and null lists as Go writes them', async (t) => {
  const spec = { nonResourceAttributes: { path: '/healthz', verb: 'get' }, groups: null, extra: null };
  t.match(parseReview(JSON.stringify({ ...ACCESS_REVIEW, spec })), {
    user: '',
    groups: [],
    extra: new Map(),
    request: { kind: 'path', verb: 'get', path: '/healthz' },
  });
});

const withSpec = (spec: unknown): unknown => ({ ...ACCESS_REVIEW, spec });
const { spec } = ACCESS_REVIEW;

const INVALID_REVIEWS: Readonly<Record<string, unknown>> = {
  'a list': [],
  null: null,
  'another kind': { ...TOKEN_REVIEW, kind: 'Pod' },
  'names of JavaScript are not kinds': { ...TOKEN_REVIEW, kind: 'constructor' },
  'no kind': { ...TOKEN_REVIEW, kind: undefined },
  'no version': { ...TOKEN_REVIEW, apiVersion: undefined },
  'more than a version': { ...TOKEN_REVIEW, apiVersion: 'authentication.k8s.io/v1/v1' },
  'another version': { ...TOKEN_REVIEW, apiVersion: 'authentication.k8s.io/v2' },
  'the API group of the other kind': { ...TOKEN_REVIEW, apiVersion: 'authorization.k8s.io/v1' },
  'no spec': { ...TOKEN_REVIEW, spec: undefined },
  'spec is a list': { ...TOKEN_REVIEW, spec: [] },
  'no token': { ...TOKEN_REVIEW, spec: {} },
  'an empty token': { ...TOKEN_REVIEW, spec: { token: '' } },
  'a token that is a number': { ...TOKEN_REVIEW, spec: { token: 7 } },
  'no attributes': withSpec({ user: 'alice' }),
  'both attributes': withSpec({ ...spec, nonResourceAttributes: {} }),
  'attributes that are a list': withSpec({ resourceAttributes: [] }),
  'a verb that is a number': withSpec({ ...spec, resourceAttributes: { verb: 7 } }),
  'a user that is an object': withSpec({ ...spec, user: {} }),
  'groups that are a string': withSpec({ ...spec, groups: 'x' }),
  'groups of numbers': withSpec({ ...spec, groups: [7] }),
  'extra that is a list': withSpec({ ...spec, extra: [] }),
  'extra of strings': withSpec({ ...spec, extra: { x: 'y' } }),
};

function isRefused(body: string): boolean {
  try {
    parseReview(body);
    return false;
  } catch (error) {
    return error instanceof InvalidReviewError;
  }
}

void t.test('bodies that are not a review are refused', async (t) => {
  for (const [title, body] of Object.entries(INVALID_REVIEWS)) t.ok(isRefused(JSON.stringify(body)), title);
  t.ok(isRefused('nonsense'));
  t.ok(isRefused(''));
  t.strictSame(makeStatus(400, 'BadRequest', 'no'), {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'no',
    reason: 'BadRequest',
    code: 400,
  });
});

const JUNK: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1e300,
  '',
  'x',
  '__proto__',
  [],
  {},
  [[]],
  [null],
  { '': '' },
  '\u0000',
  '\ud800',
];

/** A copy in which one member at any depth is replaced, removed or added. */
function corrupt(value: unknown, random: () => number): unknown {
  const pickJunk = (): unknown => JUNK[Math.floor(random() * JUNK.length)];
  if (typeof value !== 'object' || value === null || random() < 0.15) return pickJunk();
  const entries = Object.entries(value);
  const index = Math.floor(random() * (entries.length + 1));
  const entry = entries[index];
  if (entry === undefined)
    entries.push([['__proto__', 'constructor', 'spec', 'kind'][Math.floor(random() * 4)] ?? '', pickJunk()]);
  else if (random() < 0.2) entries.splice(index, 1);
  else entry[1] = corrupt(entry[1], random);
  return Array.isArray(value) ? entries.map(([, member]) => member as unknown) : Object.fromEntries(entries);
}

void t.test('each of 20,000 malformed bodies is a review or is refused, without a quote of a token', async (t) => {
  // The same in every run.
  const random = makeRandom('reviews');
  let refusedCount = 0;
  const problems: string[] = [];
  for (let round = 0; round < 20_000; round += 1) {
    const original = random() < 0.5 ? TOKEN_REVIEW : ACCESS_REVIEW;
    let body = JSON.stringify(corrupt(original, random));
    if (random() < 0.2) body = body.slice(0, Math.floor(random() * body.length));
    try {
      const review = parseReview(body);
      if (review.kind !== original.kind) problems.push(body);
    } catch (error) {
      refusedCount += 1;
      if (!(error instanceof InvalidReviewError) || error.message.includes('canary'))
        problems.push(`${String(error)}: ${body}`);
    }
  }
  t.strictSame(problems.slice(0, 5), []);
  t.ok(refusedCount > 5_000, `${refusedCount} refused`);
  t.equal(Object.getPrototypeOf({}), Object.prototype);
  t.equal(redact('gAAAA-canary'), 'gAAAA-canary', 'redact does not remember the token of a review');
});
