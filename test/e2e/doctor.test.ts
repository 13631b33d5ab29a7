// What doctor says of a kubeconfig and of the cluster that it leads to; and whether a real kubectl finds the same.

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { startApiServer, writeKubeconfig } from '../support/api-server.ts';
import { A_POD, GET_PODS, settingsOf, sitDown, testWithKubectl } from '../support/desk.ts';
import type { Desk } from '../support/desk.ts';
import { COMMAND, makeEnvironment, PLUGIN, runPlugin } from '../support/plugin.ts';
import type { Ran } from '../support/plugin.ts';
import { secretsOf } from '../support/settings.ts';
import { openTerminal } from '../support/terminal.ts';
import type { World } from '../support/world.ts';

t.setTimeout(170_000);

interface Finding {
  readonly check: string;
  readonly result: 'good' | 'bad' | 'doubtful' | 'skipped';
  readonly found: string;
  readonly fix: string | null;
}

type Settings = Readonly<Record<string, string>>;

const fileOf = (desk: Desk): string => join(desk.home.path, 'kubeconfig');

async function doctor(desk: Desk, args: readonly string[], env: Settings = {}): Promise<Ran> {
  const PATH = `${join(desk.home.path, 'search')}:${process.env['PATH'] ?? ''}`;
  return runPlugin({
    home: desk.home,
    args: ['doctor', ...args],
    env: { PATH, KUBECONFIG: fileOf(desk), ...env },
  });
}

async function examine(desk: Desk, env: Settings = {}, args: readonly string[] = []): Promise<readonly Finding[]> {
  const { stdout } = await doctor(desk, ['-o', 'json', ...args], env);
  return JSON.parse(stdout) as Finding[];
}

const failed = (findings: readonly Finding[]): string[] =>
  findings.filter(({ result }) => result === 'bad').map(({ check }) => check);

function find(findings: readonly Finding[], name: string): Finding {
  return findings.find(({ check }) => check === name) ?? { check: name, result: 'skipped', found: 'absent', fix: null };
}

const isUs = { status: 0, stdout: A_POD };

/** What a user has set in the kubeconfig, and what in the shell. */
function split(world: World, desk: Desk): { env: Settings; shell: Settings; args: string[] } {
  const { OS_AUTH_URL = '', OS_PASSWORD = '', ...env } = settingsOf(world, desk);
  return { env, shell: { OS_PASSWORD }, args: ['get-token', `--keystone-url=${OS_AUTH_URL}`] };
}

function checkNoSecret(t: Test, world: World, { stdout, stderr }: Ran): void {
  for (const secret of secretsOf(world.tenancy)) t.notOk((stdout + stderr).includes(secret), 'no secret');
  t.notMatch(stdout + stderr, /gAAAA[\w-]{20}/, 'no token');
}

testWithKubectl(
  'all is well: doctor does what kubectl has the plugin do',
  async (t, world, program) => {
    const desk = await sitDown(t, world, { program });
    const { env, shell, args } = split(world, desk);
    await desk.configure({ command: PLUGIN, args, env, provideClusterInfo: true });
    t.match(await desk.kubectl(GET_PODS, { env: shell }), isUs);
    const findings = await examine(desk, shell);
    t.strictSame(
      findings.filter(({ result }) => result !== 'good'),
      [],
    );
    t.match(find(findings, 'kubeconfig').found, `context test in ${fileOf(desk)}: user test at cluster test`);
    t.match(find(findings, 'Keystone URL').found, `${desk.keystone} (--keystone-url of the kubeconfig)`);
    t.match(find(findings, 'login').found, 'the cache holds a token');
    t.match(find(findings, 'command').found, PLUGIN);
    t.match(find(findings, 'TLS of the cluster').found, /ends in \d+ d/);
    t.equal(find(findings, 'API server').found, 'takes you for alice, in demo-admins');
    t.equal(desk.admitted.length, 1, 'it is the token that kubectl had');

    // With the stanza's settings alone there is no password; the flag of doctor is stronger than they are.
    const without = await examine(desk, {});
    t.equal(find(without, 'API server').result, 'good', 'a token that is kept needs none');
    const elsewhere = await examine(desk, shell, ['--keystone-url=http://127.0.0.1:1/v3']);
    t.match(find(elsewhere, 'API server'), { result: 'skipped', found: 'not checked, because of "TCP"' });

    for (const output of [[], ['-o', 'json'], ['-o', 'yaml']]) {
      for (const level of ['-v', '-vvv']) {
        const ran = await doctor(desk, [level, ...output], shell);
        t.equal(ran.status, 0, ran.stdout);
        checkNoSecret(t, world, ran);
      }
    }
  },
  ['new'],
);

