/**
 * Edits of kubeconfigs of any form: the result says what was intended, and everything that the edit is not about stays
 * the same, byte for byte. What is intended is computed here on plain data, and what may change is known from the pieces
 * of which the random text is made.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { parseAllDocuments } from 'yaml';
import type { EntryKind } from '../../src/plugin/kubeconfig/document.ts';
import { hideSecretsInLines } from '../../src/plugin/kubeconfig/hide-secrets.ts';
import { openKubeconfigText } from '../../src/plugin/kubeconfig/kubeconfig.ts';
import type { Kubeconfig } from '../../src/plugin/kubeconfig/kubeconfig.ts';
import { parseYamlStream } from '../../src/plugin/kubeconfig/yaml.ts';
import { ConfigError } from '../../src/shared/base/errors.ts';
import { checkProperty } from '../support/property.ts';
import { contents, entryNames, kubeconfigs } from '../support/random-kubeconfig.ts';
import type { Data, DataMap, RandomKubeconfig, Section } from '../support/random-kubeconfig.ts';

const SECTION_OF: Readonly<Record<EntryKind, Section>> = { cluster: 'clusters', user: 'users', context: 'contexts' };

/** Reads all documents without the program. */
function readDocuments(text: string): unknown[] {
  const documents = parseAllDocuments(text, { merge: true });
  return 'empty' in documents
    ? []
    : documents.map((document): unknown => {
        assert.deepEqual(document.errors, [], text);
        return document.toJS();
      });
}

type Edit =
  | { readonly what: 'set'; readonly kind: EntryKind; readonly name: string; readonly value: DataMap }
  | { readonly what: 'remove'; readonly kind: EntryKind; readonly name: string }
  | { readonly what: 'switch'; readonly name: string };

function apply(kubeconfig: Kubeconfig, edit: Edit): void {
  if (edit.what === 'set') kubeconfig.set(edit.kind, edit.name, edit.value);
  else if (edit.what === 'remove') kubeconfig.remove(edit.kind, edit.name);
  else kubeconfig.setCurrentContext(edit.name);
}

/**
 * Edits a text.
 *
 * @returns undefined if the program refuses
 */
function edit(text: string, ...edits: readonly Edit[]): string | undefined {
  const kubeconfig = openKubeconfigText(text, 'a kubeconfig');
  for (const one of edits) apply(kubeconfig, one);
  try {
    return kubeconfig.listChanges()[0]?.after ?? text;
  } catch (error) {
    assert.ok(error instanceof ConfigError && error.message.includes('cannot be changed'), String(error));
    return undefined;
  }
}

type Entries = readonly DataMap[];

const entriesOf = (data: DataMap, section: Section): Entries => (data[section] ?? []) as Entries;

/** What an edit means. */
function intend(data: DataMap, one: Edit): DataMap {
  if (one.what === 'switch') return { ...data, 'current-context': one.name };
  const section = SECTION_OF[one.kind];
  const entries = entriesOf(data, section);
  const exists = entries.some(({ name }) => name === one.name);
  if (one.what === 'remove') {
    return exists ? { ...data, [section]: entries.filter(({ name }) => name !== one.name) } : data;
  }
  const changed = entries.map((entry) => (entry['name'] === one.name ? { ...entry, [one.kind]: one.value } : entry));
  return { ...data, [section]: exists ? changed : [...entries, { name: one.name, [one.kind]: one.value }] };
}

/** Whether a piece of the text is about something else than the edit. */
function isUntouched(owner: string | undefined, one: Edit, data: DataMap): boolean {
  if (owner === undefined) return true;
  if (owner === 'punctuation' || owner === 'all') return false;
  if (one.what === 'switch') return owner !== 'current-context';
  const section = SECTION_OF[one.kind];
  // The key of a list that is empty before or after the edit changes, as in `users: []`.
  const isKeyTouched = entriesOf(data, section).length === 0 || entriesOf(intend(data, one), section).length === 0;
  return owner === section ? !isKeyTouched : owner !== `${section}/${one.name}`;
}

function findCommonPrefix(a: string, b: string): number {
  let length = 0;
  while (length < Math.min(a.length, b.length) && a[length] === b[length]) length += 1;
  return length;
}

const reverse = (text: string): string => text.split('').reverse().join('');

/** Whether `long` is `short` with one piece inserted. */
function isInsertion(short: string, long: string): boolean {
  const common = findCommonPrefix(short, long) + findCommonPrefix(reverse(short), reverse(long));
  return long.length >= short.length && common >= short.length;
}

/** Checks that all pieces of the text about something else are still there, in order. */
function checkPieces({ pieces, data }: RandomKubeconfig, one: Edit, after: string): void {
  let position = 0;
  for (const { owner, text } of pieces) {
    if (!isUntouched(owner, one, data)) continue;
    const found = after.indexOf(text, position);
    assert.ok(found >= 0, `${JSON.stringify(text)} is missing or out of place`);
    position = found + text.length;
  }
}

