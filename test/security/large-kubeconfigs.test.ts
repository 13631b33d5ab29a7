// Kubeconfigs of large fleets work, and hostile ones end with one line before they take long: their parts are counted
// before they are parsed, and no step compares each part with each other one.

import { readFileSync, writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { makeDiff } from '../../src/plugin/kubeconfig/diff.ts';
import { parseYamlStream } from '../../src/plugin/kubeconfig/yaml.ts';
import { readServedContext } from '../../src/plugin/commands/kubeconfig/served-kubeconfig.ts';
import { magnumUser } from '../support/kubeconfig-samples.ts';
import { runInProcess } from '../support/run-in-process.ts';

const many = (count: number, makeText: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => makeText(index)).join('');

/** A kubeconfig as cluster tools write it, with a certificate of a usual size for each cluster. */
function makeFleet(count: number): string {
  const certificate = Buffer.alloc(1_200, 'certificate ').toString('base64');
  return [
    'apiVersion: v1\nkind: Config\nclusters:\n',
    many(count, (index) => {
      return `- cluster:\n    certificate-authority-data: ${certificate}\n    server: https://c${index}.test\n  name: c${index}\n`;
    }),
    'contexts:\n',
    many(count, (index) => `- context:\n    cluster: c${index}\n    user: u${index}\n  name: x${index}\n`),
    'current-context: x0\nusers:\n',
    many(count, (index) => {
      return `- name: u${index}\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: client-keystone-auth\n      args:\n      - get-token\n      - --os-cloud=a\n      env: null\n      interactiveMode: Never\n`;
    }),
  ].join('');
}

void t.test('a kubeconfig with 2,000 clusters is read and changed', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cka-large-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'config');
  writeFileSync(file, makeFleet(2_000));
  const env = { OS_AUTH_URL: 'https://keystone.test/v3', OS_USERNAME: 'alice', OS_PROJECT_NAME: 'demo' };
  const run = (...argv: string[]): ReturnType<typeof runInProcess> =>
    runInProcess({ argv: ['kubeconfig', ...argv, '--kubeconfig', file], env, cwd: folder, home: () => folder });
  const added = await run('add', '--name', 'new', '--cluster', 'c1999', '--command', '/bin/client-keystone-auth');
  t.match(added, { status: 0, stderr: '' });
  t.match(readFileSync(file, 'utf8'), /^- name: new$/m);
});

void t.test('200 clusters of Magnum, appended to each other, are converted at once', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cka-large-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'config');
  const users = many(200, (index) => magnumUser(`m${index}`, 'v1beta1'));
  const text = makeFleet(200).replaceAll(
    /certificate-authority-data: \S+/g,
    (line) => `${line}\n${`    x-more: ${line.slice(28)}\n`.repeat(3).trimEnd()}`,
  );
  writeFileSync(file, `${text}users:\n${users}`);
  t.ok(readFileSync(file).length > 1024 * 1024);
  const run = (...argv: string[]): ReturnType<typeof runInProcess> =>
    runInProcess({ argv: ['kubeconfig', ...argv, '--kubeconfig', file], env: {}, cwd: folder, home: () => folder });
  const converted = await run('convert', '--all', '--command', '/bin/client-keystone-auth');
  t.match(converted, { status: 0, stdout: /^Converted: m0, .*, m199\.\n/ });
  t.match(converted.stderr, /has the key "users" in line \d+ and again in line \d+; kubectl uses only the last one/);
  t.equal(
    readFileSync(file, 'utf8')
      .split(text)[1]
      ?.match(/- get-token/g)?.length,
    200,
  );
  t.match(await run('show'), { status: 0 });
});

/** Texts of a part or a few bytes each, of which an attacker would send a MiB. */
const FLOODS: Readonly<Record<string, (count: number) => string>> = {
  keys: (count) => many(count, (index) => `k${index}: 1\n`),
  'keys in braces': (count) => `{${many(count, (index) => `k${index}: 1,`)}}`,
  brackets: (count) => '['.repeat(count),
  'lists in lists': (count) => '- '.repeat(count),
  documents: (count) => '---\na\n'.repeat(count),
  comments: (count) => '# a\n'.repeat(count),
  anchors: (count) => many(count, (index) => `- &a${index} b\n`),
  aliases: (count) => `- &a b\n${'- *a\n'.repeat(count)}`,
  'complex keys': (count) => '- ? a\n'.repeat(count),
  lines: (count) => `a: |\n${'\n'.repeat(count)}`,
  'lines of a plain text': (count) => `a: b\n${' c\n'.repeat(count)}`,
};