testWithKubectl(
  'a cluster that knows no tokens of Keystone, or not this one',
  async (t, world, program) => {
    const desk = await sitDown(t, world, { program, authenticate: () => Promise.resolve(undefined) });
    const { env, shell, args } = split(world, desk);
    await desk.configure({ command: PLUGIN, args, env });
    t.match(await desk.kubectl(GET_PODS, { env: shell }), { status: 1, stderr: /Unauthorized|must be logged in/ });
    const ran = await doctor(desk, [], shell);
    t.equal(ran.status, 5);
    t.match(ran.stdout, /✗ API server +answers 401 to the token: the cluster does not know Keystone's tokens/);
    t.match(ran.stdout, /→ ask the administrator .*--authentication-token-webhook-config-file/);
    checkNoSecret(t, world, ran);

    const unscoped = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('OS_PROJECT')));
    await desk.configure({ command: PLUGIN, args, env: unscoped });
    const none = await examine(desk, shell);
    t.strictSame(failed(none), ['API server']);
    t.match(find(none, 'API server'), {
      found: 'has no scope, which k8s-keystone-auth refuses',
      fix: 'OS_PROJECT_NAME',
    });
  },
  ['new'],
);

testWithKubectl(
  'older clusters, and one of another authority',
  async (t, world, program) => {
    for (const [reviews, found] of [
      [['v1beta1', 'v1alpha1'], 'takes you for alice, in demo-admins'],
      [['v1alpha1'], 'takes you for alice, in demo-admins'],
      [[], 'takes you for alice'],
    ] as const) {
      const desk = await sitDown(t, world, { program, reviews });
      const { env, shell, args } = split(world, desk);
      await desk.configure({ command: PLUGIN, args, env });
      const findings = await examine(desk, shell);
      t.match(find(findings, 'API server'), { result: 'good', found });
      if (reviews.length > 0) continue;
      await writeKubeconfig({
        path: fileOf(desk),
        server: desk.api.url,
        ca: world.pki.untrusted.ca,
        command: PLUGIN,
        args,
        env,
      });
      const before = desk.api.requests.length;
      const wrong = await examine(desk, shell);
      t.strictSame(failed(wrong), ['TLS of the cluster']);
      t.match(find(wrong, 'TLS of the cluster').found, /not trusted \(the certificate of .+, issued by .+\)/);
      t.match(find(wrong, 'TLS of the cluster').fix, `certificate-authority-data) of cluster test in ${fileOf(desk)}`);
      t.equal(desk.api.requests.length, before, 'such a server gets no token');
    }
  },
  ['new'],
);

testWithKubectl(
  'stanzas that kubectl does not take',
  async (t, world, program) => {
    const desk = await sitDown(t, world, { program });
    const { env, shell, args } = split(world, desk);
    const cases = [
      [{ apiVersion: 'client.authentication.k8s.io/v1alpha1' }, 'exec section', /v1alpha1, which kubectl refuses/],
      [{ interactiveMode: null }, 'exec section', /interactiveMode is not set, which kubectl refuses/],
      [
        { command: join(desk.home.path, 'nowhere', 'client-keystone-auth') },
        'command',
        /is not there, or cannot be run/,
      ],
      [{ command: './bin/client-keystone-auth' }, 'command', /\/bin\/client-keystone-auth is not there/],
      [{ command: 'client-keystone-auth' }, 'command', /client-keystone-auth is not on the PATH/],
    ] as const;
    for (const [changes, check, found] of cases) {
      await desk.configure({ command: PLUGIN, args, env, ...changes });
      const ran = await desk.kubectl(GET_PODS, { env: shell });
      t.not(ran.status, 0, `kubectl fails: ${JSON.stringify(changes)}`);
      const findings = await examine(desk, shell);
      t.strictSame(failed(findings), [check]);
      t.match(find(findings, check).found, found);
      t.equal(find(findings, 'API server').result, 'good', 'the rest is checked all the same');
    }
    mkdirSync(join(desk.home.path, 'search'));
    symlinkSync(PLUGIN, join(desk.home.path, 'search', 'client-keystone-auth'));
    t.match(await desk.kubectl(GET_PODS, { env: shell }), isUs);
    t.match(find(await examine(desk, shell), 'command'), {
      result: 'good',
      found: join('search', 'client-keystone-auth'),
    });
    await desk.configure({ command: PLUGIN, args, env, interactiveMode: 'Always' });
    t.match(find(await examine(desk, shell), 'exec section'), { result: 'doubtful', fix: 'IfAvailable' });
    await desk.configure({ command: PLUGIN, args: [...args, '--no-such'], env });
    t.not((await desk.kubectl(GET_PODS, { env: shell })).status, 0);
    t.match(find(await examine(desk, shell), 'settings'), { result: 'bad', found: 'unknown option --no-such' });
  },
  ['new'],
);

