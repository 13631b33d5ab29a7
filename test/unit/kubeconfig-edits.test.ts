// Edits kubeconfigs of many forms, and checks with kubectl that everything else in them stays the same.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { parseAllDocuments } from 'yaml';
import { requireKubectl } from '../support/missing-tools.ts';
import { CANARIES, KUBECONFIG_SAMPLES } from '../support/kubeconfig-samples.ts';
import type { KubeconfigSample } from '../support/kubeconfig-samples.ts';
import { runInProcess } from '../support/run-in-process.ts';
import type { CommandOutput } from '../support/run-in-process.ts';

const PASSWORD = 'canary-password-of-the-shell';
const LOGIN_SETTINGS = {
  OS_AUTH_URL: 'https://keystone.test:5000/v3',
  OS_USERNAME: 'alice',
  OS_PASSWORD: PASSWORD,
  OS_PROJECT_NAME: 'no',
  OS_DOMAIN_NAME: 'My Domain: "quoted" \\ # 100%',
};

const kubectl = await requireKubectl('new');

const run = (file: string, ...argv: readonly string[]): Promise<CommandOutput> =>
  runInProcess({ argv: ['kubeconfig', ...argv, '--kubeconfig', file], env: LOGIN_SETTINGS });

type Json = Record<string, unknown>;
interface Entry {
  readonly name: string;
}

/** How kubectl reads a file, with the entries by name. */
interface View {
  readonly clusters: Json;
  readonly users: Json;
  readonly contexts: Json;
  readonly current: string;
}

function byName(list: unknown): Json {
  const entries = (list ?? []) as readonly Entry[];
  return Object.fromEntries(entries.map(({ name, ...rest }) => [name, rest]));
}

/** By the text of the file. */
const views = new Map<string, View>();

function view(path: string, file: string): View {
  const content = readFileSync(file, 'utf8');
  const known = views.get(content) ?? readWithKubectl(path, file);
  views.set(content, known);
  return known;
}

function readWithKubectl(path: string, file: string): View {
  const text = execFileSync(path, ['config', 'view', '--raw', '-o', 'json', '--kubeconfig', file], {
    encoding: 'utf8',
    env: {},
  });
  const all = JSON.parse(text) as Json;
  return {
    clusters: byName(all['clusters']),
    users: byName(all['users']),
    contexts: byName(all['contexts']),
    current: typeof all['current-context'] === 'string' ? all['current-context'] : '',
  };
}

/**
 * Reads all data of a file, including unknown fields and further documents, without the entries of these names and the
 * current context.
 */
function readOtherData(text: string, own: readonly string[]): unknown {
  const documents = parseAllDocuments(text, { merge: true });
  const [first, ...others] = ('empty' in documents ? [] : documents).map((document): unknown => document.toJS());
  const all = { apiVersion: 'v1', kind: 'Config', ...(first as Json | null), 'current-context': '' };
  const lists = ['clusters', 'users', 'contexts'].map((section) => {
    const entries = ((all as Json)[section] ?? []) as readonly Entry[];
    return [section, entries.filter(({ name }) => !own.includes(name))];
  });
  return [{ ...all, ...(Object.fromEntries(lists) as Json) }, ...others];
}

