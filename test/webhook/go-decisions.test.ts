// 400 decisions of the Go k8s-keystone-auth, on policies and requests that a generator made from what policies consist of.
// Each is ours too, or belongs to a row of "Differences from the Go program" in docs/webhook/policy.md, and `policy lint`
// reports it. `npm run differential:policy` asks a Go program about new ones.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { EXTRA_PREFIX } from '../../src/webhook/authn/user-info.ts';
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
  readonly differs?: string;
}

interface Difference {
  /** Begins the row in the documents. */
  readonly row: string;
  readonly finding: RegExp;
  readonly ours: boolean;
}

const DIFFERENCES: Readonly<Record<string, Difference>> = {
  subresources: { row: '`web/pods` in version 2', finding: /also granted the subresources/, ours: false },
  'key-with-subresource': { row: '`web/pods/exec`,', finding: /names a subresource/, ours: true },
  'spaced-negation': { row: "`! ['secrets']`,", finding: /space after the "!"/, ours: false },
  'exclusion-not-understood': { row: "`!'secrets'`,", finding: /is not a key .* excluded nothing/, ours: false },
  'without-users': { row: 'an entry without `users`', finding: /^without "users"/, ours: false },
  'unknown-users': { row: '`users` with an unknown key', finding: /which is unknown/, ours: false },
  'empty-user': { row: '`match` of a `user` with an empty value', finding: /matched every user/, ours: false },
  crash: { row: '`resource` without `version` or `namespace`', finding: /made the Go program crash/, ours: false },
};

const DECISIONS = readFileSync(join(import.meta.dirname, 'go-decisions.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Decision);

const DOCUMENT = readFileSync(join(import.meta.dirname, '../../docs/webhook/policy.md'), 'utf8');

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
    const difference = DIFFERENCES[differs];
    t.not(difference, undefined, line);
    t.equal(isAllowed, difference?.ours, line);
    t.not(isAllowed, go, line);
    t.ok(
      findings.some(({ kind, message }) => kind === 'fault' && difference?.finding.test(message) === true),
      `${line}: ${JSON.stringify(findings)}`,
    );
  }
  for (const [name, { row }] of Object.entries(DIFFERENCES)) {
    t.ok(DOCUMENT.includes(`\n| ${row}`), `the document has the row "${row}"`);
    t.ok((counts.get(name) ?? 0) > 0, `${name}: ${counts.get(name) ?? 0} decisions`);
  }
});