function check(before: RandomKubeconfig, one: Edit): void {
  const after = edit(before.text, one);
  const intended = intend(before.data, one);
  if (after === undefined) {
    const touched = one.what === 'switch' ? undefined : `${SECTION_OF[one.kind]}/${one.name}`;
    assert.ok(before.anchored !== undefined && before.anchored === touched, 'refused without a reason');
    return;
  }
  assert.deepEqual(readDocuments(after), [intended, ...before.furtherDocuments], after);
  checkPieces(before, one, after);
  assert.equal(edit(after, one), after, 'the same edit again changes nothing');
  if (before.text.includes('\r\n')) assert.doesNotMatch(after, /[^\r]\n/, 'a line end of another kind');
  if (!before.isBlock || one.what === 'switch') return;
  const count = entriesOf(before.data, SECTION_OF[one.kind]).length;
  const newCount = entriesOf(intended, SECTION_OF[one.kind]).length;
  if (newCount > count && count > 0) assert.ok(isInsertion(before.text, after), `not an insertion:\n${after}`);
  if (newCount < count && newCount > 0) assert.ok(isInsertion(after, before.text), `not a removal:\n${after}`);
}

const kinds = fc.constantFrom<EntryKind>('cluster', 'user', 'context');

/** A name of the kubeconfig, or any other. */
function nameIn({ data }: RandomKubeconfig, kind: EntryKind): fc.Arbitrary<string> {
  const names = entriesOf(data, SECTION_OF[kind]).flatMap(({ name }) => (typeof name === 'string' ? [name] : []));
  return names.length === 0 ? entryNames : fc.constantFrom(...names);
}

void t.test('a random kubeconfig is read as it was written', async (t) => {
  const property = fc.property(kubeconfigs, ({ text, data, furtherDocuments }) => {
    assert.deepEqual(readDocuments(text), [data, ...furtherDocuments], text);
    assert.deepEqual(
      parseYamlStream(text, 'a kubeconfig').documents.map((document) => document.data),
      [data, ...furtherDocuments],
    );
  });
  await checkProperty(t, property, 80);
});

void t.test('an entry that is added is the only difference', async (t) => {
  const property = fc.property(kubeconfigs, kinds, entryNames, contents, (before, kind, name, value) => {
    check(before, { what: 'set', kind, name, value });
  });
  await checkProperty(t, property, 120);
});

void t.test('an entry that is replaced or removed is the only difference', async (t) => {
  const cases = fc
    .tuple(kubeconfigs, kinds, contents, fc.boolean())
    .chain(([before, kind, value, isRemoved]) =>
      nameIn(before, kind).map((name): [RandomKubeconfig, Edit] => [
        before,
        isRemoved ? { what: 'remove', kind, name } : { what: 'set', kind, name, value },
      ]),
    );
  const property = fc.property(cases, ([before, one]) => {
    check(before, one);
  });
  await checkProperty(t, property, 180);
});

void t.test('another current context is the only difference', async (t) => {
  const property = fc.property(kubeconfigs, entryNames, (before, name) => {
    check(before, { what: 'switch', name });
  });
  await checkProperty(t, property, 60);
});

void t.test('a context with its user that is added and removed again leaves the kubeconfig as it was', async (t) => {
  const fresh = fc.uniqueArray(entryNames, { minLength: 2, maxLength: 2 });
  const property = fc.property(kubeconfigs, fresh, contents, (before, [user = '', context = ''], value) => {
    const isNew = ({ data }: RandomKubeconfig, section: Section, name: string): boolean =>
      !entriesOf(data, section).some((entry) => entry['name'] === name);
    fc.pre(isNew(before, 'users', user) && isNew(before, 'contexts', context));
    const added = edit(
      before.text,
      { what: 'set', kind: 'user', name: user, value },
      { what: 'set', kind: 'context', name: context, value: { cluster: 'a', user } },
    );
    assert.ok(added !== undefined);
    const removed = edit(
      added,
      { what: 'remove', kind: 'context', name: context },
      { what: 'remove', kind: 'user', name: user },
    );
    const [data] = readDocuments(removed ?? '');
    // An empty list can be written in several ways.
    const lists = (['users', 'contexts'] as const).map((section) => [section, entriesOf(before.data, section)]);
    assert.deepEqual(data, { ...before.data, ...Object.fromEntries(lists) });
    const wasEmpty = lists.some(([, entries]) => entries?.length === 0);
    if (before.isBlock && !wasEmpty && before.text.endsWith('\n')) assert.equal(removed, before.text);
  });
  await checkProperty(t, property, 90);
});

// --- What is shown ---

const secretKeys = fc.constantFrom('token', 'password', 'client-key-data', 'id-token', 'x-own', 'auth');

/** A secret with a mark that is found again, of one line or of several. */
const secrets = fc
  .constantFrom('', ' ', '"', "'", '\n', '# ', ': ')
  .map((separator) => ['CANARY', 'CANARY'].join(separator));

const secretContents: fc.Arbitrary<DataMap> = fc
  .tuple(secretKeys, secrets, secrets, secrets)
  .map(([key, secret, password, value]): DataMap => {
    const args: Data = ['get-token', `--password=${password}`, '--password', password, `--user-name=a`];
    const env: Data = [
      { name: 'OS_PASSWORD', value },
      { value, name: 'OS_TOKEN' },
    ];
    return { [key]: secret, exec: { command: 'client-keystone-auth', args, env }, config: { [key]: [secret] } };
  });

void t.test('a kubeconfig that is shown has the same lines and none of its secrets', async (t) => {
  const property = fc.property(kubeconfigs, secretContents, entryNames, (before, value, name) => {
    const text = edit(before.text, { what: 'set', kind: 'user', name, value });
    fc.pre(text !== undefined);
    const lines = hideSecretsInLines(text, parseYamlStream(text, 'a kubeconfig'), new Set(['OS_AUTH_URL']));
    assert.equal(lines.length, text.split('\n').length);
    assert.doesNotMatch(lines.join('\n'), /CANARY/);
    assert.match(text, /CANARY/);
  });
  await checkProperty(t, property, 90);
});
