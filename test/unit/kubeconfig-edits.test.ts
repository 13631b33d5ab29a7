// Every kubeconfig that people have: what is ours comes and goes, and all the rest stays, in kubectl's own words.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { parseAllDocuments } from 'yaml';
import { findKubectl } from '../../scripts/lib/find-kubectl.ts';
import { CANARIES, KUBECONFIG_SAMPLES } from '../support/kubeconfig-samples.ts';
import type { KubeconfigSample } from '../support/kubeconfig-samples.ts';
import { runInProcess } from '../support/run-in-process.ts';
import type { CommandOutput } from '../support/run-in-process.ts';

t.setTimeout(170_000);

const PASSWORD = 'canary-password-of-the-shell';
const LOGIN = {
  OS_AUTH_URL: 'https://keystone.test:5000/v3',
  OS_USERNAME: 'alice',
  OS_PASSWORD: PASSWORD,
  OS_PROJECT_NAME: 'no',
  OS_DOMAIN_NAME: 'My Domain: "quoted" \\ # 100%',
};

const kubectl = await findKubectl('new');

const run = (file: string, ...argv: readonly string[]): Promise<CommandOutput> =>
  runInProcess({ argv: ['kubeconfig', ...argv, '--kubeconfig', file], env: LOGIN });

type Json = Record<string, unknown>;
interface Entry {
  readonly name: string;
}

/** What kubectl makes of a file, with lists by name. */
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