void t.test('a text with too many parts is refused before it is parsed', async (t) => {
  for (const [name, makeText] of Object.entries(FLOODS)) {
    t.throws(
      () => parseYamlStream(makeText(200_000), 'a.yaml'),
      { code: 'config-invalid', message: /^a\.yaml has too many parts for a kubeconfig \(\d+\)$/ },
      name,
    );
    const served = { code: 'protocol', message: /has too many parts/ };
    t.throws(() => readServedContext(makeText(30_000), 'https://a.test'), served, `${name}, from a service`);
  }
  const merged = `a: &a {${many(50_000, (index) => `k${index}: 1, `)}}\n${many(90, (index) => `b${index}: {<<: *a}\n`)}`;
  t.throws(
    () => parseYamlStream(merged, 'a.yaml'),
    { message: /too many parts/ },
    'merge keys copy what they refer to',
  );
});

void t.test('the time to parse grows with the size, not with its square', async (t) => {
  const measure = (text: string): number => {
    const before = process.cpuUsage();
    try {
      parseYamlStream(text, 'a.yaml');
    } catch {
      // Some of the texts are no YAML.
    }
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  for (const [name, makeText] of Object.entries(FLOODS)) {
    measure(makeText(500));
    const [small, large] = [measure(makeText(500)), measure(makeText(8_000))];
    // 16 times as much text: 256 times the work if each part were compared with each other one.
    t.ok(large < 100 * Math.max(small, 5_000), `${name}: ${small} and ${large} µs`);
  }
});

void t.test('of a key that a map has twice, the last one counts, and both lines are known', async (t) => {
  const read = (text: string): unknown => {
    const [{ data, repeatedKeys } = { data: undefined, repeatedKeys: [] }] = parseYamlStream(text, 'a.yaml').documents;
    return [data, repeatedKeys.map(({ key, firstLine, lastLine }) => `${key} ${firstLine} ${lastLine}`)];
  };
  t.strictSame(read('a: 1\nb: 2\na: 3\n'), [{ a: 3, b: 2 }, ['a 1 3']]);
  t.strictSame(read('x:\n- {c: 1}\n- {d: 1, d: 2}\n'), [{ x: [{ c: 1 }, { d: 2 }] }, ['d 3 3']]);
  t.strictSame(read('a: 1\n"\\u0062": 1\nb: null\nb: 7\n'), [{ a: 1, b: 7 }, ['b 2 4']]);
  t.strictSame(read('a: &a {x: 1}\nb: &b {x: 2}\nc:\n  <<: *a\n  <<: *b\n  x: 3\n'), [
    { a: { x: 1 }, b: { x: 2 }, c: { x: 3 } },
    [],
  ]);
});

void t.test('a diff with very many changes is still a diff', async (t) => {
  const makeLines = (mark: string): string[] => [
    'first',
    ...Array.from({ length: 3_000 }, (_, index) => `${mark}${index % 2 === 0 ? '' : index}`),
    'a',
    'b',
    'c',
    'last',
  ];
  const [before, after] = [makeLines('-old'), makeLines('+new')];
  const diff = makeDiff(
    { name: 'config', lines: before, redactedLines: before },
    { name: 'config', lines: after, redactedLines: after.map((line) => line.replace('+new9', '[redacted]')) },
  ).split('\n');
  t.strictSame(diff.slice(0, 5), ['--- config', '+++ config', '@@ -1,3004 +1,3004 @@', ' first', '--old']);
  t.strictSame(diff.slice(-3), [' a', ' b', ' c']);
  t.equal(diff.filter((line) => line.startsWith('+')).length, 3_001, 'each new line');
  t.ok(diff.includes('+[redacted]') && !diff.join().includes('+new9'), 'secrets are redacted in it too');
});
