// The results of doctor for the cluster of a kubeconfig.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { startStandInApiServer, writeKubeconfig } from '../support/stand-in-api-server.ts';
import { GET_PODS_ARGS, POD_LINE } from '../support/kubectl-fixture.ts';
import { makeAliceSettings, setUpKubectl, testWithKubectl } from '../support/kubectl-fixture.ts';
import type { KubectlFixture } from '../support/kubectl-fixture.ts';
import { checkNoSecretShown, findCheck, kubeconfigPath, listFailedChecks, runDoctor } from '../support/doctor.ts';
import { runDoctorChecks, splitSettings } from '../support/doctor.ts';
import { PLUGIN_COMMAND, PLUGIN_PATH } from '../support/run-plugin.ts';
import { makeEnvironment } from '../support/home.ts';
import type { EnvVars } from '../support/home.ts';
import { openTerminal } from '../support/terminal.ts';
import type { Terminal } from '../support/terminal.ts';

function openDoctor(t: Test, fixture: KubectlFixture, settings: EnvVars): Terminal {
  const [file, ...words] = PLUGIN_COMMAND;
  const env = makeEnvironment(fixture.home, { ...settings, KUBECONFIG: kubeconfigPath(fixture) });
  const terminal = openTerminal({ file, args: [...words, 'doctor'], env, cwd: fixture.home.path, cols: 200 });
  t.teardown(() => terminal.close());
  return terminal;
}

const SUCCESS = { status: 0, stdout: POD_LINE };

testWithKubectl(
  'if everything works, doctor does the same as the plugin that kubectl runs',
  async (t, environment, program) => {
    const fixture = await setUpKubectl(t, environment, { program });
    const { env, shell, args } = splitSettings(environment, fixture);
    await fixture.writeKubeconfig({ command: PLUGIN_PATH, args, env, provideClusterInfo: true });
    t.match(await fixture.kubectl(GET_PODS_ARGS, { env: shell }), SUCCESS);
    const findings = await runDoctorChecks(fixture, shell);
    t.strictSame(
      findings.filter(({ result }) => result !== 'good'),
      [],
    );
    t.match(
      findCheck(findings, 'kubeconfig').found,
      `context test in ${kubeconfigPath(fixture)}: user test at cluster test`,
    );
    t.match(findCheck(findings, 'Keystone URL').found, `${fixture.keystoneUrl} (--keystone-url of the kubeconfig)`);
    t.match(findCheck(findings, 'login').found, 'the cache holds a token');
    t.match(findCheck(findings, 'command').found, PLUGIN_PATH);
    t.match(findCheck(findings, 'TLS of the cluster').found, /expires in \d+ d/);
    t.equal(findCheck(findings, 'API server').found, 'authenticates you as alice, in demo-admins');
    t.equal(fixture.admittedTokens.length, 1, 'the same token as for kubectl');

    // The stanza alone sets no password. A flag of doctor overrides the settings of the stanza.
    const without = await runDoctorChecks(fixture, {});
    t.equal(findCheck(without, 'API server').result, 'good', 'a cached token needs no password');
    t.match(findCheck(without, 'settings').found, 'with the settings of the kubeconfig');
    const elsewhere = await runDoctorChecks(fixture, shell, ['--keystone-url=http://127.0.0.1:1/v3']);
    t.match(findCheck(elsewhere, 'API server'), { result: 'skipped', found: 'not checked, because of "TCP"' });

    for (const output of [[], ['-o', 'json'], ['-o', 'yaml']]) {
      for (const level of ['-v', '-vvv']) {
        const result = await runDoctor(fixture, [level, ...output], shell);
        t.equal(result.status, 0, result.stdout);
        checkNoSecretShown(t, environment, result);
      }
    }
  },
  ['new'],
);

testWithKubectl(
  'doctor explains that a cluster does not know the tokens of Keystone, or rejects this one',
  async (t, environment, program) => {
    let responses = Promise.resolve(undefined);
    const authenticate = (): Promise<undefined> => responses;
    const fixture = await setUpKubectl(t, environment, { program, authenticate });
    const { env, shell, args } = splitSettings(environment, fixture);
    await fixture.writeKubeconfig({ command: PLUGIN_PATH, args, env });
    t.match(await fixture.kubectl(GET_PODS_ARGS, { env: shell }), {
      status: 1,
      stderr: /Unauthorized|must be logged in/,
    });
    const result = await runDoctor(fixture, [], shell);
    t.equal(result.status, 5);
    t.match(result.stdout, /✗ API server +answers 401 to the token: the cluster does not know Keystone's tokens/);
    t.match(result.stdout, /→ ask the administrator .*--authentication-token-webhook-config-file/);
    checkNoSecretShown(t, environment, result);

    const terminal = openDoctor(t, fixture, shell);
    responses = terminal.waitFor('checking: API server').then(() => undefined);
    t.equal((await terminal.ended).exitCode, 5, 'a slow check is named while it runs');

    const unscoped = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('OS_PROJECT')));
    await fixture.writeKubeconfig({ command: PLUGIN_PATH, args, env: unscoped });
    const none = await runDoctorChecks(fixture, shell);
    t.strictSame(listFailedChecks(none), ['API server']);
    t.match(findCheck(none, 'API server'), {
      found: 'has no scope, which k8s-keystone-auth rejects',
      fix: 'OS_PROJECT_NAME',
    });
  },
  ['new'],
);

