// The setup of a user: a real kubectl, the built plugin, a real Keystone, and an API server that validates each token
// at Keystone, as k8s-keystone-auth does. Only a real kubectl shows how it shares the terminal and when it retries.

import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { APPLY_ARGS, CONFIG_MAP_MANIFEST, GET_PODS_ARGS, POD_LINE } from '../support/kubectl-fixture.ts';
import { makeAliceSettings, makeRecordingPlugin, setUpKubectl, testWithKubectl } from '../support/kubectl-fixture.ts';
import { PLUGIN_PATH } from '../support/run-plugin.ts';
import { asUser, onProject, listSecrets } from '../support/login-settings.ts';
import { stopClock } from '../support/stopped-clock.ts';
import { makeTotpCode } from '../support/tenancy.ts';

const versions = ['v1', 'v1beta1'] as const;
const inputs = ['pipe', 'terminal', 'manifest'] as const;

/** Whether the plugin may use the terminal, as kubectl documents it; undefined if kubectl does not run the plugin. */
const documented = {
  Never: { pipe: false, terminal: false, manifest: false },
  IfAvailable: { pipe: false, terminal: true, manifest: false },
  Always: { pipe: undefined, terminal: true, manifest: undefined },
} as const;

for (const mode of ['Never', 'IfAvailable', 'Always'] as const) {
  testWithKubectl(
    `with interactiveMode ${mode}, kubectl shares the terminal as it documents`,
    async (t, environment, program) => {
      const check = async (version: (typeof versions)[number], input: (typeof inputs)[number]): Promise<void> => {
        const name = `${version}, ${input}`;
        const fixture = await setUpKubectl(t, environment, { program });
        const { command, runs } = makeRecordingPlugin(fixture);
        const apiVersion = `client.authentication.k8s.io/${version}`;
        await fixture.writeKubeconfig({
          command,
          apiVersion,
          interactiveMode: mode,
          env: makeAliceSettings(environment, fixture),
        });
        let output: string;
        let status: number | null;
        if (input === 'pipe') {
          const result = await fixture.kubectl(GET_PODS_ARGS);
          output = result.stdout + result.stderr;
          status = result.status;
        } else {
          const isApply = input === 'manifest';
          const terminal = fixture.kubectlOnTerminal(
            isApply ? APPLY_ARGS : GET_PODS_ARGS,
            isApply ? { input: CONFIG_MAP_MANIFEST } : {},
          );
          status = (await terminal.ended).exitCode;
          output = terminal.screen();
        }
        const interactive = documented[mode][input];
        if (interactive === undefined) {
          t.not(status, 0, `${name}: kubectl fails`);
          t.match(output, 'cannot support interactive mode', name);
          t.strictSame(runs(), [], `${name}: the plugin is not run`);
          t.equal(fixture.countLogins(), 0, `${name}: no login`);
          return;
        }
        t.equal(status, 0, `${name}: ${output}`);
        t.match(output, input === 'manifest' ? 'configmap/made created' : POD_LINE, name);
        // `apply` creates one client for reading and one for writing, and each of them runs the plugin.
        const execInfo = { apiVersion, spec: { interactive } };
        t.match(runs(), input === 'manifest' ? [execInfo, execInfo] : [execInfo], `${name}: KUBERNETES_EXEC_INFO`);
        t.equal(runs().length, input === 'manifest' ? 2 : 1, `${name}: runs`);
        t.equal(fixture.countLogins(), 1, `${name}: one login`);
        t.match(fixture.admittedTokens, [{ user: { name: 'alice' }, project: { name: 'demo' } }], name);
      };
      await Promise.all(versions.flatMap((version) => inputs.map((input) => check(version, input))));
    },
  );
}

testWithKubectl('the second command needs no login', async (t, environment, program) => {
  const fixture = await setUpKubectl(t, environment, { program });
  await fixture.writeKubeconfig({ command: PLUGIN_PATH, env: makeAliceSettings(environment, fixture) });
  for (const command of ['the first', 'the second']) {
    const result = await fixture.kubectl(GET_PODS_ARGS);
    t.match(result, { status: 0, stdout: POD_LINE, stderr: '' }, command);
    t.equal(fixture.countLogins(), 1, command);
  }
  t.equal(new Set(fixture.api.requests.map(({ tokenSha256 }) => tokenSha256)).size, 1, 'one token for all requests');
  t.ok(fixture.api.requests.every(({ user }) => user === 'alice'));
  t.match(await fixture.kubectl(['auth', 'whoami']), { status: 0, stdout: /Username +alice/ });
});

