// Which of several files is read and written, how a file is replaced, and how invalid kubeconfigs are rejected.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { requireKubectl } from '../support/missing-tools.ts';
import { makeDiff } from '../../src/plugin/kubeconfig/diff.ts';
import { runInProcess } from '../support/run-in-process.ts';
import type { CommandOutput } from '../support/run-in-process.ts';

const CANARY = 'canary-3f9a7c-token';
const LOGIN_SETTINGS = { OS_AUTH_URL: 'https://keystone.test/v3', OS_USERNAME: 'alice', OS_PROJECT_NAME: 'demo' };

interface RunOptions {
  readonly home: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

function run({ home, env = {}, cwd = home }: RunOptions, ...argv: readonly string[]): Promise<CommandOutput> {
  return runInProcess({
    argv: ['kubeconfig', ...argv],
    env: { PATH: join(home, 'bin'), ...LOGIN_SETTINGS, ...env },
    cwd,
    home: () => home,
  });
}

function setUpHome(t: Test): string {
  const home = mkdtempSync(join(tmpdir(), 'cka-kubeconfig-'));
  t.teardown(() => rmSync(home, { recursive: true, force: true }));
  mkdirSync(join(home, 'bin'));
  writeFileSync(join(home, 'bin', 'client-keystone-auth'), '', { mode: 0o755 });
  return home;
}

const list = (names: readonly string[], entry: (name: string) => string): string =>
  names.length === 0 ? ' []\n' : `\n${names.map((name) => `- name: ${name}\n${entry(name)}`).join('')}`;

/** Writes a small kubeconfig. */
function writeSample(
  path: string,
  names: { clusters?: string[]; users?: string[]; contexts?: string[]; current?: string },
): void {
  const { clusters = [], users = [], contexts = [], current = '' } = names;
  writeFileSync(
    path,
    `apiVersion: v1\nkind: Config\nclusters:${list(clusters, (name) => `  cluster: {server: "https://${name}.test"}\n`)}` +
      `users:${list(users, () => `  user: {token: ${CANARY}}\n`)}` +
      `contexts:${list(contexts, () => `  context: {cluster: ${clusters[0] ?? 'demo'}, user: ${users[0] ?? 'me'}}\n`)}` +
      `current-context: "${current}"\n`,
  );
}

void t.test('add creates the file in the home folder', async (t) => {
  const home = setUpHome(t);
  const ca = join(home, 'ca.pem');
  const pem = '-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n';
  writeFileSync(ca, pem);
  const add = ['add', '--cluster', 'demo', '--server', 'https://10.0.0.1:6443', '--certificate-authority', '~/ca.pem'];
  const result = await run({ home }, ...add);
  t.match(result, { status: 0, stderr: '' });
  const file = join(home, '.kube', 'config');
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.equal(statSync(join(home, '.kube')).mode & 0o777, 0o700);
  t.match(readFileSync(file, 'utf8'), Buffer.from(pem).toString('base64'));
  t.match(readFileSync(file, 'utf8'), /^current-context: demo-keystone$/m);
  t.strictSame(readdirSync(join(home, '.kube')), ['config'], 'no lock and no backup copy');
  t.match(await run({ home }, ...add), { status: 0, stdout: /Nothing had to be changed/ });
});

void t.test('a link to a file that does not exist stays a link, as with kubectl', async (t) => {
  const home = t.testdir({ dotfiles: {}, '.kube': {} });
  const [first, second, target] = ['.kube/config', 'dotfiles/link', 'dotfiles/real'].map((name) => join(home, name));
  symlinkSync('../dotfiles/link', first ?? '');
  symlinkSync('real', second ?? '');
  const add = ['add', '--server', 'https://c.test', '--kubeconfig', first ?? ''];
  t.match(await run({ home }, ...add), { status: 0 });
  t.strictSame([readlinkSync(first ?? ''), readlinkSync(second ?? '')], ['../dotfiles/link', 'real']);
  t.match(readFileSync(target ?? '', 'utf8'), /server: https:\/\/c\.test/);
  t.equal(statSync(target ?? '').mode & 0o777, 0o600);

  rmSync(join(home, 'dotfiles'), { recursive: true });
  t.match(await run({ home }, ...add), { status: 3, stdout: '', stderr: /config cannot be written \(ENOENT\)/ });
  t.strictSame(readdirSync(join(home, '.kube')), ['config'], 'nothing is left over');
});

void t.test('a changed file keeps its permissions and its link, and a copy is written', async (t) => {
  const home = setUpHome(t);
  const [real, link] = [join(home, 'real'), join(home, 'link')];
  writeSample(real, { clusters: ['demo'] });
  chmodSync(real, 0o644);
  symlinkSync('real', link);
  const before = readFileSync(real, 'utf8');
  t.match(await run({ home }, 'add', '--kubeconfig', link), { status: 0 });
  t.equal(readlinkSync(link), 'real', 'the link stays a link');
  t.equal(statSync(real).mode & 0o777, 0o644, 'the permissions stay the same');
  t.equal(readFileSync(`${real}.keystone.bak`, 'utf8'), before);
  t.equal(statSync(`${real}.keystone.bak`).mode & 0o777, 0o600);

  const victim = join(home, 'victim');
  writeFileSync(victim, 'untouched');
  rmSync(`${real}.keystone.bak`);
  symlinkSync(victim, `${real}.keystone.bak`);
  const env = { OS_PASSWORD: CANARY };
  const result = await run({ home, env }, 'add', '--with-secrets', '--kubeconfig', link);
  t.match(result, { status: 0 });
  t.notMatch(result.stdout, CANARY);
  t.match(readFileSync(real, 'utf8'), CANARY, 'the secret is written');
  t.equal(statSync(real).mode & 0o777, 0o600, 'only the owner can read a secret');
  t.equal(readFileSync(victim, 'utf8'), 'untouched', 'the backup copy does not follow a link');
  t.ok(lstatSync(`${real}.keystone.bak`).isFile());
  t.match((await run({ home, env }, 'add', '--kubeconfig', link, '--dry-run')).stdout, /^-.*value: \[redacted\]/m);
});

void t.test('the first copy is never replaced, and the newest four of the later ones are kept', async (t) => {
  const home = setUpHome(t);
  const file = join(home, 'config');
  writeSample(file, { clusters: ['demo'] });
  const pristine = readFileSync(file, 'utf8');
  const foreign = ['config.keystone.bak.old', 'config.keystone.bak.01', 'config.keystone.bak.0'];
  for (const name of foreign) writeFileSync(join(home, name), 'not ours');
  const copies: string[] = [];
  for (let turn = 1; turn <= 8; turn += 1) {
    const before = readFileSync(file, 'utf8');
    const { stdout } = await run({ home }, 'add', '--name', `turn-${String(turn)}`, '--kubeconfig', file);
    const [, copy = ''] = /; backup copy: (.+)$/m.exec(stdout) ?? [];
    t.equal(readFileSync(copy, 'utf8'), before, 'the message names the copy of what was replaced');
    t.equal(statSync(copy).mode & 0o777, 0o600);
    copies.push(copy);
  }
  const names = readdirSync(home).filter((name) => name.includes('.bak') && !foreign.includes(name));
  const expected = ['', '.4', '.5', '.6', '.7'].map((suffix) => `config.keystone.bak${suffix}`);
  t.strictSame(names.sort(), expected);
  t.equal(readFileSync(`${file}.keystone.bak`, 'utf8'), pristine);
  t.strictSame(copies.slice(0, 3), [`${file}.keystone.bak`, `${file}.keystone.bak.1`, `${file}.keystone.bak.2`]);
  for (const name of foreign) t.equal(readFileSync(join(home, name), 'utf8'), 'not ours');
});

void t.test('the lock of kubectl is respected', async (t) => {
  const home = setUpHome(t);
  const file = join(home, 'config');
  writeSample(file, { clusters: ['demo'] });
  const before = readFileSync(file, 'utf8');
  writeFileSync(`${file}.lock`, '');
  const locked = await run({ home }, 'add', '--kubeconfig', file);
  t.match(locked, {
    status: 3,
    stdout: '',
    stderr:
      /another program is writing .*config; wait until it has finished; if no kubectl is running, remove .*config\.lock/,
  });
  t.equal(readFileSync(file, 'utf8'), before);
  t.ok(existsSync(`${file}.lock`), 'the lock of another program stays');
  const waiting = run({ home }, 'add', '--kubeconfig', file);
  setTimeout(() => rmSync(`${file}.lock`), 300);
  t.match(await waiting, { status: 0 }, 'add waits until the lock is released');
  t.notOk(existsSync(`${file}.lock`));
});

const kubectl = await requireKubectl('new');

/** Compares the files that kubectl and the plugin change. */
void t.test(
  'a list of files is read and changed as by kubectl',
  { skip: 'missing' in kubectl ? kubectl.missing : false },
  async (t) => {
    if ('missing' in kubectl) return;
    const ask = (env: Readonly<Record<string, string>>, ...args: readonly string[]): string =>
      execFileSync(kubectl.path, ['config', ...args], { env, encoding: 'utf8' });
    const LAYOUTS: Readonly<Record<string, (home: string) => readonly string[]>> = {
      'one file': (home) => [join(home, 'a')],
      'two files': (home) => [join(home, 'a'), join(home, 'b')],
      'the first is missing': (home) => [join(home, 'none'), join(home, 'b'), join(home, 'a')],
      'all are missing': (home) => [join(home, 'none'), join(home, 'nothing')],
      'a repeated file and empty entries': (home) => ['', join(home, 'b'), join(home, 'b'), '', join(home, 'a')],
    };
    for (const [name, layout] of Object.entries(LAYOUTS)) {
      await t.test(name, async (t) => {
        const changed = await Promise.all(
          [true, false].map(async (isOurs) => {
            const home = setUpHome(t);
            writeSample(join(home, 'a'), { clusters: ['demo'], users: ['me'], contexts: ['mine'], current: 'mine' });
            writeSample(join(home, 'b'), { clusters: ['other'] });
            const snapshot = (): Record<string, string> =>
              Object.fromEntries(
                readdirSync(home)
                  .filter((file) => file !== 'bin' && !file.endsWith('.bak'))
                  .map((file) => [file, readFileSync(join(home, file), 'utf8')]),
              );
            const before = snapshot();
            const env = { HOME: home, KUBECONFIG: layout(home).join(':') };
            if (isOurs) {
              const args = ['--name', 'new', '--cluster', 'extra', '--server', 'https://extra.test', '--set-current'];
              t.match(await run({ home, env }, 'add', ...args), { status: 0 });
            } else {
              ask(env, 'set-cluster', 'extra', '--server=https://extra.test');
              ask(env, 'set-credentials', 'new', '--token=x');
              ask(env, 'set-context', 'new', '--cluster=extra', '--user=new');
              ask(env, 'use-context', 'new');
            }
            const after = snapshot();
            const view = JSON.parse(ask(env, 'view', '-o', 'json')) as { 'current-context': string };
            return {
              files: Object.keys(after).filter((file) => after[file] !== before[file]),
              current: view['current-context'],
            };
          }),
        );
        t.strictSame(changed[0], changed[1], 'the same file as kubectl');
      });
    }

    await t.test('an entry is changed in its own file', async (t) => {
      const home = setUpHome(t);
      const [a, b] = [join(home, 'a'), join(home, 'b')];
      writeSample(a, { clusters: ['demo'], users: ['me'], contexts: ['mine'], current: 'mine' });
      writeSample(b, { clusters: ['other'] });
      const env = { KUBECONFIG: `${a}:${b}` };
      t.match(await run({ home }, 'add', '--cluster', 'other', '--name', 'ours', '--kubeconfig', b), { status: 0 });
      const first = readFileSync(a, 'utf8');
      const changed = await run({ home, env: { ...env, OS_PROJECT_NAME: 'another' } }, 'add', '--name', 'ours');
      t.match(changed, { status: 0, stdout: new RegExp(`Wrote ${b};`) });
      t.equal(readFileSync(a, 'utf8'), first, 'the other file does not change');
      t.match(readFileSync(b, 'utf8'), '--project-name=another');
      t.match(await run({ home, env }, 'show'), { status: 0, stdout: /^Context +ours$[^]*^ +project-name +another/m });
      t.match(await run({ home, env }, 'remove', 'ours'), { status: 0 });
      t.notMatch(readFileSync(b, 'utf8'), 'ours');
      t.equal(readFileSync(a, 'utf8'), first);
    });
  },
);

const deep = (depth: number): string => `users: ${'['.repeat(depth)}${']'.repeat(depth)}\n`;
const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${Array.from('bcdefghi', (name, index) => `${name}: &${name} [${Array.from({ length: 9 }, () => `*${'abcdefgh'.charAt(index)}`).join(',')}]`).join('\n')}\nusers: *i\n`;

const HOSTILE: Readonly<Record<string, { text: string | Buffer; message: RegExp }>> = {
  'invalid YAML': {
    text: `users:\n- name: "${CANARY}\n  user: {`,
    message: /is not valid YAML: line \d+ cannot be parsed/,
  },
  'a key twice, and no entry': { text: `users: []\nusers:\n- ${CANARY}\n`, message: /an entry of users has no name/ },
  'tabs for indentation': {
    text: `users:\n- name: a\n\tuser: {token: ${CANARY}}\n`,
    message: /is not valid YAML: line/,
  },
  'an undefined alias': { text: `users: *${CANARY}\n`, message: /an alias is undefined or expands to too much/ },
  'nested aliases (billion laughs)': { text: bomb, message: /an alias is undefined or expands to too much/ },
  'text alone': { text: `${CANARY}\n`, message: /is not a kubeconfig/ },
  'a list': { text: `- ${CANARY}\n`, message: /is not a kubeconfig/ },
  'another kind': { text: 'apiVersion: v1\nkind: Secret\n', message: /is not a kubeconfig/ },
  'users that are not a list': { text: `users: {a: ${CANARY}}\n`, message: /users is not a list/ },
  'an entry without a name': {
    text: `contexts:\n- context: {cluster: ${CANARY}}\n`,
    message: /an entry of contexts has no name/,
  },
  'a name twice': {
    text: `users:\n- {name: a}\n- {name: a, user: {token: ${CANARY}}}\n`,
    message: /users contains "a" twice/,
  },
  'invalid UTF-8': { text: Buffer.from([0x75, 0x3a, 0x20, 0xff, 0xfe]), message: /it is not UTF-8 text/ },
  '10 MiB': { text: `# ${'x'.repeat(10 * 1024 * 1024)}\n`, message: /it is larger than 8 MiB/ },
  'brackets without end': {
    text: deep(20_000),
    message: /is not valid YAML: line 1/,
  },
  'names with control characters': {
    text: 'users:\n- {name: "\\e]52;c;x\\a"}\n- {name: "\\e]52;c;x\\a"}\n',
    message: /users contains "\\u\{1b\}/,
  },
  'an anchor that prevents the change': {
    text: `users:\n- name: ours\n  user: &u\n    exec: {command: client-keystone-auth, apiVersion: x}\n- name: b\n  user: *u\nclusters: [{name: c, cluster: {}}]\n`,
    message: /cannot be changed without changing other parts of it, so nothing was written; replace the anchor/,
  },
};