testWithKubectl(
  'doctor knows older clusters, and explains that a certificate authority is not trusted',
  async (t, environment, program) => {
    for (const [selfSubjectReviewVersions, found] of [
      [['v1beta1', 'v1alpha1'], 'authenticates you as alice, in demo-admins'],
      [['v1alpha1'], 'authenticates you as alice, in demo-admins'],
      [[], 'authenticates you as alice'],
    ] as const) {
      const fixture = await setUpKubectl(t, environment, { program, selfSubjectReviewVersions });
      const { env, shell, args } = splitSettings(environment, fixture);
      await fixture.writeKubeconfig({ command: PLUGIN_PATH, args, env });
      const findings = await runDoctorChecks(fixture, shell);
      t.match(findCheck(findings, 'API server'), { result: 'good', found });
      if (selfSubjectReviewVersions.length > 0) continue;
      await writeKubeconfig({
        path: kubeconfigPath(fixture),
        server: fixture.api.url,
        ca: environment.pki.untrusted.ca,
        command: PLUGIN_PATH,
        args,
        env,
      });
      const before = fixture.api.requests.length;
      const wrong = await runDoctorChecks(fixture, shell);
      t.strictSame(listFailedChecks(wrong), ['TLS of the cluster']);
      t.match(findCheck(wrong, 'TLS of the cluster').found, /not trusted \(the certificate of .+, issued by .+\)/);
      t.match(
        findCheck(wrong, 'TLS of the cluster').fix,
        `certificate-authority-data) of cluster test in ${kubeconfigPath(fixture)}`,
      );
      t.equal(fixture.api.requests.length, before, 'no token is sent to such a server');
    }
  },
  ['new'],
);

testWithKubectl(
  'doctor sends no token to clusters of other programs, reads lists of files, and shows progress on a terminal',
  async (t, environment, program) => {
    const fixture = await setUpKubectl(t, environment, { program });
    const settings = makeAliceSettings(environment, fixture);
    const { env, args } = splitSettings(environment, fixture);
    const other = join(fixture.home.path, 'other');
    const users = [{ name: 'test', user: { token: 'canary-static-token' } }];
    await fixture.writeKubeconfig({ command: PLUGIN_PATH, args, env });
    const config = JSON.parse(readFileSync(kubeconfigPath(fixture), 'utf8')) as { users: unknown };
    writeFileSync(other, JSON.stringify({ ...config, users }));
    const findings = await runDoctorChecks(fixture, { ...settings, KUBECONFIG: other });
    t.match(findCheck(findings, 'kubeconfig'), { result: 'doubtful', found: 'logs in with a token in the kubeconfig' });
    t.match(findCheck(findings, 'login').result, 'good');
    t.match(findCheck(findings, 'API server'), { result: 'skipped', found: 'not checked, because of "kubeconfig"' });
    t.strictSame(fixture.api.requests, [], 'no request to that cluster');
    const old = [{ name: 'test', user: { 'auth-provider': { name: 'openstack' } } }];
    writeFileSync(kubeconfigPath(fixture), JSON.stringify({ ...config, users: old }));
    t.match(await fixture.kubectl(GET_PODS_ARGS, { env: settings }), { status: 1, stderr: /auth provider/i });
    t.match(findCheck(await runDoctorChecks(fixture, settings), 'kubeconfig'), {
      result: 'bad',
      fix: 'kubeconfig convert',
    });
    await fixture.writeKubeconfig({ command: PLUGIN_PATH, args, env });

    const first = join(fixture.home.path, 'first');
    writeFileSync(first, 'apiVersion: v1\nkind: Config\n# nothing yet\ncurrent-context: ""\n');
    const nowhere = join(fixture.home.path, 'no-such-file');
    const listed = await runDoctorChecks(fixture, {
      ...settings,
      KUBECONFIG: [nowhere, first, kubeconfigPath(fixture)].join(':'),
    });
    t.equal(findCheck(listed, 'API server').result, 'good');
    const named = await runDoctorChecks(fixture, { ...settings, KUBECONFIG: nowhere }, [
      '--kubeconfig',
      kubeconfigPath(fixture),
      '--context=no',
    ]);
    t.match(findCheck(named, 'kubeconfig'), { result: 'bad', found: 'there is no context "no"' });
    const none = await runDoctorChecks(fixture, { ...settings, KUBECONFIG: nowhere });
    t.match(findCheck(none, 'kubeconfig'), {
      result: 'doubtful',
      found: 'no kubeconfig was found',
      fix: 'kubeconfig add',
    });
    writeFileSync(first, 'users: [}\n# canary-static-token');
    const broken = await runDoctor(fixture, [], { ...settings, KUBECONFIG: first });
    t.match(broken, { status: 3, stdout: /✗ kubeconfig +.*first is not valid YAML: line 1 cannot be parsed/ });
    t.notMatch(broken.stdout, 'canary');

    const terminal = openDoctor(t, fixture, settings);
    t.equal((await terminal.ended).exitCode, 0);
    t.match(terminal.raw(), '\u001b[32m✓\u001b[39m API server');
  },
  ['new'],
);

testWithKubectl(
  'doctor escapes and redacts the responses of a hostile API server',
  async (t, environment, program) => {
    const fixture = await setUpKubectl(t, environment, { program });
    const { env, shell, args } = splitSettings(environment, fixture);
    const api = await startStandInApiServer({
      ...environment.pki.server,
      authenticate: (token) => Promise.resolve(`\u001b[2J${token}\u202e`),
    });
    t.teardown(() => api.close());
    await writeKubeconfig({
      path: kubeconfigPath(fixture),
      server: api.url,
      ca: environment.pki.ca,
      command: PLUGIN_PATH,
      args,
      env,
    });
    for (const output of ['text', 'json', 'yaml']) {
      const result = await runDoctor(fixture, ['-vvv', '-o', output], shell);
      checkNoSecretShown(t, environment, result);
      t.match(result.stdout, '[redacted]', output);
      t.notMatch(result.stdout, /[^\P{C}\n]|[\u2028\u2029]/u, 'no control characters');
    }
  },
  ['new'],
);
