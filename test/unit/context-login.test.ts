// Commands log in as a context of the kubeconfig says, where nothing else says where to log in, or where it is selected.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import type { Environment } from '../../src/shared/base/host.ts';
import { runInProcess } from '../support/run-in-process.ts';
import type { CommandOutput } from '../support/run-in-process.ts';

const USING = /^client-keystone-auth: using the login of context (\S+) in \S+, because nothing else says where/;

interface Stanza {
  readonly command?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const makeUser = (name: string, { command = 'client-keystone-auth', args = [], env = {} }: Stanza): unknown => ({
  name,
  user: {
    exec: {
      apiVersion: 'client.authentication.k8s.io/v1',
      command,
      args,
      env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
      interactiveMode: 'IfAvailable',
    },
  },
});

/** Writes a kubeconfig with one context for each stanza; the first one is current. */
function writeKubeconfig(path: string, stanzas: Readonly<Record<string, Stanza>>, current = true): void {
  const names = Object.keys(stanzas);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:6443' } }],
    users: names.map((name) => makeUser(name, stanzas[name] ?? {})),
    contexts: names.map((name) => ({ name, context: { cluster: 'c', user: name } })),
    'current-context': current ? names[0] : '',
  };
  writeFileSync(path, JSON.stringify(config));
}

interface Fixture {
  readonly home: string;
  readonly run: (env: Environment, ...argv: readonly string[]) => Promise<CommandOutput>;
  /** Runs `explain`, and returns its settings by name. */
  readonly explain: (
    env: Environment,
    ...argv: readonly string[]
  ) => Promise<{ settings: Record<string, string>; stderr: string }>;
}

interface Explained {
  readonly settings: readonly { readonly option: string; readonly value: string }[];
}

function setUp(t: Test, stanzas: Readonly<Record<string, Stanza>>): Fixture {
  const home = mkdtempSync(join(tmpdir(), 'cka-context-login-'));
  t.teardown(() => rmSync(home, { recursive: true, force: true }));
  mkdirSync(join(home, '.kube'));
  writeKubeconfig(join(home, '.kube', 'config'), stanzas);
  const run: Fixture['run'] = (env, ...argv) =>
    runInProcess({ argv, env: { PATH: '/nowhere', ...env }, cwd: home, home: () => home, uid: process.getuid?.() });
  return {
    home,
    run,
    async explain(env, ...argv) {
      const { stdout, stderr } = await run(env, 'explain', '-o', 'json', ...argv);
      const { settings } = JSON.parse(stdout === '' ? '{"settings":[]}' : stdout) as Explained;
      return { settings: Object.fromEntries(settings.map(({ option, value }) => [option, value])), stderr };
    },
  };
}

const PROD = { args: ['get-token', '--keystone-url=https://prod.test/v3', '--user-name=alice', '--project-name=web'] };
const DEV = { args: ['--keystone-url=https://dev.test/v3'], env: { OS_USERNAME: 'bob', OS_PROJECT_NAME: 'dev' } };

void t.test('without other settings, a command uses the current context and says so in one line', async (t) => {
  const { explain, run, home } = setUp(t, { prod: PROD, dev: DEV });
  const { settings, stderr } = await explain({});
  t.match(settings, { 'keystone-url': 'https://prod.test/v3', 'user-name': 'alice', 'project-name': 'web' });
  t.match(stderr, USING);
  t.equal(stderr.split('\n').length, 2);
  t.match(stderr, join(home, '.kube', 'config'));
  t.match(await run({}, 'status', '-o', 'json'), { status: 0, stderr: USING, stdout: /https:\/\/prod\.test\/v3/ });
  t.match(await run({}, 'logout'), { status: 0, stderr: USING });
  t.match((await explain({}, '--project-name=other')).settings, { 'project-name': 'other', 'user-name': 'alice' });
});