testWithKubectl(
  'what kuberc forbids',
  async (t, world, program) => {
    const desk = await sitDown(t, world, { program });
    const { env, shell, args } = split(world, desk);
    mkdirSync(join(desk.home.path, 'search'));
    const link = join(desk.home.path, 'search', 'client-keystone-auth');
    symlinkSync(PLUGIN, link);
    await desk.configure({ command: 'client-keystone-auth', args, env });
    const kuberc = join(desk.home.path, 'kuberc');
    const list = (...names: string[]): object => ({
      credentialPluginPolicy: 'Allowlist',
      credentialPluginAllowlist: names.map((name) => ({ name })),
    });
    const cases = [
      [{}, true],
      [{ credentialPluginPolicy: 'AllowAll' }, true],
      [{ credentialPluginPolicy: 'DenyAll' }, false],
      [list('client-keystone-auth'), true],
      [list('other', link), true],
      [list('other'), false],
      [list(PLUGIN), false],
      [{ credentialPluginPolicy: 'Allowlist' }, false],
      [{ credentialPluginAllowlist: [{ name: 'other' }] }, false],
      [{ credentialPluginPolicy: 'NoSuch' }, false],
    ] as const;
    for (const [preference, allowed] of cases) {
      const what = JSON.stringify(preference);
      writeFileSync(
        kuberc,
        JSON.stringify({ apiVersion: 'kubectl.config.k8s.io/v1beta1', kind: 'Preference', ...preference }),
      );
      const ran = await desk.kubectl(GET_PODS, { env: { ...shell, KUBERC: kuberc } });
      t.equal(ran.status === 0, allowed, `kubectl: ${what}: ${ran.stderr}`);
      const { result, found } = find(await examine(desk, { ...shell, KUBERC: kuberc }), 'kuberc');
      t.equal(result, allowed ? 'good' : 'bad', `doctor: ${what}: ${found}`);
      t.match(found, kuberc);
    }
    t.match(find(await examine(desk, { ...shell, KUBERC: 'off' }), 'kuberc').found, 'there is none');
  },
  ['new'],
);

testWithKubectl(
  'contexts that are not ours get no token; lists of files; progress on a terminal',
  async (t, world, program) => {
    const desk = await sitDown(t, world, { program });
    const settings = settingsOf(world, desk);
    const { env, args } = split(world, desk);
    const other = join(desk.home.path, 'other');
    const users = [{ name: 'test', user: { token: 'canary-static-token' } }];
    await desk.configure({ command: PLUGIN, args, env });
    const config = JSON.parse(readFileSync(fileOf(desk), 'utf8')) as { users: unknown };
    writeFileSync(other, JSON.stringify({ ...config, users }));
    const findings = await examine(desk, { ...settings, KUBECONFIG: other });
    t.match(find(findings, 'kubeconfig'), { result: 'doubtful', found: 'logs in with a token that stands there' });
    t.match(find(findings, 'login').result, 'good');
    t.match(find(findings, 'API server'), { result: 'skipped', found: 'not checked, because of "kubeconfig"' });
    t.strictSame(desk.api.requests, [], 'nothing is sent there');

    const first = join(desk.home.path, 'first');
    writeFileSync(first, 'apiVersion: v1\nkind: Config\n# nothing yet\ncurrent-context: ""\n');
    const nowhere = join(desk.home.path, 'no-such-file');
    const listed = await examine(desk, { ...settings, KUBECONFIG: [nowhere, first, fileOf(desk)].join(':') });
    t.equal(find(listed, 'API server').result, 'good');
    const named = await examine(desk, { ...settings, KUBECONFIG: nowhere }, [
      '--kubeconfig',
      fileOf(desk),
      '--context=no',
    ]);
    t.match(find(named, 'kubeconfig'), { result: 'bad', found: 'there is no context "no"' });
    const none = await examine(desk, { ...settings, KUBECONFIG: nowhere });
    t.match(find(none, 'kubeconfig'), { result: 'doubtful', found: 'there is none', fix: 'kubeconfig add' });
    writeFileSync(first, 'users: [}\n# canary-static-token');
    const broken = await doctor(desk, [], { ...settings, KUBECONFIG: first });
    t.match(broken, { status: 3, stdout: /✗ kubeconfig +.*first is not YAML that can be understood/ });
    t.notMatch(broken.stdout, 'canary');

    const [file, ...words] = COMMAND;
    const terminal = openTerminal({
      file,
      args: [...words, 'doctor'],
      env: makeEnvironment(desk.home, { ...settings, KUBECONFIG: fileOf(desk) }),
      cwd: desk.home.path,
      cols: 200,
    });
    t.teardown(() => terminal.close());
    t.equal((await terminal.ended).exitCode, 0);
    t.match(terminal.screen(), 'checking: API server');
    t.match(terminal.raw(), '\u001b[32m✓\u001b[39m API server');
  },
  ['new'],
);

testWithKubectl(
  'what a hostile API server says',
  async (t, world, program) => {
    const desk = await sitDown(t, world, { program });
    const { env, shell, args } = split(world, desk);
    const api = await startApiServer({
      ...world.pki.server,
      authenticate: (token) => Promise.resolve(`\u001b[2J${token}\u202e`),
    });
    t.teardown(() => api.close());
    await writeKubeconfig({ path: fileOf(desk), server: api.url, ca: world.pki.ca, command: PLUGIN, args, env });
    for (const output of ['text', 'json', 'yaml']) {
      const ran = await doctor(desk, ['-vvv', '-o', output], shell);
      checkNoSecret(t, world, ran);
      t.match(ran.stdout, '[redacted]', output);
      t.notMatch(ran.stdout, /[^\P{C}\n]|[\u2028\u2029]/u, 'nothing that a terminal obeys');
    }
  },
  ['new'],
);