testWithKubectl('a wrong password is sent once', async (t, environment, program) => {
  const fixture = await setUpKubectl(t, environment, { program });
  const { command, runs } = makeRecordingPlugin(fixture);
  const password = 'canary-not-the-password';
  await fixture.writeKubeconfig({ command, env: makeAliceSettings(environment, fixture, { OS_PASSWORD: password }) });
  const result = await fixture.kubectl(GET_PODS_ARGS, { env: stopClock(fixture.home) });
  t.not(result.status, 0);
  t.equal(result.stdout, '');
  const [first = '', ...others] = result.stderr.split('\n').filter((line) => line.startsWith('client-keystone-auth: '));
  const times = runs().length;
  t.ok(times > 1, 'kubectl without cached discovery repeats a failing plugin');
  t.equal(others.length, times - 1, 'one line for each run');
  t.match(first, /refused the login for alice \(domain .*\) on project demo: .*; check user.* \(req-/);
  const repeated =
    /was refused \d+ s ago, and is not tried again yet: Keystone refused the login for alice .*; another .* \(req-/;
  for (const line of others) t.match(line, repeated);
  const requestIds = [first, ...others].map((line) => /\(req-[-0-9a-f]+\)$/.exec(line)?.[0]);
  t.equal(new Set(requestIds).size, 1, 'each line has the request ID of the refusal');
  t.match(result.stderr, /getting credentials: exec: executable .* failed with exit code 5/);
  t.notOk(result.stderr.includes(password));
  t.equal(fixture.countLogins(), 1, `kubectl ran the plugin ${times} times, with one login request`);
  t.ok(
    fixture.api.requests.every(({ user }) => user === undefined),
    'the cluster saw no token',
  );
});

testWithKubectl('a missing password causes one prompt', async (t, environment, program) => {
  const fixture = await setUpKubectl(t, environment, { program });
  const { alice } = environment.tenancy.users;
  await fixture.writeKubeconfig({
    command: PLUGIN_PATH,
    env: makeAliceSettings(environment, fixture, { OS_PASSWORD: undefined }),
    provideClusterInfo: true,
  });

  const withoutPrompt = await fixture.kubectl(GET_PODS_ARGS);
  t.match(
    withoutPrompt.stderr,
    /password is not set and kubectl does not let this plugin prompt for it; set OS_PASSWORD/,
  );
  const applied = fixture.kubectlOnTerminal(APPLY_ARGS, { input: CONFIG_MAP_MANIFEST });
  await applied.waitFor('kubectl does not let this plugin prompt for it');
  t.not((await applied.ended).exitCode, 0, 'the plugin does not read the manifest');
  t.equal(fixture.countLogins(), 0);

  const first = fixture.kubectlOnTerminal(GET_PODS_ARGS);
  await first.waitFor(/Password of alice \(.+?\) at /);
  await first.waitFor(`${fixture.keystoneUrl} for the cluster ${fixture.api.url}:`);
  first.type(`${alice.password}\r`);
  await first.waitFor(POD_LINE);
  t.equal((await first.ended).exitCode, 0, first.screen());
  t.notOk(
    listSecrets(environment.tenancy).some((secret) => first.screen().includes(secret)),
    'no secret is echoed',
  );
  t.equal(fixture.countLogins(), 1);

  const second = fixture.kubectlOnTerminal(GET_PODS_ARGS);
  await second.waitFor(POD_LINE);
  t.equal((await second.ended).exitCode, 0);
  t.notMatch(second.screen(), 'Password');
  t.match(await fixture.kubectl(GET_PODS_ARGS), { status: 0, stdout: POD_LINE }, 'a later command needs no terminal');
  t.equal(fixture.countLogins(), 1);
});

testWithKubectl("env of the kubeconfig overrides the shell's environment", async (t, environment, program) => {
  const fixture = await setUpKubectl(t, environment, { program });
  const { domain, projects, users } = environment.tenancy;
  await fixture.writeKubeconfig({ command: PLUGIN_PATH, env: onProject(projects.demo, domain) });
  const env = {
    OS_AUTH_URL: fixture.keystoneUrl,
    ...asUser(users.alice, domain),
    ...onProject(projects.other, domain),
  };
  t.match(await fixture.kubectl(GET_PODS_ARGS, { env }), { status: 0, stdout: POD_LINE });
  t.match(fixture.admittedTokens, [{ user: { name: 'alice' }, project: { name: 'demo' } }]);
  // Variables that the kubeconfig does not set come from the shell.
  t.match(await fixture.kubectl(GET_PODS_ARGS, { env: { ...env, ...asUser(users.bob, domain) } }), { status: 0 });
  t.match(fixture.admittedTokens, [{ user: { name: 'alice' } }, { user: { name: 'bob' }, project: { name: 'demo' } }]);
  t.equal(fixture.countLogins(), 2);
});

testWithKubectl(
  'a kubeconfig can name the plugin by path, by name and with arguments',
  async (t, environment, program) => {
    const fixture = await setUpKubectl(t, environment, { program });
    for (const folder of ['beside', 'search', 'elsewhere']) mkdirSync(join(fixture.home.path, folder));
    // npm installs a link without the extension.
    symlinkSync(PLUGIN_PATH, join(fixture.home.path, 'beside/client-keystone-auth'));
    symlinkSync(PLUGIN_PATH, join(fixture.home.path, 'search/client-keystone-auth'));
    const env = makeAliceSettings(environment, fixture);
    const run = { cwd: join(fixture.home.path, 'elsewhere') };

    await fixture.writeKubeconfig({ command: './beside/client-keystone-auth', env });
    t.match(
      await fixture.kubectl(GET_PODS_ARGS, run),
      { status: 0, stdout: POD_LINE, stderr: '' },
      'relative to the kubeconfig',
    );
    await fixture.writeKubeconfig({ command: 'client-keystone-auth', env });
    t.match(await fixture.kubectl(GET_PODS_ARGS, run), { status: 0, stdout: POD_LINE, stderr: '' }, 'found in PATH');
    t.equal(fixture.countLogins(), 1);

    const args = ['get-token', '--project-name', 'other'];
    await fixture.writeKubeconfig({ command: 'client-keystone-auth', args, env });
    t.match(
      await fixture.kubectl(GET_PODS_ARGS, run),
      { status: 0, stdout: POD_LINE, stderr: '' },
      'with get-token and flags',
    );
    t.match(fixture.admittedTokens, [{ project: { name: 'demo' } }, { project: { name: 'other' } }]);
    t.equal(fixture.countLogins(), 2);

    await fixture.writeKubeconfig({
      command: 'not-there',
      env,
      installHint: 'npm install --global client-keystone-auth',
    });
    const missing = await fixture.kubectl(GET_PODS_ARGS, run);
    t.not(missing.status, 0);
    t.match(missing.stderr, 'npm install --global client-keystone-auth');
  },
);

testWithKubectl('a user with a second factor gets one prompt for each factor', async (t, environment, program) => {
  const fixture = await setUpKubectl(t, environment, { program });
  const { domain, projects, users } = environment.tenancy;
  const { mfa } = users;
  const env = { OS_AUTH_URL: fixture.keystoneUrl, OS_USERNAME: 'mfa', OS_USER_DOMAIN_NAME: domain.name };
  await fixture.writeKubeconfig({
    command: PLUGIN_PATH,
    env: { ...env, ...onProject(projects.demo, domain) },
    interactiveMode: 'IfAvailable',
  });
  const first = fixture.kubectlOnTerminal(GET_PODS_ARGS);
  await first.waitFor(/\? Password of .* at .*:/);
  first.type(`${mfa.password}\r`);
  await first.waitFor(/\? Passcode of .* at .*:/);
  first.type(`${makeTotpCode(mfa.totpSecret, Date.now())}\r`);
  t.strictSame(await first.ended, { exitCode: 0, signal: undefined }, first.screen());
  t.match(first.screen(), POD_LINE);
  t.strictSame(
    fixture.listKeystoneRequests().map(({ method, status }) => `${method} ${status}`),
    ['POST 401', 'POST 201'],
    'the password was sent once, and the passcode once',
  );
  t.match(fixture.admittedTokens, [{ user: { name: 'mfa' }, methods: ['password', 'totp'] }]);

  const second = fixture.kubectlOnTerminal(GET_PODS_ARGS);
  t.strictSame(await second.ended, { exitCode: 0, signal: undefined }, second.screen());
  t.match(second.screen(), POD_LINE);
  t.notMatch(second.screen(), /Password|Passcode/, 'no prompt appears');
  t.equal(fixture.listKeystoneRequests().length, 2, 'no further request is sent');
});
