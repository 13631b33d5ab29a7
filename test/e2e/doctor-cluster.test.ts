// What doctor says of the cluster that a kubeconfig leads to.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { startStandInApiServer, writeKubeconfig } from '../support/stand-in-api-server.ts';
import {
  POD_LINE,
  GET_PODS_ARGS,
  makeAliceSettings,
  setUpKubectl,
  testWithKubectl,
} from '../support/kubectl-fixture.ts';
import type { KubectlFixture, EnvVars } from '../support/kubectl-fixture.ts';
import {
  checkNoSecretShown,
  runDoctor,
  runDoctorChecks,
  listFailedChecks,
  kubeconfigPath,
  findCheck,
  splitSettings,
} from '../support/doctor.ts';
import { PLUGIN_COMMAND, makeEnvironment, PLUGIN_PATH } from '../support/run-plugin.ts';
import { openTerminal } from '../support/terminal.ts';
import type { Terminal } from '../support/terminal.ts';

t.setTimeout(170_000);

function openDoctor(t: Test, desk: KubectlFixture, settings: EnvVars): Terminal {
  const [file, ...words] = PLUGIN_COMMAND;
  const env = makeEnvironment(desk.home, { ...settings, KUBECONFIG: kubeconfigPath(desk) });
  const terminal = openTerminal({ file, args: [...words, 'doctor'], env, cwd: desk.home.path, cols: 200 });
  t.teardown(() => terminal.close());
  return terminal;
}

const isUs = { status: 0, stdout: POD_LINE };

testWithKubectl(
  'all is well: doctor does what kubectl has the plugin do',
  async (t, world, program) => {
    const desk = await setUpKubectl(t, world, { program });
    const { env, shell, args } = splitSettings(world, desk);
    await desk.writeKubeconfig({ command: PLUGIN_PATH, args, env, provideClusterInfo: true });
    t.match(await desk.kubectl(GET_PODS_ARGS, { env: shell }), isUs);
    const findings = await runDoctorChecks(desk, shell);
    t.strictSame(
      findings.filter(({ result }) => result !== 'good'),
      [],
    );
    t.match(
      findCheck(findings, 'kubeconfig').found,
      `context test in ${kubeconfigPath(desk)}: user test at cluster test`,
    );
    t.match(findCheck(findings, 'Keystone URL').found, `${desk.keystoneUrl} (--keystone-url of the kubeconfig)`);
    t.match(findCheck(findings, 'login').found, 'the cache holds a token');
    t.match(findCheck(findings, 'command').found, PLUGIN_PATH);
    t.match(findCheck(findings, 'TLS of the cluster').found, /ends in \d+ d/);
    t.equal(findCheck(findings, 'API server').found, 'takes you for alice, in demo-admins');
    t.equal(desk.admittedTokens.length, 1, 'it is the token that kubectl had');

    // With the stanza's settings alone there is no password; the flag of doctor is stronger than they are.
    const without = await runDoctorChecks(desk, {});
    t.equal(findCheck(without, 'API server').result, 'good', 'a token that is kept needs none');
    t.match(findCheck(without, 'settings').found, 'with what the kubeconfig sets');
    const elsewhere = await runDoctorChecks(desk, shell, ['--keystone-url=http://127.0.0.1:1/v3']);
    t.match(findCheck(elsewhere, 'API server'), { result: 'skipped', found: 'not checked, because of "TCP"' });

    for (const output of [[], ['-o', 'json'], ['-o', 'yaml']]) {
      for (const level of ['-v', '-vvv']) {
        const ran = await runDoctor(desk, [level, ...output], shell);
        t.equal(ran.status, 0, ran.stdout);
        checkNoSecretShown(t, world, ran);
      }
    }
  },
  ['new'],
);

testWithKubectl(
  'a cluster that knows no tokens of Keystone, or not this one',
  async (t, world, program) => {
    let patience = 0;
    const authenticate = (): Promise<undefined> => sleep(patience);
    const desk = await setUpKubectl(t, world, { program, authenticate });
    const { env, shell, args } = splitSettings(world, desk);
    await desk.writeKubeconfig({ command: PLUGIN_PATH, args, env });
    t.match(await desk.kubectl(GET_PODS_ARGS, { env: shell }), { status: 1, stderr: /Unauthorized|must be logged in/ });
    const ran = await runDoctor(desk, [], shell);
    t.equal(ran.status, 5);
    t.match(ran.stdout, /✗ API server +answers 401 to the token: the cluster does not know Keystone's tokens/);
    t.match(ran.stdout, /→ ask the administrator .*--authentication-token-webhook-config-file/);
    checkNoSecretShown(t, world, ran);

    patience = 2_000;
    const terminal = openDoctor(t, desk, shell);
    await terminal.waitFor('checking: API server');
    t.equal((await terminal.ended).exitCode, 5, 'what takes its time is named meanwhile');
    patience = 0;

    const unscoped = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('OS_PROJECT')));
    await desk.writeKubeconfig({ command: PLUGIN_PATH, args, env: unscoped });
    const none = await runDoctorChecks(desk, shell);
    t.strictSame(listFailedChecks(none), ['API server']);
    t.match(findCheck(none, 'API server'), {
      found: 'has no scope, which k8s-keystone-auth refuses',
      fix: 'OS_PROJECT_NAME',
    });
  },
  ['new'],
);

