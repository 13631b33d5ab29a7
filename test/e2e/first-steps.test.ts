// What a person sees who types commands on a terminal for the first time: the introduction, the set-up that it offers,
// the context that `login` and `kubeconfig add` write, and commands in a new shell.

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { parse } from 'yaml';
import { answer, openTestTerminal } from '../support/answer-prompts.ts';
import { EXIT_STATUS, PASSWORD, readExecCredential, startKeystoneForTest } from '../support/check-run.ts';
import { makeLoginSettings } from '../support/stand-in-login.ts';
import { makeEnvironment, makeExecInfo, makeTestHome } from '../support/home.ts';
import type { EnvVars, Home } from '../support/home.ts';
import { PLUGIN_COMMAND, PLUGIN_PATH, runPlugin } from '../support/run-plugin.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import type { Terminal } from '../support/terminal.ts';

const DOWN = '\x1b[B';
const CTRL_C = '\x03';
const USAGE = 2;

interface Person {
  readonly home: Home;
  readonly keystone: StandInKeystone;
  readonly kubeconfig: string;
  /** Starts the plugin on a terminal, with stdout on it. */
  readonly type: (args?: readonly string[], env?: EnvVars) => Terminal;
  readonly readKubeconfig: () => Kubeconfig;
}

interface Kubeconfig {
  readonly 'current-context'?: string;
  readonly clusters?: readonly { readonly name: string; readonly cluster: Record<string, string> }[];
  readonly contexts?: readonly { readonly name: string; readonly context: Record<string, string> }[];
  readonly users?: readonly { readonly name: string; readonly user: { readonly exec: { readonly args: string[] } } }[];
}

async function setUpPerson(t: Test): Promise<Person> {
  const home = makeTestHome(t);
  const bin = join(home.path, 'bin');
  mkdirSync(bin);
  symlinkSync(PLUGIN_PATH, join(bin, 'client-keystone-auth'));
  mkdirSync(join(home.path, 'work'));
  const kubeconfig = join(home.path, '.kube', 'config');
  const [file, ...words] = PLUGIN_COMMAND;
  return {
    home,
    keystone: await startKeystoneForTest(t),
    kubeconfig,
    type: (args = [], env = {}) =>
      openTestTerminal(t, {
        file,
        args: [...words, ...args],
        env: makeEnvironment(home, { PATH: `${bin}:${process.env['PATH'] ?? ''}`, ...env }),
        cwd: join(home.path, 'work'),
        cols: 300,
      }),
    readKubeconfig: () => parse(readFileSync(kubeconfig, 'utf8')) as Kubeconfig,
  };
}

function writeClusters({ home, kubeconfig }: Person, ...names: readonly string[]): void {
  mkdirSync(join(home.path, '.kube'));
  const clusters = names.map((name) => ({ name, cluster: { server: `https://${name}.example.com:6443` } }));
  writeFileSync(kubeconfig, JSON.stringify({ apiVersion: 'v1', kind: 'Config', clusters }));
}

async function checkExit(t: Test, terminal: Terminal, exitCode = 0): Promise<string> {
  t.strictSame(await terminal.ended, { exitCode, signal: undefined }, terminal.screen());
  t.notOk(terminal.raw().includes(PASSWORD), 'the password is not on the screen');
  return terminal.screen();
}

/** Answers the prompts of a login as alice. */
async function logIn(terminal: Terminal): Promise<void> {
  await answer(terminal, '? User name', 'alice');
  await answer(terminal, '? Domain of the user', 'acme');
  await answer(terminal, '? Password of alice (domain acme)', PASSWORD);
  await answer(terminal, '? Project:', '');
}

/** Checks that kubectl, in a shell without any settings, gets the token of the login without a prompt. */
async function checkKubectl(t: Test, person: Person): Promise<void> {
  const { keystone, home, readKubeconfig } = person;
  const { users = [] } = readKubeconfig();
  const args = users.at(-1)?.user.exec.args ?? [];
  t.notMatch(args.join(' '), PASSWORD);
  const logins = keystone.countLogins();
  const run = await runPlugin({ home, args, env: { KUBERNETES_EXEC_INFO: makeExecInfo() } });
  t.equal(run.stderr, '');
  readExecCredential(t, run.stdout);
  t.equal(keystone.countLogins(), logins, 'the token comes from the cache');
}