void t.test('what the shell says where to log in comes first', async (t) => {
  const { explain, home } = setUp(t, { prod: PROD });
  const shell = { OS_AUTH_URL: 'https://shell.test/v3', OS_USERNAME: 'carol' };
  t.strictSame((await explain(shell)).stderr, '');
  t.match((await explain(shell)).settings, { 'keystone-url': 'https://shell.test/v3', 'user-name': 'carol' });
  t.equal((await explain({}, '--keystone-url=https://flag.test/v3')).stderr, '');
  mkdirSync(join(home, '.config', 'openstack'), { recursive: true });
  const clouds = join(home, '.config', 'openstack', 'clouds.yaml');
  writeFileSync(clouds, 'clouds: {only: {auth: {auth_url: "https://cloud.test/v3"}}}\n');
  t.match(await explain({}), { stderr: '', settings: { 'keystone-url': 'https://cloud.test/v3' } });
  const several = 'clouds: {a: {auth: {auth_url: "https://a.test"}}, b: {auth: {auth_url: "https://b.test"}}}\n';
  writeFileSync(clouds, several);
  t.match(await explain({}), { stderr: USING, settings: { 'keystone-url': 'https://prod.test/v3' } });
  t.match(await explain({ OS_CLOUD: 'b' }), { stderr: '', settings: { 'keystone-url': 'https://b.test' } });
});

void t.test('--context and --kubeconfig select a login as kubectl would start it', async (t) => {
  const { explain, home } = setUp(t, { prod: PROD, dev: DEV });
  const shell = { OS_AUTH_URL: 'https://shell.test/v3', OS_USERNAME: 'carol', OS_PASSWORD: 'x' };
  const dev = await explain(shell, '--context', 'dev');
  t.match(dev.settings, { 'keystone-url': 'https://dev.test/v3', 'user-name': 'bob', 'project-name': 'dev' });
  t.equal(dev.stderr, '');
  const other = join(home, 'other.yaml');
  writeKubeconfig(other, { there: { args: ['--keystone-url=https://there.test/v3'] } });
  const fromFile = await explain(shell, '--kubeconfig=other.yaml');
  t.match(fromFile.settings, { 'keystone-url': 'https://there.test/v3', 'user-name': 'carol' });
  t.match((await explain({ KUBECONFIG: other })).settings, { 'keystone-url': 'https://there.test/v3' });
  t.match((await explain(shell, '--context=there', '--kubeconfig', other)).settings['user-name'], 'carol');
});

void t.test('a selected context that cannot be used is an error, and nothing is on stdout', async (t) => {
  const { run, home } = setUp(t, {
    aws: { command: 'aws', args: ['eks', 'get-token'] },
    broken: { args: ['--no-such-option=canary'] },
    magnum: { command: 'bash', args: ['-c', 'echo "$OS_TOKEN"'] },
    selects: { args: ['--context=prod', '--keystone-url=https://a.test'] },
  });
  const check = async (argv: readonly string[], stderr: RegExp): Promise<void> => {
    const result = await run({}, 'whoami', ...argv);
    t.match(result, { stdout: '', stderr });
    t.not(result.status, 0);
    t.notMatch(result.stderr, 'canary');
  };
  await check(['--context=aws'], /user "aws" of context "aws" does not log in with this program; add another context/);
  await check(
    ['--context=magnum'],
    /does not log in with this program; convert it with "client-keystone-auth kubeconfig/,
  );
  await check(['--context=none'], /there is no context "none" in /);
  await check(['--context=broken'], /unknown option --no-such-option/);
  await check(['--context=selects'], /unknown option --context/);
  await check(['--kubeconfig=missing'], /there is no kubeconfig/);
  writeFileSync(join(home, 'list'), '[]');
  await check(['--kubeconfig=list'], /list is not a kubeconfig/);
});

