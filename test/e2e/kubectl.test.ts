// What a user has: a real kubectl, the built plugin, a real Keystone; and an API server that asks Keystone about each
// token, as k8s-keystone-auth does. What kubectl promises about terminals and what it repeats, only kubectl can show.

import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import t, { test } from 'tap';
import type { Test } from 'tap';
import { findKubectl } from '../../scripts/kubectl.ts';
import { startApiServer, writeKubeconfig } from '../support/api-server.ts';
import type { ApiServer, KubeconfigOptions } from '../support/api-server.ts';
import { alone, makeEnvironment, makeHome, PLUGIN } from '../support/plugin.ts';
import type { Home, Ran } from '../support/plugin.ts';
import { asUser, onProject, secretsOf } from '../support/settings.ts';
import { validateToken } from '../support/tenancy.ts';
import type { TokenFacts } from '../support/tenancy.ts';
import { openTerminal } from '../support/terminal.ts';
import type { Terminal } from '../support/terminal.ts';
import { markRequests, requestsSince, testWithKeystone } from '../support/world.ts';
import type { World } from '../support/world.ts';

t.setTimeout(170_000);

type Settings = Readonly<Record<string, string | undefined>>;

interface Run {
  readonly env?: Settings;
  readonly input?: string;
  readonly cwd?: string;
}

/** One user with a kubectl, a kubeconfig and a cluster. */
interface Desk {
  readonly home: Home;
  readonly api: ApiServer;
  /** Whom the cluster let in, by Keystone's word, one for each token. */
  readonly admitted: readonly TokenFacts[];
  /** Keystone's URL for OS_AUTH_URL. */
  readonly keystone: string;
  countLogins(): number;
  configure(options: Omit<KubeconfigOptions, 'path' | 'server' | 'ca'>): Promise<void>;
  /** Without a terminal anywhere; stdin is a pipe. */
  kubectl(args: readonly string[], run?: Run): Promise<Ran>;
  /** On a terminal; with `input`, stdin is a pipe nevertheless. */
  onTerminal(args: readonly string[], run?: Run): Terminal;
}

const MANIFEST = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"made"},"data":{"a":"1"}}';
const APPLY = ['apply', '--validate=false', '-f', '-'];
const GET_PODS = ['get', 'pods'];
const A_POD = /^web-0 +1\/1 +Running/m;

async function sitDown(t: Test, world: World, program: string): Promise<Desk> {
  const home = makeHome();
  t.teardown(() => home.remove());
  const admitted: TokenFacts[] = [];
  const asked = new Map<string, Promise<TokenFacts | undefined>>();
  const ask = async (token: string): Promise<TokenFacts | undefined> => {
    const facts = await validateToken(world.http, token);
    if (facts !== undefined) admitted.push(facts);
    return facts;
  };
  const api = await startApiServer({
    ...world.pki.server,
    authenticate: async (token) => {
      const known = asked.get(token) ?? ask(token);
      asked.set(token, known);
      return (await known)?.user.name;
    },
  });
  t.teardown(() => api.close());
  const mark = markRequests(world.http);
  const path = join(home.path, 'kubeconfig');
  // The plugin's first line looks for node in PATH; the tests' own is to be found first.
  const search = [join(home.path, 'search'), dirname(process.execPath), process.env['PATH']].join(delimiter);
  const environment = (env: Settings = {}): Record<string, string> => makeEnvironment(home, { PATH: search, ...env });
  const withConfig = (args: readonly string[]): string[] => ['--kubeconfig', path, ...args];
  return {
    home,
    api,
    admitted,
    keystone: `${mark.url}/v3`,
    countLogins: () => requestsSince(mark).filter(({ method }) => method === 'POST').length,
    configure: (options) => writeKubeconfig({ ...options, path, server: api.url, ca: world.pki.ca }),
    kubectl: (args, run = {}) => runDetached(program, withConfig(args), environment(run.env), run),
    onTerminal(args, { env, input, cwd = home.path } = {}) {
      const terminal = openTerminal({
        ...(input === undefined
          ? { file: program, args: withConfig(args) }
          : { file: '/bin/sh', args: ['-c', 'printf %s "$INPUT" | "$0" "$@"', program, ...withConfig(args)] }),
        env: { ...environment(env), INPUT: input },
        cwd,
        cols: 200,
      });
      t.teardown(() => terminal.close());
      return terminal;
    },
  };
}