void t.test('an invalid kubeconfig is rejected', async (t) => {
  const home = setUpHome(t);
  for (const [name, { text, message }] of Object.entries(HOSTILE)) {
    const file = join(home, 'config');
    writeFileSync(file, text);
    const before = readFileSync(file);
    for (const argv of [
      ['add', '--name', 'ours'],
      ['add', '--dry-run', '--name', 'ours'],
    ]) {
      const usageBefore = process.cpuUsage();
      const result = await run({ home }, ...argv, '--kubeconfig', file);
      t.equal(result.status, 3, `${name}: ${result.stderr.slice(0, 300)}`);
      t.equal(result.stdout, '', name);
      t.match(result.stderr, message, name);
      t.match(result.stderr, /^client-keystone-auth: [^\n]*\n$/, `${name}: one line`);
      t.notMatch(result.stderr, CANARY, `${name}: the message quotes nothing of the file`);
      const { user, system } = process.cpuUsage(usageBefore);
      t.ok(user + system < 10e6, `${name}: it takes less than 10 s of the processor`);
    }
    t.ok(readFileSync(file).equals(before), `${name}: the file does not change`);
    t.strictSame(readdirSync(home).toSorted(), ['bin', 'config'], `${name}: no file is left`);
  }
});

void t.test('a path that is not a regular file is rejected', async (t) => {
  const home = setUpHome(t);
  const folder = join(home, 'folder');
  mkdirSync(folder);
  const loop = join(home, 'loop');
  symlinkSync('loop', loop);
  const fifo = join(home, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const checks = {
    [folder]: /it is a folder/,
    [fifo]: /not a regular file/,
    [loop]: /ELOOP/,
    [join(home, 'bin/client-keystone-auth/x')]: /ENOTDIR/,
  };
  for (const [path, message] of Object.entries(checks)) {
    const result = await run({ home }, 'add', '--kubeconfig', path);
    t.match(result, { status: 3, stdout: '', stderr: message }, path);
    t.match(result.stderr, /^[^\n]*\n$/);
  }
  const closed = join(home, 'closed');
  writeSample(closed, { clusters: ['demo'] });
  chmodSync(closed, 0);
  // root can read every file.
  if (process.getuid?.() !== 0)
    t.match(await run({ home }, 'show', '--kubeconfig', closed), { status: 3, stderr: /EACCES/ });
});

void t.test('errors describe what to do', async (t) => {
  const home = setUpHome(t);
  const file = join(home, 'config');
  writeSample(file, { clusters: ['one', 'two'], users: ['me'], contexts: ['mine'] });
  const before = readFileSync(file, 'utf8');
  const check = async (argv: readonly string[], status: number, message: RegExp, env = {}): Promise<void> => {
    const result = await run({ home, env }, ...argv, '--kubeconfig', file);
    t.match(result, { status, stdout: '', stderr: message }, argv.join(' '));
  };
  await check(['add'], 2, /the kubeconfig has several clusters; choose one with --cluster: "one", "two"/);
  await check(
    ['add', '--cluster', 'three'],
    2,
    /has no cluster "three"; choose one of "one", "two", or add a cluster with --server/,
  );
  await check(
    ['add', '--cluster', 'one', '--user', 'me'],
    3,
    /has a user "me" that logs in in another way; give another name/,
  );
  for (const server of ['http://10.0.0.1', 'https://alice@10.0.0.1', 'https://:secret@10.0.0.1'])
    await check(['add', '--cluster', 'x', '--server', server], 3, /--server must be the https:/);
  await check(['add', '--name', 'one', '--server', 'https://else.test'], 2, /has a cluster "one" with another server/);
  await check(['add', '--cluster', 'one', '--certificate-authority', 'none'], 3, /cannot be read \(ENOENT\)/);
  await check(['add', '--cluster', 'one'], 3, /the URL of Keystone is not set; source an openrc/, { OS_AUTH_URL: '' });
  await check(['convert'], 2, /convert needs either the names of contexts or --all/);
  await check(['convert', 'mine', '--all'], 2, /convert needs either the names of contexts or --all/);
  await check(
    ['convert', 'mine'],
    3,
    /user "me" logs in with a static token; replace its token with "client-keystone-auth kubeconfig convert mine --static-token"/,
  );
  await check(
    ['convert', '--all', '--static-token'],
    2,
    /--static-token and --all exclude each other; name the contexts/,
  );
  await check(['convert', 'nobody'], 2, /no context "nobody"/);
  await check(['remove', 'mine'], 3, /does not log in with client-keystone-auth/);
  await check(['remove'], 2, /no current context/);
  await check(['remove', 'mine', 'another'], 2, /unexpected argument/);
  t.equal(readFileSync(file, 'utf8'), before, 'the file does not change');
});

void t.test('--static-token replaces the token of the named context only', async (t) => {
  const home = setUpHome(t);
  const file = join(home, 'config');
  writeSample(file, { clusters: ['one'], users: ['me', 'you'], contexts: ['mine'] });
  const args = ['convert', 'mine', '--static-token', '--kubeconfig', file];
  t.notMatch((await run({ home }, ...args, '--dry-run')).stdout, CANARY);
  t.match(await run({ home }, ...args), { status: 0, stdout: /Converted: me\./ });
  const text = readFileSync(file, 'utf8');
  t.match(text, /- name: me\n {2}user:\n {4}exec:\n/);
  t.match(text, `- name: you\n  user: {token: ${CANARY}}\n`);
  t.match(await run({ home }, ...args), { status: 0, stdout: /No user had to be converted/ });
  t.equal(readFileSync(file, 'utf8'), text);
});

void t.test('secrets of an old stanza are left out, or become variables', async (t) => {
  const home = setUpHome(t);
  const file = join(home, 'config');
  const stanza = `{apiVersion: client.authentication.k8s.io/v1beta1, command: client-keystone-auth, interactiveMode: Never, args: [--password, ${CANARY}, --user-name=a, --logtostderr], env: [{name: OS_TOKEN, value: ${CANARY}2}, {name: HTTPS_PROXY, value: 'http://u:${CANARY}@proxy'}]}`;
  const text = `users: [{name: u, user: {exec: ${stanza}}}]\n`;
  writeFileSync(file, text);
  const args = ['convert', '--all', '--kubeconfig', file];
  const dry = await run({ home }, ...args, '--dry-run');
  t.notMatch(dry.stdout + dry.stderr, CANARY);
  const result = await run({ home }, ...args);
  t.match(result, { status: 0, stdout: /Secrets were left out: OS_PASSWORD, OS_TOKEN\./ });
  t.notMatch(result.stdout, CANARY);
  const without = readFileSync(file, 'utf8');
  t.notMatch(without, `${CANARY}2`);
  t.match(without, /"?interactiveMode"?: "?Never/, 'interactiveMode stays');
  t.match(without, 'HTTPS_PROXY', 'variables of other programs stay');
  writeFileSync(file, text);
  t.match(await run({ home }, ...args, '--with-secrets'), { status: 0 });
  const withSecrets = readFileSync(file, 'utf8');
  t.match(withSecrets, new RegExp(`OS_PASSWORD"?, "?value"?: "?${CANARY}`));
  t.notMatch(withSecrets, '--password', 'a secret never becomes a flag');

  writeFileSync(file, text.replace('--user-name=a', `--unknown=${CANARY}`));
  const unknown = await run({ home }, ...args);
  t.match(unknown, { status: 3, stderr: /user "u" cannot be converted: unknown option --unknown/ });
  t.notMatch(unknown.stderr, CANARY);
});

void t.test('the written settings do not depend on the folder and the shell', async (t) => {
  const home = setUpHome(t);
  const file = join(home, 'config');
  writeSample(file, { clusters: ['demo'] });
  const folder = join(home, 'elsewhere');
  mkdirSync(folder);
  const clouds = join(folder, 'clouds.yaml');
  writeFileSync(
    clouds,
    JSON.stringify({ clouds: { prod: { auth: { auth_url: 'https://k.test', username: 'a', password: CANARY } } } }),
  );
  const none = { OS_AUTH_URL: '', OS_USERNAME: '', OS_PROJECT_NAME: '' };
  const read = (): string => readFileSync(file, 'utf8');
  const add = ['add', '--kubeconfig', file];

  const untrusted = await run({ home, cwd: folder, env: none }, ...add);
  t.match(untrusted, {
    status: 3,
    stderr: /is in the current folder, but kubectl can run in other folders; set OS_CLIENT_CONFIG_FILE to/,
  });
  const namedFile = { ...none, OS_CLIENT_CONFIG_FILE: 'clouds.yaml' };
  t.match(await run({ home, cwd: folder, env: namedFile }, ...add, '--region-name', 'r', '--timeout', '7'), {
    status: 0,
  });
  t.match(read(), /- --os-cloud=prod\n/, 'the only cloud is named');
  t.match(read(), '- --region-name=r\n');
  t.match(read(), '- --timeout=7\n');
  t.match(read(), `- name: OS_CLIENT_CONFIG_FILE\n        value: ${clouds}\n`, 'the path is absolute');
  t.notMatch(read(), CANARY, 'the settings of the file are not copied');

  const env = {
    OS_APPLICATION_CREDENTIAL_ID: 'i',
    OS_APPLICATION_CREDENTIAL_SECRET: CANARY,
    OS_PASSCODE: '123456',
    CLIENT_KEYSTONE_AUTH_CACHE_STORAGE: 'none',
  };
  const flags = ['--insecure', '-vv', '--force-refresh', '--with-secrets'];
  const result = await run({ home, env }, ...add, ...flags);
  t.match(result, { status: 0, stdout: /Secrets were left out: OS_PASSCODE/ });
  t.match(read(), /- --insecure\n/);
  t.match(
    read(),
    /- --auth-type=v3applicationcredential\n/,
    'the method does not depend on the variables of the shell',
  );
  t.notMatch(read(), /verbose|force-refresh|CACHE_STORAGE|123456/, 'the options of a single run are not written');
});

void t.test('patch accepts the unified diff of a change', (t) => {
  const side = (name: string, text: string): Parameters<typeof makeDiff>[0] => ({
    name,
    lines: text.split(''),
    redactedLines: text.split(''),
  });
  t.equal(makeDiff(side('a', 'abc'), side('b', 'abc')), '');
  t.equal(makeDiff(side('a', 'abc'), side('b', 'axc')), '--- a\n+++ b\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c');
  t.equal(makeDiff(side('a', ''), side('b', 'x')), '--- a\n+++ b\n@@ -0,0 +1,1 @@\n+x');
  t.equal(
    makeDiff(side('a', 'abcdefghijklmnopq'), side('b', 'abXcdefghijklmnoq')),
    '--- a\n+++ b\n@@ -1,5 +1,6 @@\n a\n b\n+X\n c\n d\n e\n@@ -13,5 +14,4 @@\n m\n n\n o\n-p\n q',
  );
  // patch turns the old text into the new text with each diff.
  const texts = Array.from({ length: 40 }, (_, seed) =>
    Array.from({ length: 30 }, (_, index) => 'abcdef'.charAt((index * index + seed * index * 7 + seed) % 6)),
  );
  const home = setUpHome(t);
  for (const [index, lines] of texts.entries()) {
    const other = texts[(index + 1) % texts.length] ?? [];
    const [before, after] = [lines, other].map((all) => ({ name: 'file', lines: all, redactedLines: all }));
    if (before === undefined || after === undefined) continue;
    writeFileSync(join(home, 'file'), `${lines.join('\n')}\n`);
    execFileSync('patch', ['-s', join(home, 'file')], { input: `${makeDiff(before, after)}\n` });
    t.equal(readFileSync(join(home, 'file'), 'utf8'), `${other.join('\n')}\n`);
  }
  t.end();
});
