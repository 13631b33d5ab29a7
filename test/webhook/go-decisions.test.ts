// 400 decisions of the Go k8s-keystone-auth, on policies and requests that a generator made from what policies consist of.
// Each is ours too, or belongs to a row of docs/webhook/differences.md, and `policy lint` reports it by the name of that row.
// `npm run differential:policy` asks a Go program about new ones.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { EXTRA_PREFIX } from '../../src/webhook/authn/user-info.ts';
import { DIFFERENCES } from '../../src/webhook/authz/policy/differences.ts';
import type { DifferenceName } from '../../src/webhook/authz/policy/differences.ts';
import { findAllowingEntry, parsePolicy } from '../../src/webhook/authz/policy/policy.ts';
import { readSubject } from '../../src/webhook/authz/policy/subject.ts';
import type { AccessRequest } from '../../src/webhook/review/access-request.ts';

interface Decision {
  readonly policy: unknown;
  readonly user: string;
  readonly groups: readonly string[];
  /** The keys of Keystone without their prefix; null for a user without `extra`. */
  readonly extra: Readonly<Record<string, readonly string[]>> | null;
  /** Verb and path; or verb, namespace, API group, resource and subresource. */
  readonly ask: string | readonly string[];
  readonly go: boolean | 'panics';
  /** The difference to which it belongs. */
  readonly differs?: DifferenceName;
}

const DECISIONS = readFileSync(join(import.meta.dirname, 'go-decisions.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Decision);

const fullKey = (key: string): string => (/^(?:roles$|project\/|user\/)/.test(key) ? EXTRA_PREFIX + key : key);

function readRequest(ask: Decision['ask']): AccessRequest {
  if (typeof ask === 'string') {
    const [verb = '', path = ''] = ask.split(' ');
    return { kind: 'path', verb, path };
  }
  const [verb = '', namespace = '', group = '', resource = '', subresource = ''] = ask;
  return { kind: 'resource', verb, namespace, group, resource, subresource, name: '' };
}

void t.test('each decision is that of the Go program, or a documented difference with a finding', async (t) => {
  t.equal(DECISIONS.length, 400);
  const counts = new Map<string, number>();
  for (const [index, { policy, user, groups, extra, ask, go, differs }] of DECISIONS.entries()) {
    const request = readRequest(ask);
    const entries = Object.entries(extra ?? {}).map(([key, values]) => [fullKey(key), values] as const);
    const subject = readSubject({
      kind: 'SubjectAccessReview',
      version: 'v1beta1',
      user,
      uid: '',
      groups,
      extra: new Map(entries),
      request,
    });
    const { findings, ...compiled } = parsePolicy(JSON.stringify(policy), new Set());
    const isAllowed = findAllowingEntry({ ...compiled, findings }, subject, request) !== undefined;
    const name = differs ?? 'the same';
    counts.set(name, (counts.get(name) ?? 0) + 1);
    const line = `line ${index + 1}: ${name}`;
    if (differs === undefined) {
      t.equal(isAllowed, go, line);
      continue;
    }
    t.equal(isAllowed, DIFFERENCES[differs].grants === 'more', line);
    t.not(isAllowed, go, line);
    t.ok(
      findings.some(({ kind, difference }) => kind === 'fault' && difference === differs),
      `${line}: ${JSON.stringify(findings)}`,
    );
  }
  t.equal(counts.size, 9, `the same and eight differences: ${JSON.stringify([...counts])}`);
});
