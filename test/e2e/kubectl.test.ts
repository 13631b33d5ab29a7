// What a user has: a real kubectl, the built plugin, a real Keystone; and an API server that asks Keystone about each
// token, as k8s-keystone-auth does. What kubectl promises about terminals and what it repeats, only kubectl can show.

import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  POD_LINE,
  APPLY_ARGS,
  GET_PODS_ARGS,
  makeRecordingPlugin,
  CONFIG_MAP_MANIFEST,
  makeAliceSettings,
  setUpKubectl,
  testWithKubectl,
} from '../support/kubectl-fixture.ts';
import { PLUGIN_PATH } from '../support/run-plugin.ts';
import { asUser, onProject, listSecrets } from '../support/login-settings.ts';
import { makeTotpCode } from '../support/tenancy.ts';

t.setTimeout(170_000);

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
      const desk = await setUpKubectl(t, world, { program });
      const { command, runs } = makeRecordingPlugin(desk);
      const apiVersion = `client.authentication.k8s.io/${version}`;
      await desk.writeKubeconfig({ command, apiVersion, interactiveMode: mode, env: makeAliceSettings(world, desk) });
      let said: string;
      let status: number | null;
      if (input === 'pipe') {
        const ran = await desk.kubectl(GET_PODS_ARGS);
        said = ran.stdout + ran.stderr;
        status = ran.status;
      } else {
        const isApply = input === 'manifest';
        const terminal = desk.kubectlOnTerminal(
          isApply ? APPLY_ARGS : GET_PODS_ARGS,
          isApply ? { input: CONFIG_MAP_MANIFEST } : {},
        );
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
      t.match(said, input === 'manifest' ? 'configmap/made created' : POD_LINE, what);
      // `apply` makes a client for reading and one for writing, and each of them asks the plugin.
      const told = { apiVersion, spec: { interactive } };
      t.match(runs(), input === 'manifest' ? [told, told] : [told], `${what}: what kubectl told the plugin`);
      t.equal(runs().length, input === 'manifest' ? 2 : 1, `${what}: runs`);
      t.equal(desk.countLogins(), 1, `${what}: one login`);
      t.match(desk.admittedTokens, [{ user: { name: 'alice' }, project: { name: 'demo' } }], what);
    };
    await Promise.all(versions.flatMap((version) => inputs.map((input) => check(version, input))));
  });
}

testWithKubectl('the second command needs no login', async (t, world, program) => {
  const desk = await setUpKubectl(t, world, { program });
  await desk.writeKubeconfig({ command: PLUGIN_PATH, env: makeAliceSettings(world, desk) });
  for (const command of ['the first', 'the second']) {
    const ran = await desk.kubectl(GET_PODS_ARGS);
    t.match(ran, { status: 0, stdout: POD_LINE, stderr: '' }, command);
    t.equal(desk.countLogins(), 1, command);
  }
  t.equal(new Set(desk.api.requests.map(({ tokenSha256 }) => tokenSha256)).size, 1, 'one token for all requests');
  t.ok(desk.api.requests.every(({ user }) => user === 'alice'));
  t.match(await desk.kubectl(['auth', 'whoami']), { status: 0, stdout: /Username +alice/ });
});