void t.test(
  'typed alone with nothing configured, it says in three lines what it is and offers the set-up',
  async (t) => {
    const person = await setUpPerson(t);
    const { type, keystone, readKubeconfig } = person;
    writeClusters(person, 'dev');
    const terminal = type();
    await terminal.waitFor('? What do you want to do?');
    t.equal(terminal.screen().match(/^client-keystone-auth: /gm)?.length, 3, terminal.screen());
    await answer(terminal, 'log in: enter the URL of Keystone and your user', '');
    await answer(terminal, '? How to log in:', '');
    await answer(terminal, '? Keystone URL:', keystone.url);
    await logIn(terminal);
    await answer(terminal, '? Use this login in kubectl?', '');
    const screen = await checkExit(t, terminal);
    t.match(
      screen,
      'yes: add context dev-keystone for cluster dev (https://dev.example.com:6443), and make it current',
    );
    t.match(screen, /It is the current context: kubectl get pods$/m);
    t.notMatch(screen, /gAAAA|Flags for next time/, 'no token and no flags to copy');
    t.equal(readKubeconfig()['current-context'], 'dev-keystone');
    await checkKubectl(t, person);

    const inNewShell = await runPlugin({ home: person.home, args: ['status'] });
    t.match(inNewShell, { status: 0, stdout: /^\* +alice /m, stderr: /using the login of context dev-keystone in / });
  },
);

void t.test('it offers a cloud of clouds.yaml and an openrc nearby', async (t) => {
  const person = await setUpPerson(t);
  const { home, type, keystone } = person;
  const openstack = join(home.path, '.config', 'openstack');
  mkdirSync(openstack, { recursive: true });
  writeFileSync(join(openstack, 'clouds.yaml'), `clouds: {lab: {auth: {auth_url: "${keystone.url}"}}}\n`);
  writeFileSync(join(home.path, 'work', 'demo-openrc.sh'), 'touch was-run; export OS_AUTH_URL=https://evil.test\n');
  const first = type();
  await first.waitFor('log in to the cloud "lab" of clouds.yaml');
  await answer(first, 'use ./demo-openrc.sh', DOWN);
  const screen = await checkExit(t, first);
  t.match(screen, /^ {2}\. \.\/demo-openrc\.sh\n {2}client-keystone-auth kubeconfig add --set-current$/m);
  t.throws(() => readFileSync(join(home.path, 'work', 'was-run')), 'the file is not run');

  const second = type();
  await answer(second, '? What do you want to do?', '');
  await answer(second, '? How to log in:', '');
  await logIn(second);
  await answer(second, '? Use this login in kubectl?', DOWN);
  t.match(await checkExit(t, second), /^Flags for next time +--os-cloud=lab /m);
});

void t.test('it offers to add a context without a login, for a cluster that is not in the kubeconfig', async (t) => {
  const { type, readKubeconfig, home } = await setUpPerson(t);
  const terminal = type();
  await answer(terminal, '? What do you want to do?', DOWN);
  await answer(terminal, '? Keystone URL:', 'keystone.example.com:5000/v3');
  await answer(terminal, '? URL of the API server:', 'http://k8s.example.com');
  await answer(
    terminal,
    '> the URL of the API server must be the https:// URL of an API server',
    'k8s.example.com:6443',
  );
  await answer(terminal, '? PEM file of the CA', join(home.path, 'none.pem'));
  await answer(terminal, /> the PEM file: \S+none\.pem cannot be read/, '');
  await checkExit(t, terminal);
  t.match(readKubeconfig(), {
    'current-context': 'k8s.example.com-keystone',
    clusters: [{ name: 'k8s.example.com', cluster: { server: 'https://k8s.example.com:6443' } }],
    users: [
      {
        user: {
          exec: {
            args: ['get-token', '--keystone-url=https://keystone.example.com:5000/v3', '--auth-type=password'],
          },
        },
      },
    ],
  });
});