function runDetached(file: string, args: readonly string[], env: Record<string, string>, run: Run): Promise<Ran> {
  // In a session of its own there is no terminal, whoever runs the tests.
  const [command, words, options] = alone(file, args, env);
  const child = spawn(command, words, { ...options, cwd: run.cwd ?? env['HOME'], detached: true });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // A kubectl that fails does not read its input.
  child.stdin.on('error', () => undefined).end(run.input ?? '');
  return new Promise((done, fail) => {
    child.once('error', fail).once('close', (status, signal) => done({ status, signal, stdout, stderr }));
  });
}

/** alice on demo; what is undefined is left out. */
function settingsOf(world: World, desk: Desk, changes: Settings = {}): Record<string, string> {
  const { domain, projects, users } = world.tenancy;
  const all: Settings = {
    OS_AUTH_URL: desk.keystone,
    ...asUser(users.alice, domain),
    ...onProject(projects.demo, domain),
    ...changes,
  };
  return Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

interface PluginRun {
  readonly apiVersion: string;
  readonly spec: { readonly interactive: boolean };
}

/** A plugin that notes what kubectl tells it, before it becomes ours. */
function makeNotingPlugin({ home }: Desk): { command: string; runs: () => PluginRun[] } {
  const command = join(home.path, 'noting-plugin');
  const notes = join(home.path, 'notes');
  const script = `#!/bin/sh
printf '%s\\n' "$KUBERNETES_EXEC_INFO" >>'${notes}'
exec '${process.execPath}' '${PLUGIN}' "$@"
`;
  writeFileSync(command, script);
  chmodSync(command, 0o700);
  writeFileSync(notes, '');
  return {
    command,
    runs: () =>
      readFileSync(notes, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as PluginRun),
  };
}

const kubectls = await Promise.all(
  (['new', 'old'] as const).map(async (age) => ({ age, found: await findKubectl(age) })),
);

/** Declares a test for each kubectl. */
function testWithKubectl(name: string, body: (t: Test, world: World, program: string) => Promise<void>): void {
  for (const { age, found } of kubectls) {
    if ('missing' in found) void test(`${name} (the ${age} kubectl)`, { skip: found.missing }, () => undefined);
    else testWithKeystone(`${name} (kubectl ${found.version})`, (t, world) => body(t, world, found.path));
  }
}

const versions = ['v1', 'v1beta1'] as const;
const inputs = ['pipe', 'terminal', 'manifest'] as const;

/** What kubectl documents: whether the plugin may talk to the user; undefined where it does not even run it. */
const promised = {
  Never: { pipe: false, terminal: false, manifest: false },
  IfAvailable: { pipe: false, terminal: true, manifest: false },
  Always: { pipe: undefined, terminal: true, manifest: undefined },
} as const;

for (const mode of ['Never', 'IfAvailable', 'Always'] as const) {
  testWithKubectl(`interactiveMode ${mode}`, async (t, world, program) => {
    const check = async (version: (typeof versions)[number], input: (typeof inputs)[number]): Promise<void> => {
      const what = `${version}, ${input}`;
      const desk = await sitDown(t, world, program);
      const { command, runs } = makeNotingPlugin(desk);
      const apiVersion = `client.authentication.k8s.io/${version}`;
      await desk.configure({ command, apiVersion, interactiveMode: mode, env: settingsOf(world, desk) });
      let said: string;
      let status: number | null;
      if (input === 'pipe') {
        const ran = await desk.kubectl(GET_PODS);
        said = ran.stdout + ran.stderr;
        status = ran.status;
      } else {
        const isApply = input === 'manifest';
        const terminal = desk.onTerminal(isApply ? APPLY : GET_PODS, isApply ? { input: MANIFEST } : {});
        status = (await terminal.ended).exitCode;
        said = terminal.screen();
      }
      const interactive = promised[mode][input];
      if (interactive === undefined) {
        t.not(status, 0, `${what}: kubectl fails`);
        t.match(said, 'cannot support interactive mode', what);
        t.strictSame(runs(), [], `${what}: the plugin is not run`);
        t.equal(desk.countLogins(), 0, `${what}: nobody logs in`);
        return;
      }
      t.equal(status, 0, `${what}: ${said}`);
      t.match(said, input === 'manifest' ? 'configmap/made created' : A_POD, what);
      // `apply` makes a client for reading and one for writing, and each of them asks the plugin.
      const told = { apiVersion, spec: { interactive } };
      t.match(runs(), input === 'manifest' ? [told, told] : [told], `${what}: what kubectl told the plugin`);
      t.equal(runs().length, input === 'manifest' ? 2 : 1, `${what}: runs`);
      t.equal(desk.countLogins(), 1, `${what}: one login`);
      t.match(desk.admitted, [{ user: { name: 'alice' }, project: { name: 'demo' } }], what);
    };
    await Promise.all(versions.flatMap((version) => inputs.map((input) => check(version, input))));
  });
}

testWithKubectl('the second command needs no login', async (t, world, program) => {
  const desk = await sitDown(t, world, program);
  await desk.configure({ command: PLUGIN, env: settingsOf(world, desk) });
  for (const command of ['the first', 'the second']) {
    const ran = await desk.kubectl(GET_PODS);
    t.match(ran, { status: 0, stdout: A_POD, stderr: '' }, command);
    t.equal(desk.countLogins(), 1, command);
  }
  t.equal(new Set(desk.api.requests.map(({ tokenSha256 }) => tokenSha256)).size, 1, 'one token for all requests');
  t.ok(desk.api.requests.every(({ user }) => user === 'alice'));
  t.match(await desk.kubectl(['auth', 'whoami']), { status: 0, stdout: /Username +alice/ });
});

testWithKubectl('a wrong password', async (t, world, program) => {
  const desk = await sitDown(t, world, program);
  const { command, runs } = makeNotingPlugin(desk);
  const password = 'canary-not-the-password';
  await desk.configure({ command, env: settingsOf(world, desk, { OS_PASSWORD: password }) });
  const ran = await desk.kubectl(GET_PODS);
  t.not(ran.status, 0);
  t.equal(ran.stdout, '');
  const ours = ran.stderr.split('\n').filter((line) => line.startsWith('client-keystone-auth: '));
  const times = runs().length;
  t.equal(ours.length, times, 'our line, once for each run');
  t.match(ours[0], /refused the login for alice \(domain .*\) on project demo: .*; check user.* \(req-/);
  t.match(ran.stderr, /getting credentials: exec: executable .* failed with exit code 5/);
  t.notOk(ran.stderr.includes(password));
  t.ok(times > 0);
  t.equal(desk.countLogins(), times, `kubectl without its discovery ran the plugin ${times} times, one login each`);
  t.ok(
    desk.api.requests.every(({ user }) => user === undefined),
    'the cluster saw no token',
  );
});

testWithKubectl('a password that is not set is asked for once', async (t, world, program) => {
  const desk = await sitDown(t, world, program);
  const { alice } = world.tenancy.users;
  await desk.configure({
    command: PLUGIN,
    env: settingsOf(world, desk, { OS_PASSWORD: undefined }),
    provideClusterInfo: true,
  });

  const nobodyToAsk = await desk.kubectl(GET_PODS);
  t.match(nobodyToAsk.stderr, /password is not set and kubectl does not let this plugin ask for it; set OS_PASSWORD/);
  const applied = desk.onTerminal(APPLY, { input: MANIFEST });
  await applied.waitFor('kubectl does not let this plugin ask for it');
  t.not((await applied.ended).exitCode, 0, 'a manifest is not for us to read');
  t.equal(desk.countLogins(), 0);

  const first = desk.onTerminal(GET_PODS);
  await first.waitFor(`Password at ${desk.keystone} for the cluster ${desk.api.url}:`);
  first.type(`${alice.password}\r`);
  await first.waitFor(A_POD);
  t.equal((await first.ended).exitCode, 0, first.screen());
  t.notOk(
    secretsOf(world.tenancy).some((secret) => first.screen().includes(secret)),
    'nothing is echoed',
  );
  t.equal(desk.countLogins(), 1);

  const second = desk.onTerminal(GET_PODS);
  await second.waitFor(A_POD);
  t.equal((await second.ended).exitCode, 0);
  t.notMatch(second.screen(), 'Password');
  t.match(await desk.kubectl(GET_PODS), { status: 0, stdout: A_POD }, 'nor does it need a terminal now');
  t.equal(desk.countLogins(), 1);
});

testWithKubectl("the kubeconfig's env is stronger than the shell's", async (t, world, program) => {
  const desk = await sitDown(t, world, program);
  const { domain, projects, users } = world.tenancy;
  await desk.configure({ command: PLUGIN, env: onProject(projects.demo, domain) });
  const env = { OS_AUTH_URL: desk.keystone, ...asUser(users.alice, domain), ...onProject(projects.other, domain) };
  t.match(await desk.kubectl(GET_PODS, { env }), { status: 0, stdout: A_POD });
  t.match(desk.admitted, [{ user: { name: 'alice' }, project: { name: 'demo' } }]);
  // What the kubeconfig leaves open, the shell still decides.
  t.match(await desk.kubectl(GET_PODS, { env: { ...env, ...asUser(users.bob, domain) } }), { status: 0 });
  t.match(desk.admitted, [{ user: { name: 'alice' } }, { user: { name: 'bob' }, project: { name: 'demo' } }]);
  t.equal(desk.countLogins(), 2);
});

testWithKubectl('how a kubeconfig may name the plugin', async (t, world, program) => {
  const desk = await sitDown(t, world, program);
  for (const folder of ['beside', 'search', 'elsewhere']) mkdirSync(join(desk.home.path, folder));
  // As npm installs it: a link without the extension.
  symlinkSync(PLUGIN, join(desk.home.path, 'beside/client-keystone-auth'));
  symlinkSync(PLUGIN, join(desk.home.path, 'search/client-keystone-auth'));
  const env = settingsOf(world, desk);
  const run = { cwd: join(desk.home.path, 'elsewhere') };

  await desk.configure({ command: './beside/client-keystone-auth', env });
  t.match(await desk.kubectl(GET_PODS, run), { status: 0, stdout: A_POD, stderr: '' }, 'relative to the kubeconfig');
  await desk.configure({ command: 'client-keystone-auth', env });
  t.match(await desk.kubectl(GET_PODS, run), { status: 0, stdout: A_POD, stderr: '' }, 'by its name alone');
  t.equal(desk.countLogins(), 1);

  const args = ['get-token', '--project-name', 'other'];
  await desk.configure({ command: 'client-keystone-auth', args, env });
  t.match(await desk.kubectl(GET_PODS, run), { status: 0, stdout: A_POD, stderr: '' }, 'with get-token and flags');
  t.match(desk.admitted, [{ project: { name: 'demo' } }, { project: { name: 'other' } }]);
  t.equal(desk.countLogins(), 2);

  await desk.configure({ command: 'not-there', env, installHint: 'npm install --global client-keystone-auth' });
  const missing = await desk.kubectl(GET_PODS, run);
  t.not(missing.status, 0);
  t.match(missing.stderr, 'npm install --global client-keystone-auth');
});
