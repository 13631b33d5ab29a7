/** The index of a policy decides as a reading of all its entries does, and names the same entry. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { makePolicyText, makeQuestion, makeRandom } from '../../scripts/differential-policy/random-policy.ts';
import { COMPATIBILITIES } from '../../src/webhook/authz/policy/compatibility.ts';
import type { Compatibilities, Compatibility } from '../../src/webhook/authz/policy/compatibility.ts';
import { findAllowingEntry, parsePolicy } from '../../src/webhook/authz/policy/policy.ts';
import type { Policy, PolicyEntry } from '../../src/webhook/authz/policy/policy.ts';
import { InvalidPolicyError } from '../../src/webhook/authz/policy/policy-error.ts';
import { readSubject } from '../../src/webhook/authz/policy/subject.ts';
import type { Subject } from '../../src/webhook/authz/policy/subject.ts';
import type { AccessRequest } from '../../src/webhook/review/access-request.ts';
import { parseReview } from '../../src/webhook/review/review.ts';
import { checkProperty } from '../support/property.ts';

function readAllEntries({ entries }: Policy, subject: Subject, request: AccessRequest): PolicyEntry | undefined {
  return subject.isKeystoneUser ? entries.find((entry) => entry.allows(subject, request)) : undefined;
}

/** Some random policies are refused as a whole. */
function parseOrSkip(text: string, compatibilities: Compatibilities): Policy | undefined {
  try {
    return parsePolicy(text, compatibilities);
  } catch (error) {
    if (error instanceof InvalidPolicyError) return undefined;
    throw error;
  }
}

void t.test('the index finds the entry that a reading of all entries finds', async (t) => {
  const counts = { granted: 0, refused: 0 };
  const compatibilities = fc.subarray(Object.keys(COMPATIBILITIES) as Compatibility[]).map((list) => new Set(list));
  const property = fc.property(fc.integer({ min: 0 }), fc.nat(30), compatibilities, (seed, size, set) => {
    const random = makeRandom(seed);
    const policy = parseOrSkip(makePolicyText(random, size), set);
    if (policy === undefined) return;
    for (let number = 0; number < 20; number += 1) {
      const review = parseReview(JSON.stringify(makeQuestion(random)));
      if (review.kind !== 'SubjectAccessReview') throw new Error('not a SubjectAccessReview');
      const subject = readSubject(review);
      const found = findAllowingEntry(policy, subject, review.request);
      assert.equal(found, readAllEntries(policy, subject, review.request), JSON.stringify(review.request));
      counts[found === undefined ? 'refused' : 'granted'] += 1;
    }
  });
  await checkProperty(t, property, 300);
  t.ok(Math.min(counts.granted, counts.refused) > 500, JSON.stringify(counts));
});

void t.test('an entry that names very many namespaces and projects is found by each of them', async (t) => {
  const namespaces = Array.from({ length: 1_000 }, (_, number) => `ns-${number}`);
  const projects = Array.from({ length: 1_000 }, (_, number) => `project-${number}`);
  const list = namespaces.map((name) => `'${name}'`).join(', ');
  const users = { projects };
  const policy = parsePolicy(
    JSON.stringify([
      { users: { projects: ['other'] }, resource_permissions: { '*/*': ['*'] } },
      { users, resource_permissions: { [`[${list}]/secrets`]: ['get'] }, nonresource_permissions: { '/x': ['get'] } },
      { users, resource: { verbs: ['get'], resources: ['secrets'], version: '', namespace: '' } },
    ]),
    new Set(),
  );
  const subject = { name: 'alice', uid: '', groups: new Set<string>(), roles: new Set<string>() };
  const find = (project: string, request: AccessRequest): number | undefined =>
    findAllowingEntry(
      policy,
      { ...subject, projects: new Set(['', project]), domains: new Set(), isKeystoneUser: true },
      request,
    )?.number;
  const secrets = { kind: 'resource', verb: 'get', group: '', resource: 'secrets', subresource: '', name: '' } as const;
  for (const number of [0, 17, 999]) {
    t.equal(find(`project-${number}`, { ...secrets, namespace: `ns-${999 - number}` }), 2);
    t.equal(find(`project-${number}`, { ...secrets, namespace: '' }), 3);
    t.equal(find(`project-${number}`, { kind: 'path', verb: 'get', path: '/x' }), 2);
    t.equal(find(`project-${number}`, { kind: 'path', verb: 'get', path: '/y' }), undefined);
  }
  t.equal(find('project-1', { ...secrets, namespace: 'ns-1000' }), undefined);
  t.equal(find('other', { ...secrets, namespace: 'ns-1000' }), 1);
});