testWithKubectl('a wrong password', async (t, world, program) => {
  const desk = await setUpKubectl(t, world, { program });
  const { command, runs } = makeRecordingPlugin(desk);
  const password = 'canary-not-the-password';
  await desk.writeKubeconfig({ command, env: makeAliceSettings(world, desk, { OS_PASSWORD: password }) });
  const ran = await desk.kubectl(GET_PODS_ARGS);
  t.not(ran.status, 0);
  t.equal(ran.stdout, '');
  const [first = '', ...others] = ran.stderr.split('\n').filter((line) => line.startsWith('client-keystone-auth: '));
  const times = runs().length;
  t.ok(times > 1, 'kubectl without its discovery runs a failing plugin again and again');
  t.equal(others.length, times - 1, 'our line, once for each run');
  t.match(first, /refused the login for alice \(domain .*\) on project demo: .*; check user.* \(req-/);
  for (const line of others) t.match(line, /this login was refused \d+ s ago, and is not tried again yet; another/);
  t.match(ran.stderr, /getting credentials: exec: executable .* failed with exit code 5/);
  t.notOk(ran.stderr.includes(password));
  t.equal(desk.countLogins(), 1, `kubectl ran the plugin ${times} times, Keystone was asked once`);
  t.ok(
    desk.api.requests.every(({ user }) => user === undefined),
    'the cluster saw no token',
  );
});

testWithKubectl('a password that is not set is asked for once', async (t, world, program) => {
  const desk = await setUpKubectl(t, world, { program });
  const { alice } = world.tenancy.users;
  await desk.writeKubeconfig({
    command: PLUGIN_PATH,
    env: makeAliceSettings(world, desk, { OS_PASSWORD: undefined }),
    provideClusterInfo: true,
  });

  const nobodyToAsk = await desk.kubectl(GET_PODS_ARGS);
  t.match(nobodyToAsk.stderr, /password is not set and kubectl does not let this plugin ask for it; set OS_PASSWORD/);
  const applied = desk.kubectlOnTerminal(APPLY_ARGS, { input: CONFIG_MAP_MANIFEST });
  await applied.waitFor('kubectl does not let this plugin ask for it');
  t.not((await applied.ended).exitCode, 0, 'a manifest is not for us to read');
  t.equal(desk.countLogins(), 0);

  const first = desk.kubectlOnTerminal(GET_PODS_ARGS);
  await first.waitFor(`Password at ${desk.keystoneUrl} for the cluster ${desk.api.url}:`);
  first.type(`${alice.password}\r`);
  await first.waitFor(POD_LINE);
  t.equal((await first.ended).exitCode, 0, first.screen());
  t.notOk(
    listSecrets(world.tenancy).some((secret) => first.screen().includes(secret)),
    'nothing is echoed',
  );
  t.equal(desk.countLogins(), 1);

  const second = desk.kubectlOnTerminal(GET_PODS_ARGS);
  await second.waitFor(POD_LINE);
  t.equal((await second.ended).exitCode, 0);
  t.notMatch(second.screen(), 'Password');
  t.match(await desk.kubectl(GET_PODS_ARGS), { status: 0, stdout: POD_LINE }, 'nor does it need a terminal now');
  t.equal(desk.countLogins(), 1);
});

testWithKubectl("the kubeconfig's env is stronger than the shell's", async (t, world, program) => {
  const desk = await setUpKubectl(t, world, { program });
  const { domain, projects, users } = world.tenancy;
  await desk.writeKubeconfig({ command: PLUGIN_PATH, env: onProject(projects.demo, domain) });
  const env = { OS_AUTH_URL: desk.keystoneUrl, ...asUser(users.alice, domain), ...onProject(projects.other, domain) };
  t.match(await desk.kubectl(GET_PODS_ARGS, { env }), { status: 0, stdout: POD_LINE });
  t.match(desk.admittedTokens, [{ user: { name: 'alice' }, project: { name: 'demo' } }]);
  // What the kubeconfig leaves open, the shell still decides.
  t.match(await desk.kubectl(GET_PODS_ARGS, { env: { ...env, ...asUser(users.bob, domain) } }), { status: 0 });
  t.match(desk.admittedTokens, [{ user: { name: 'alice' } }, { user: { name: 'bob' }, project: { name: 'demo' } }]);
  t.equal(desk.countLogins(), 2);
});

testWithKubectl('how a kubeconfig may name the plugin', async (t, world, program) => {
  const desk = await setUpKubectl(t, world, { program });
  for (const folder of ['beside', 'search', 'elsewhere']) mkdirSync(join(desk.home.path, folder));
  // As npm installs it: a link without the extension.
  symlinkSync(PLUGIN_PATH, join(desk.home.path, 'beside/client-keystone-auth'));
  symlinkSync(PLUGIN_PATH, join(desk.home.path, 'search/client-keystone-auth'));
  const env = makeAliceSettings(world, desk);
  const run = { cwd: join(desk.home.path, 'elsewhere') };

  await desk.writeKubeconfig({ command: './beside/client-keystone-auth', env });
  t.match(
    await desk.kubectl(GET_PODS_ARGS, run),
    { status: 0, stdout: POD_LINE, stderr: '' },
    'relative to the kubeconfig',
  );
  await desk.writeKubeconfig({ command: 'client-keystone-auth', env });
  t.match(await desk.kubectl(GET_PODS_ARGS, run), { status: 0, stdout: POD_LINE, stderr: '' }, 'by its name alone');
  t.equal(desk.countLogins(), 1);

  const args = ['get-token', '--project-name', 'other'];
  await desk.writeKubeconfig({ command: 'client-keystone-auth', args, env });
  t.match(
    await desk.kubectl(GET_PODS_ARGS, run),
    { status: 0, stdout: POD_LINE, stderr: '' },
    'with get-token and flags',
  );
  t.match(desk.admittedTokens, [{ project: { name: 'demo' } }, { project: { name: 'other' } }]);
  t.equal(desk.countLogins(), 2);

  await desk.writeKubeconfig({ command: 'not-there', env, installHint: 'npm install --global client-keystone-auth' });
  const missing = await desk.kubectl(GET_PODS_ARGS, run);
  t.not(missing.status, 0);
  t.match(missing.stderr, 'npm install --global client-keystone-auth');
});

testWithKubectl('a user with a second factor is asked for each once', async (t, world, program) => {
  const desk = await setUpKubectl(t, world, { program });
  const { domain, projects, users } = world.tenancy;
  const { mfa } = users;
  const env = { OS_AUTH_URL: desk.keystoneUrl, OS_USERNAME: 'mfa', OS_USER_DOMAIN_NAME: domain.name };
  await desk.writeKubeconfig({
    command: PLUGIN_PATH,
    env: { ...env, ...onProject(projects.demo, domain) },
    interactiveMode: 'IfAvailable',
  });
  const first = desk.kubectlOnTerminal(GET_PODS_ARGS);
  await first.waitFor(/\? Password at .*:/);
  first.type(`${mfa.password}\r`);
  await first.waitFor(/\? Passcode at .*:/);
  first.type(`${makeTotpCode(mfa.totpSecret, Date.now())}\r`);
  t.strictSame(await first.ended, { exitCode: 0, signal: undefined }, first.screen());
  t.match(first.screen(), POD_LINE);
  t.strictSame(
    desk.listKeystoneRequests().map(({ method, status }) => `${method} ${status}`),
    ['POST 401', 'POST 201'],
    'the password was sent once, and the passcode once',
  );
  t.match(desk.admittedTokens, [{ user: { name: 'mfa' }, methods: ['password', 'totp'] }]);

  const second = desk.kubectlOnTerminal(GET_PODS_ARGS);
  t.strictSame(await second.ended, { exitCode: 0, signal: undefined }, second.screen());
  t.match(second.screen(), POD_LINE);
  t.notMatch(second.screen(), /Password|Passcode/, 'nothing is asked');
  t.equal(desk.listKeystoneRequests().length, 2, 'and nobody');
});