testWithKubectl(
  'older clusters, and one of another authority',
  async (t, world, program) => {
    for (const [selfSubjectReviewVersions, found] of [
      [['v1beta1', 'v1alpha1'], 'takes you for alice, in demo-admins'],
      [['v1alpha1'], 'takes you for alice, in demo-admins'],
      [[], 'takes you for alice'],
    ] as const) {
      const desk = await setUpKubectl(t, world, { program, selfSubjectReviewVersions });
      const { env, shell, args } = splitSettings(world, desk);
      await desk.writeKubeconfig({ command: PLUGIN_PATH, args, env });
      const findings = await runDoctorChecks(desk, shell);
      t.match(findCheck(findings, 'API server'), { result: 'good', found });
      if (selfSubjectReviewVersions.length > 0) continue;
      await writeKubeconfig({
        path: kubeconfigPath(desk),
        server: desk.api.url,
        ca: world.pki.untrusted.ca,
        command: PLUGIN_PATH,
        args,
        env,
      });
      const before = desk.api.requests.length;
      const wrong = await runDoctorChecks(desk, shell);
      t.strictSame(listFailedChecks(wrong), ['TLS of the cluster']);
      t.match(findCheck(wrong, 'TLS of the cluster').found, /not trusted \(the certificate of .+, issued by .+\)/);
      t.match(
        findCheck(wrong, 'TLS of the cluster').fix,
        `certificate-authority-data) of cluster test in ${kubeconfigPath(desk)}`,
      );
      t.equal(desk.api.requests.length, before, 'such a server gets no token');
    }
  },
  ['new'],
);

testWithKubectl(
  'contexts that are not ours get no token; lists of files; progress on a terminal',
  async (t, world, program) => {
    const desk = await setUpKubectl(t, world, { program });
    const settings = makeAliceSettings(world, desk);
    const { env, args } = splitSettings(world, desk);
    const other = join(desk.home.path, 'other');
    const users = [{ name: 'test', user: { token: 'canary-static-token' } }];
    await desk.writeKubeconfig({ command: PLUGIN_PATH, args, env });
    const config = JSON.parse(readFileSync(kubeconfigPath(desk), 'utf8')) as { users: unknown };
    writeFileSync(other, JSON.stringify({ ...config, users }));
    const findings = await runDoctorChecks(desk, { ...settings, KUBECONFIG: other });
    t.match(findCheck(findings, 'kubeconfig'), { result: 'doubtful', found: 'logs in with a token that stands there' });
    t.match(findCheck(findings, 'login').result, 'good');
    t.match(findCheck(findings, 'API server'), { result: 'skipped', found: 'not checked, because of "kubeconfig"' });
    t.strictSame(desk.api.requests, [], 'nothing is sent there');
    const old = [{ name: 'test', user: { 'auth-provider': { name: 'openstack' } } }];
    writeFileSync(kubeconfigPath(desk), JSON.stringify({ ...config, users: old }));
    t.match(await desk.kubectl(GET_PODS_ARGS, { env: settings }), { status: 1, stderr: /auth provider/i });
    t.match(findCheck(await runDoctorChecks(desk, settings), 'kubeconfig'), {
      result: 'bad',
      fix: 'kubeconfig convert',
    });
    await desk.writeKubeconfig({ command: PLUGIN_PATH, args, env });

    const first = join(desk.home.path, 'first');
    writeFileSync(first, 'apiVersion: v1\nkind: Config\n# nothing yet\ncurrent-context: ""\n');
    const nowhere = join(desk.home.path, 'no-such-file');
    const listed = await runDoctorChecks(desk, {
      ...settings,
      KUBECONFIG: [nowhere, first, kubeconfigPath(desk)].join(':'),
    });
    t.equal(findCheck(listed, 'API server').result, 'good');
    const named = await runDoctorChecks(desk, { ...settings, KUBECONFIG: nowhere }, [
      '--kubeconfig',
      kubeconfigPath(desk),
      '--context=no',
    ]);
    t.match(findCheck(named, 'kubeconfig'), { result: 'bad', found: 'there is no context "no"' });
    const none = await runDoctorChecks(desk, { ...settings, KUBECONFIG: nowhere });
    t.match(findCheck(none, 'kubeconfig'), { result: 'doubtful', found: 'there is none', fix: 'kubeconfig add' });
    writeFileSync(first, 'users: [}\n# canary-static-token');
    const broken = await runDoctor(desk, [], { ...settings, KUBECONFIG: first });
    t.match(broken, { status: 3, stdout: /✗ kubeconfig +.*first is not valid YAML: line 1 cannot be parsed/ });
    t.notMatch(broken.stdout, 'canary');

    const terminal = openDoctor(t, desk, settings);
    t.equal((await terminal.ended).exitCode, 0);
    t.match(terminal.raw(), '\u001b[32m✓\u001b[39m API server');
  },
  ['new'],
);

testWithKubectl(
  'what a hostile API server says',
  async (t, world, program) => {
    const desk = await setUpKubectl(t, world, { program });
    const { env, shell, args } = splitSettings(world, desk);
    const api = await startStandInApiServer({
      ...world.pki.server,
      authenticate: (token) => Promise.resolve(`\u001b[2J${token}\u202e`),
    });
    t.teardown(() => api.close());
    await writeKubeconfig({
      path: kubeconfigPath(desk),
      server: api.url,
      ca: world.pki.ca,
      command: PLUGIN_PATH,
      args,
      env,
    });
    for (const output of ['text', 'json', 'yaml']) {
      const ran = await runDoctor(desk, ['-vvv', '-o', output], shell);
      checkNoSecretShown(t, world, ran);
      t.match(ran.stdout, '[redacted]', output);
      t.notMatch(ran.stdout, /[^\P{C}\n]|[\u2028\u2029]/u, 'nothing that a terminal obeys');
    }
  },
  ['new'],
);
