// Each difference from the Go program has a row in the documents and an example that `policy lint` reports by its name.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Compatibility } from '../../src/webhook/authz/policy/compatibility.ts';
import { DIFFERENCES } from '../../src/webhook/authz/policy/differences.ts';
import type { DifferenceName } from '../../src/webhook/authz/policy/differences.ts';
import { parsePolicy } from '../../src/webhook/authz/policy/policy.ts';

const users = { projects: ['demo'] };
const grant = (key: string, verbs: readonly string[] = ['list']): object => ({
  resource_permissions: { [key]: verbs },
});
const resource = { verbs: ['list'], resources: ['secrets'], version: '', namespace: 'web' };
const match = (type: string, value: string): object => ({ users, resource, match: [{ type, values: [value] }] });

const EXAMPLES: Readonly<Record<DifferenceName, object>> = {
  'lost-subresources': { users, ...grant('web/pods') },
  'named-subresource': { users, ...grant('web/pods/exec') },
  'spaced-negation': { users, ...grant('web/! secrets') },
  'unclear-exclusion': { users, ...grant('web/!!secrets') },
  'changed-letters': { users, ...grant("web/['secrets', 'hoo\u212As']") },
  'without-users': grant('web/secrets'),
  'unknown-in-users': { users: { ...users, Roles: ['member'] }, ...grant('web/secrets') },
  'users-domains': { users: { ...users, domains: ['default'] }, ...grant('web/secrets') },
  'unknown-restriction': { users, matches: [], ...grant('web/secrets') },
  'user-id': match('user', '0123456789abcdef0123456789abcdef'),
  'empty-user': match('user', ''),
  'empty-name': match('role', ''),
  'incomplete-resource': { users, resource: { ...resource, version: undefined } },
};

const namesOf = (entry: object, compatibilities: readonly Compatibility[] = []): readonly (string | undefined)[] =>
  parsePolicy(JSON.stringify([entry]), new Set(compatibilities))
    .findings.filter(({ kind }) => kind === 'fault')
    .map(({ difference }) => difference);

void t.test('policy lint reports each difference by its name, and only that', async (t) => {
  for (const [name, entry] of Object.entries(EXAMPLES)) t.strictSame(namesOf(entry), [name], name);
});

void t.test('a compatibility that restores a difference silences it', async (t) => {
  for (const [name, compatibility] of [
    ['lost-subresources', 'v2-subresources'],
    ['named-subresource', 'v2-subresources'],
    ['spaced-negation', 'spaced-negation'],
  ] as const) {
    t.strictSame(namesOf(EXAMPLES[name], [compatibility]), [], name);
  }
});

/** The cells of the rows of the table of all differences. */
function readRows(): readonly (readonly string[])[] {
  const document = readFileSync(join(import.meta.dirname, '../../docs/webhook/differences.md'), 'utf8');
  const [, section = ''] = document.split('\n## All differences\n');
  const lines = section.split('\n## ')[0]?.split('\n') ?? [];
  const rows = lines.filter((line) => line.startsWith('| ')).map((line) => line.slice(2, -2).split(' | '));
  return rows.slice(2).map((cells) => cells.map((cell) => cell.trim()));
}

void t.test('each difference has one row of the documents, and each finding that a row names exists', async (t) => {
  const rows = readRows();
  t.ok(rows.length > 40, `${rows.length} rows`);
  const named = new Map<string, string>();
  for (const [part = '', go = '', ours = '', reason = '', finding = '', ...rest] of rows) {
    t.strictSame([go, ours, reason, finding].includes('') || rest.length > 0, false, `a row without a gap: ${go}`);
    const name = /^`(.*)`$/.exec(finding)?.[1];
    if (name === undefined) t.match(finding, /^(?:refused|–)$/, go);
    else {
      t.notOk(named.has(name), `${name} has one row`);
      named.set(name, part);
    }
  }
  t.strictSame([...named.keys()].toSorted(), Object.keys(DIFFERENCES).toSorted());
  for (const [name, { grants }] of Object.entries(DIFFERENCES)) {
    t.equal(named.get(name), grants === 'more' ? 'policy +' : 'policy', `${name} grants ${grants}`);
  }
});