function view(path: string, file: string): View {
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

/** Everything in a file, unknown fields and further documents too, but for entries of these names and the current context. */
function everythingElse(text: string, own: readonly string[]): unknown {
  const documents = parseAllDocuments(text, { merge: true });
  const [first, ...others] = ('empty' in documents ? [] : documents).map((document): unknown => document.toJS());
  const all = { apiVersion: 'v1', kind: 'Config', ...(first as Json | null), 'current-context': '' };
  const lists = ['clusters', 'users', 'contexts'].map((section) => {
    const entries = ((all as Json)[section] ?? []) as readonly Entry[];
    return [section, entries.filter(({ name }) => !own.includes(name))];
  });
  return [{ ...all, ...(Object.fromEntries(lists) as Json) }, ...others];
}

/** Comments, each as often as it is there. */
function comments(text: string): string[] {
  return text.split(/\r?\n/).flatMap((line) => /(?:^|\s)(#.*?)\s*$/.exec(line)?.[1] ?? []);
}

function checkComments(t: Test, before: string, after: string, when: string): void {
  const left = comments(after);
  for (const comment of comments(before)) {
    const index = left.indexOf(comment);
    t.ok(index >= 0, `${when}: ${comment} is kept`);
    left.splice(index, 1);
  }
}

/** Lines that are to say more than they did: sections of nothing, and what stands below a context that is none. */
const WAS_EMPTY = /^(?:|\w+:(?: \[\]| null)?(?: #.*)?|current-context:(?: "")?)$/;

/** Lines of the old text that stand in the new one no more, in their order. */
function lost(before: string, after: string): string[] {
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

const OURS = {
  apiVersion: 'client.authentication.k8s.io/v1',
  command: 'client-keystone-auth',
  interactiveMode: 'IfAvailable',
  provideClusterInfo: true,
};

async function check(t: Test, path: string, shape: KubeconfigSample): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cka-kubeconfig-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'config');
  const read = (): string => readFileSync(file, 'utf8');
  writeFileSync(file, shape.text, { mode: 0o640 });
  const before = view(path, file);
  const cluster = shape.cluster ?? 'new';
  const add = ['add', '--name', 'ours', '--cluster', cluster, '--namespace', '0x10'];
  if (shape.cluster === undefined) add.push('--server', 'https://10.9.9.9:6443');

  const tried = await run(file, ...add, '--dry-run');
  t.equal(tried.status, 0, tried.stderr);
  t.match(tried.stdout, /^\+.*client-keystone-auth/m);
  checkNoCanary(t, tried, 'a dry run');
  t.equal(read(), shape.text, 'a dry run writes nothing');

  const added = await run(file, ...add);
  t.equal(added.status, 0, added.stderr);
  checkNoCanary(t, added, 'add');
  const withOurs = read();
  const after = view(path, file);
  const own = { cluster, namespace: '0x10', user: 'ours' };
  t.match(after.users['ours'], { user: { exec: OURS } });
  const { args } = (after.users['ours'] as { user: { exec: { args: string[] } } }).user.exec;
  t.ok(args.includes(`--user-domain-name=${LOGIN.OS_DOMAIN_NAME}`), 'kubectl reads back what was set');
  t.ok(args.includes('--project-name=no'));
  t.notOk(withOurs.includes(PASSWORD), 'no secret is written');
  t.strictSame(after.contexts, { ...before.contexts, ours: { context: own } });
  t.strictSame(after.users, { ...before.users, ours: after.users['ours'] });
  t.match(after.clusters, before.clusters);
  t.equal(after.current, before.current === '' ? 'ours' : before.current);
  const names = shape.cluster === undefined ? ['ours', 'new'] : ['ours'];
  t.strictSame(everythingElse(withOurs, names), everythingElse(shape.text, names), 'all else is the same');
  checkComments(t, shape.text, withOurs, 'add');
  const isBlock = !/^\s*\{|: \[\{/.test(shape.text);
  if (isBlock)
    t.strictSame(
      lost(shape.text, withOurs).filter((line) => !WAS_EMPTY.test(line)),
      [],
      'no line is lost',
    );
  t.equal(withOurs.includes('\r\n'), shape.text.includes('\r\n'), 'line ends stay');
  if (shape.text.includes('\r\n')) t.notMatch(withOurs, /[^\r]\n/, 'all of them');
  t.equal(withOurs.startsWith('\uFEFF'), shape.text.startsWith('\uFEFF'), 'a byte order mark stays');
  t.equal(readFileSync(`${file}.keystone.bak`, 'utf8'), shape.text, 'a copy is kept');

  const again = await run(file, ...add);
  t.equal(again.status, 0, again.stderr);
  t.match(again.stdout, 'Nothing had to be changed');
  t.equal(read(), withOurs, 'twice is once');

  const removed = await run(file, 'remove', 'ours');
  t.equal(removed.status, 0, removed.stderr);
  const without = view(path, file);
  t.strictSame([without.users, without.contexts], [before.users, before.contexts], 'remove takes it out again');
  t.equal(without.current, before.current);
  checkComments(t, shape.text, read(), 'remove');
  t.strictSame(everythingElse(read(), names), everythingElse(shape.text, names), 'all else is the same');

  writeFileSync(file, shape.text);
  const would = await run(file, 'convert', '--all', '--dry-run');
  checkNoCanary(t, would, 'a dry run of convert');
  const converted = await run(file, 'convert', '--all');
  t.equal(converted.status, 0, converted.stderr);
  checkNoCanary(t, converted, 'convert');
  const { converts = [] } = shape;
  if (converts.length === 0) t.equal(read(), shape.text, 'nothing to convert, nothing changed');
  const last = view(path, file);
  for (const name of converts) t.match(last.users[name], { user: { exec: OURS } }, name);
  const others = (users: Json): Json =>
    Object.fromEntries(Object.entries(users).filter(([name]) => !converts.includes(name)));
  t.strictSame(others(last.users), others(before.users), 'other users are as they were');
  t.strictSame([last.clusters, last.contexts, last.current], [before.clusters, before.contexts, before.current]);
  t.strictSame(everythingElse(read(), converts), everythingElse(shape.text, converts), 'all else is the same');
  checkComments(t, shape.text, read(), 'convert');
  const shown = await run(file, 'show');
  checkNoCanary(t, shown, 'show');
  t.notOk(existsSync(`${file}.lock`), 'no lock is left');
}

t.ok(Object.keys(KUBECONFIG_SAMPLES).length >= 30, `${String(Object.keys(KUBECONFIG_SAMPLES).length)} shapes`);

for (const [name, shape] of Object.entries(KUBECONFIG_SAMPLES)) {
  if ('missing' in kubectl) void t.test(name, { skip: kubectl.missing }, () => undefined);
  else void t.test(name, (t) => check(t, kubectl.path, shape));
}