void t.test('a current context that is not ours or cannot be read changes nothing', async (t) => {
  const { run, home } = setUp(t, { aws: { command: 'aws', args: ['eks', 'get-token'] } });
  const before = await run({}, 'whoami');
  t.match(before, { status: 4, stderr: /Keystone URL, .*are not set/ });
  const config = join(home, '.kube', 'config');
  for (const text of ['[', '{}', 'current-context: gone\n', '{"contexts":[{"name":"x"}],"current-context":"x"}']) {
    writeFileSync(config, text);
    t.strictSame(await run({}, 'whoami'), before, text);
  }
  writeKubeconfig(config, { bare: { args: ['get-token'] } });
  t.strictSame(await run({}, 'whoami'), before, 'a stanza without settings says nothing about the login');
  writeKubeconfig(config, { broken: { args: ['--no-such-option=canary'] } });
  const broken = await run({}, 'whoami');
  t.match(broken.stderr, /warning: the login of context broken in \S+ cannot be used: unknown option/);
  t.notMatch(broken.stderr, 'canary');
});

void t.test('the variables of a stanza are never those of the person', async (t) => {
  const { run } = setUp(t, {
    kerberos: {
      args: ['--keystone-url=https://prod.test/v3', '--auth-type=v3kerberos'],
      env: { KRB5_CONFIG: '/tmp/evil.conf', PATH: '/tmp/evil', KUBERNETES_EXEC_INFO: 'nonsense' },
    },
  });
  for (const argv of [['whoami'], ['whoami', '--context=kerberos']]) {
    const result = await run({}, ...argv);
    t.match(result, { status: 3, stdout: '', stderr: /KRB5_CONFIG must not come from a kubeconfig/ });
  }
});

void t.test('the cache folder of a stanza is used, by flag and by variable', async (t) => {
  const { run, home } = setUp(t, {
    flag: { args: ['--keystone-url=https://a.test', `--cache-dir=${tmpdir()}/cka-none-flag`] },
    variable: {
      args: ['--keystone-url=https://a.test'],
      env: { CLIENT_KEYSTONE_AUTH_CACHE_DIR: `${tmpdir()}/cka-none-variable` },
    },
  });
  t.match((await run({}, 'explain', '--context=flag')).stdout, /cka-none-flag/);
  t.match((await run({}, 'explain', '--context=variable')).stdout, /cka-none-variable/);
  t.match((await run({}, 'explain', '--context=flag', `--cache-dir=${home}/mine`)).stdout, /\/mine\n/);
});

void t.test('kubeconfig commands: a context is what they are about, or the login that they write', async (t) => {
  const { run, home } = setUp(t, { prod: PROD, dev: DEV });
  const show = await run({}, 'kubeconfig', 'show', '--context=dev');
  t.match(show, { status: 0, stderr: '', stdout: /^Context +dev$/m });
  t.notMatch(show.stdout, 'prod');
  t.match(await run({}, 'kubeconfig', 'convert', '--context=none'), { status: 2, stderr: /no context "none"/ });
  const add = ['kubeconfig', 'add', '--name=again', '--cluster=c', '--command=/bin/client-keystone-auth'];
  t.match(await run({}, ...add, '--context=dev', '--dry-run'), {
    status: 0,
    stdout: /--keystone-url=https:\/\/dev\.test/,
  });
  t.match(await run({}, ...add, '--dry-run'), {
    status: 0,
    stderr: USING,
    stdout: /keystone-url=https:\/\/prod\.test/,
  });
  const file = join(home, 'new.yaml');
  const server = ['--server=https://127.0.0.1:6443', `--kubeconfig=${file}`];
  const env = { OS_AUTH_URL: 'https://shell.test/v3' };
  t.match(await run(env, ...add, ...server), { status: 0, stdout: /Wrote .*new\.yaml/ });
  t.match(await run({}, 'kubeconfig', 'remove', '--context=dev'), {
    status: 0,
    stdout: /^Removed context dev and user/,
  });
});