/** Lists the comments of a text, with repetitions. */
function listComments(text: string): string[] {
  return text.split(/\r?\n/).flatMap((line) => /(?:^|\s)(#.*?)\s*$/.exec(line)?.[1] ?? []);
}

function checkComments(t: Test, before: string, after: string, when: string): void {
  const remaining = listComments(after);
  for (const comment of listComments(before)) {
    const index = remaining.indexOf(comment);
    t.ok(index >= 0, `${when}: ${comment} stays`);
    remaining.splice(index, 1);
  }
}

/** Lines that can change: empty sections and an empty current context. */
const EMPTY_SETTING = /^(?:|\w+:(?: \[\]| null)?(?: #.*)?|current-context:(?: "")?)$/;

/** Lists the lines of the old text that are missing in the new one, or out of order. */
function listMissingLines(before: string, after: string): string[] {
  const lines = after.split(/\r?\n/);
  let from = 0;
  return before.split(/\r?\n/).filter((line) => {
    const at = lines.indexOf(line, from);
    if (at >= 0) from = at + 1;
    return at < 0;
  });
}

function checkNoCanary(t: Test, { stdout, stderr }: CommandOutput, when: string): void {
  for (const canary of [...Object.values(CANARIES), PASSWORD]) {
    t.notOk((stdout + stderr).includes(canary), `${when}: no secret is shown`);
  }
}

const EXEC_STANZA = {
  apiVersion: 'client.authentication.k8s.io/v1',
  command: 'client-keystone-auth',
  interactiveMode: 'IfAvailable',
  provideClusterInfo: true,
};

async function check(t: Test, path: string, sample: KubeconfigSample): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cka-kubeconfig-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'config');
  const read = (): string => readFileSync(file, 'utf8');
  writeFileSync(file, sample.text, { mode: 0o640 });
  const before = view(path, file);
  const cluster = sample.cluster ?? 'new';
  const add = ['add', '--name', 'ours', '--cluster', cluster, '--namespace', '0x10'];
  if (sample.cluster === undefined) add.push('--server', 'https://10.9.9.9:6443');

  const preview = await run(file, ...add, '--dry-run');
  t.equal(preview.status, 0, preview.stderr);
  t.match(preview.stdout, /^\+.*client-keystone-auth/m);
  checkNoCanary(t, preview, 'a dry run');
  t.equal(read(), sample.text, 'a dry run writes nothing');

  const added = await run(file, ...add);
  t.equal(added.status, 0, added.stderr);
  checkNoCanary(t, added, 'add');
  const textWithStanza = read();
  const after = view(path, file);
  const own = { cluster, namespace: '0x10', user: 'ours' };
  t.match(after.users['ours'], { user: { exec: EXEC_STANZA } });
  const { args } = (after.users['ours'] as { user: { exec: { args: string[] } } }).user.exec;
  t.ok(args.includes(`--user-domain-name=${LOGIN_SETTINGS.OS_DOMAIN_NAME}`), 'kubectl reads the value that was set');
  t.ok(args.includes('--project-name=no'));
  t.notOk(textWithStanza.includes(PASSWORD), 'no secret is written');
  t.strictSame(after.contexts, { ...before.contexts, ours: { context: own } });
  t.strictSame(after.users, { ...before.users, ours: after.users['ours'] });
  t.match(after.clusters, before.clusters);
  t.equal(after.current, before.current === '' ? 'ours' : before.current);
  const names = sample.cluster === undefined ? ['ours', 'new'] : ['ours'];
  t.strictSame(readOtherData(textWithStanza, names), readOtherData(sample.text, names), 'everything else is the same');
  checkComments(t, sample.text, textWithStanza, 'add');
  const isBlock = !/^\s*\{|: \[\{/.test(sample.text);
  if (isBlock)
    t.strictSame(
      listMissingLines(sample.text, textWithStanza).filter((line) => !EMPTY_SETTING.test(line)),
      [],
      'no line is lost',
    );
  t.equal(textWithStanza.includes('\r\n'), sample.text.includes('\r\n'), 'line ends stay');
  if (sample.text.includes('\r\n')) t.notMatch(textWithStanza, /[^\r]\n/, 'all line ends stay');
  t.equal(textWithStanza.startsWith('\uFEFF'), sample.text.startsWith('\uFEFF'), 'a byte order mark stays');
  t.equal(readFileSync(`${file}.keystone.bak`, 'utf8'), sample.text, 'a backup copy is written');

  const again = await run(file, ...add);
  t.equal(again.status, 0, again.stderr);
  t.match(again.stdout, 'Nothing had to be changed');
  t.equal(read(), textWithStanza, 'adding it again changes nothing');

  const removed = await run(file, 'remove', 'ours');
  t.equal(removed.status, 0, removed.stderr);
  const without = view(path, file);
  t.strictSame(
    [without.users, without.contexts],
    [before.users, before.contexts],
    'remove restores the users and contexts',
  );
  t.equal(without.current, before.current);
  checkComments(t, sample.text, read(), 'remove');
  t.strictSame(readOtherData(read(), names), readOtherData(sample.text, names), 'everything else is the same');

  writeFileSync(file, sample.text);
  const convertPreview = await run(file, 'convert', '--all', '--dry-run');
  checkNoCanary(t, convertPreview, 'a dry run of convert');
  const converted = await run(file, 'convert', '--all');
  t.equal(converted.status, 0, converted.stderr);
  checkNoCanary(t, converted, 'convert');
  const { converts = [] } = sample;
  if (converts.length === 0) t.equal(read(), sample.text, 'without anything to convert, nothing changes');
  const last = view(path, file);
  for (const name of converts) t.match(last.users[name], { user: { exec: EXEC_STANZA } }, name);
  const others = (users: Json): Json =>
    Object.fromEntries(Object.entries(users).filter(([name]) => !converts.includes(name)));
  t.strictSame(others(last.users), others(before.users), 'other users stay the same');
  t.strictSame([last.clusters, last.contexts, last.current], [before.clusters, before.contexts, before.current]);
  t.strictSame(readOtherData(read(), converts), readOtherData(sample.text, converts), 'everything else is the same');
  checkComments(t, sample.text, read(), 'convert');
  const shown = await run(file, 'show');
  checkNoCanary(t, shown, 'show');
  t.notOk(existsSync(`${file}.lock`), 'the lock is removed');
}

t.ok(Object.keys(KUBECONFIG_SAMPLES).length >= 30, `${String(Object.keys(KUBECONFIG_SAMPLES).length)} samples`);

for (const [name, sample] of Object.entries(KUBECONFIG_SAMPLES)) {
  if ('missing' in kubectl) void t.test(name, { skip: kubectl.missing }, () => undefined);
  else void t.test(name, (t) => check(t, kubectl.path, sample));
}