void t.test('Ctrl-C at the offer ends it, and a complete environment or kubectl never sees it', async (t) => {
  const { type, keystone } = await setUpPerson(t);
  const canceled = type();
  await canceled.waitFor('? What do you want to do?');
  canceled.type(CTRL_C);
  await checkExit(t, canceled, EXIT_STATUS.canceled);

  const settings = makeLoginSettings(`${keystone.url}/v3`);
  for (const turn of ['a login', 'a cache hit']) {
    const screen = await checkExit(t, type([], settings));
    t.match(screen, /^client-keystone-auth: this is a token: until \S+Z, anyone who sees it can act as you/m, turn);
    t.match(screen, /^\{"apiVersion":"client\.authentication\.k8s\.io\/v1"/m, turn);
  }
  t.match(await checkExit(t, type(['token'], settings)), /this is a token: until/);
  t.equal(keystone.countLogins(), 1);

  const forKubectl = { ...settings, KUBERNETES_EXEC_INFO: makeExecInfo({ interactive: true }) };
  t.match(await checkExit(t, type([], forKubectl)), /^\{"apiVersion":[^\n]*\}\n$/);
  const prompted = type([], { KUBERNETES_EXEC_INFO: makeExecInfo({ interactive: true }) });
  await prompted.waitFor('? Keystone URL:');
  prompted.type(CTRL_C);
  t.notMatch(await checkExit(t, prompted, EXIT_STATUS.canceled), 'What do you want');
});

void t.test('get-token by name still prompts, and a context that is selected needs no terminal', async (t) => {
  const person = await setUpPerson(t);
  const { type, keystone, home } = person;
  const named = type(['get-token']);
  await named.waitFor('? Keystone URL:');
  named.type(CTRL_C);
  await checkExit(t, named, EXIT_STATUS.canceled);
  writeClusters(person, 'dev');
  const settings = makeLoginSettings(`${keystone.url}/v3`);
  const add = ['kubeconfig', 'add', '--with-secrets', '--command=/bin/client-keystone-auth'];
  t.match(await runPlugin({ home, args: add, env: settings }), { status: 0 });
  for (const args of [
    ['get-token', '--context=dev-keystone'],
    ['--context', 'dev-keystone'],
  ]) {
    const run = await runPlugin({ home, args });
    t.match(run, { status: 0, stderr: '' });
    readExecCredential(t, run.stdout);
  }
  t.match(
    await checkExit(t, type()),
    /using the login of context dev-keystone in \S+, because[^]*this is a token: until/,
  );
  const stanza = { KUBERNETES_EXEC_INFO: makeExecInfo() };
  t.match(await runPlugin({ home, args: ['--context=dev-keystone'], env: stanza }), {
    status: USAGE,
    stdout: '',
    stderr: /unknown option --context/,
  });
  t.match(await runPlugin({ home, args: ['--version'] }), { status: 0, stdout: /^\d+\.\d+\.\d+\n$/ });
  t.match(await checkExit(t, type(['--version'])), /^\d+\.\d+\.\d+\n$/);
});

void t.test('login --kubeconfig-add writes the context, without a question', async (t) => {
  const person = await setUpPerson(t);
  writeClusters(person, 'dev', 'prod');
  const { type, keystone, readKubeconfig } = person;
  const flags = [
    `--keystone-url=${keystone.url}`,
    '--kubeconfig-add',
    '--cluster=prod',
    '--name=mine',
    '--set-current',
  ];
  const terminal = type(['login', ...flags]);
  await answer(terminal, '? How to log in:', '');
  await logIn(terminal);
  t.match(await checkExit(t, terminal), /^Context mine uses cluster prod and user mine\. It is the current context/m);
  t.equal(readKubeconfig()['current-context'], 'mine');
  await checkKubectl(t, person);
  const before = readFileSync(person.kubeconfig, 'utf8');
  const preview = type(['login', ...flags, '--dry-run', '--exec-api-version=v1beta1', '--namespace=web']);
  await answer(preview, '? How to log in:', '');
  await logIn(preview);
  const screen = await checkExit(t, preview);
  t.match(screen, /^\+.*"apiVersion": "client\.authentication\.k8s\.io\/v1beta1".*"namespace": "web"/m);
  t.equal(readFileSync(person.kubeconfig, 'utf8'), before, 'a preview leaves the file as it is');
  const wrong = await runPlugin({ home: person.home, args: ['login', '--kubeconfig-add', '--exec-api-version=v2'] });
  t.match(wrong, { status: USAGE, stdout: '', stderr: /--exec-api-version must be v1 or v1beta1, not "v2"/ });
  const stray = await runPlugin({ home: person.home, args: ['login', '--cluster=prod'] });
  t.match(stray, { status: USAGE, stdout: '', stderr: /--cluster is only for a new context; add --kube/ });
});

void t.test('kubeconfig add offers a list of several clusters, with the current one selected', async (t) => {
  const person = await setUpPerson(t);
  writeClusters(person, 'a', 'b', 'c');
  const { type, readKubeconfig, home } = person;
  const env = { OS_AUTH_URL: 'https://keystone.test/v3' };
  const first = type(['kubeconfig', 'add'], env);
  await answer(first, '? Cluster:', DOWN);
  await checkExit(t, first);
  t.match(readKubeconfig(), { 'current-context': 'b-keystone', contexts: [{ context: { cluster: 'b' } }] });
  const second = type(['kubeconfig', 'add', '--name=again'], env);
  await answer(second, '? Cluster:', '');
  await checkExit(t, second);
  t.match(readKubeconfig().contexts?.at(-1), { name: 'again', context: { cluster: 'b' } });
  const inPipe = await runPlugin({ home, args: ['kubeconfig', 'add', '--name=piped', '--dry-run'], env });
  t.match(inPipe, { status: 0, stdout: /"name": "piped", "context": { "cluster": "b"/ });
});
