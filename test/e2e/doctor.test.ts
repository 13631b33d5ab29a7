// What doctor says of the cluster that a kubeconfig leads to.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { startApiServer, writeKubeconfig } from '../support/api-server.ts';
import { A_POD, GET_PODS, settingsOf, sitDown, testWithKubectl } from '../support/fixture.ts';
import type { Desk, Settings } from '../support/fixture.ts';
import { checkNoSecret, doctor, examine, failed, fileOf, find, split } from '../support/doctor.ts';
import { COMMAND, makeEnvironment, PLUGIN } from '../support/plugin.ts';
import { openTerminal } from '../support/terminal.ts';
import type { Terminal } from '../support/terminal.ts';

t.setTimeout(170_000);

function openDoctor(t: Test, desk: Desk, settings: Settings): Terminal {
  const [file, ...words] = COMMAND;
  const env = makeEnvironment(desk.home, { ...settings, KUBECONFIG: fileOf(desk) });
  const terminal = openTerminal({ file, args: [...words, 'doctor'], env, cwd: desk.home.path, cols: 200 });
  t.teardown(() => terminal.close());
  return terminal;
}

const isUs = { status: 0, stdout: A_POD };

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
    t.match(find(without, 'settings').found, 'with what the kubeconfig sets');
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
    let patience = 0;
    const authenticate = (): Promise<undefined> => sleep(patience);
    const desk = await sitDown(t, world, { program, authenticate });
    const { env, shell, args } = split(world, desk);
    await desk.configure({ command: PLUGIN, args, env });
    t.match(await desk.kubectl(GET_PODS, { env: shell }), { status: 1, stderr: /Unauthorized|must be logged in/ });
    const ran = await doctor(desk, [], shell);
    t.equal(ran.status, 5);
    t.match(ran.stdout, /✗ API server +answers 401 to the token: the cluster does not know Keystone's tokens/);
    t.match(ran.stdout, /→ ask the administrator .*--authentication-token-webhook-config-file/);
    checkNoSecret(t, world, ran);

    patience = 2_000;
    const terminal = openDoctor(t, desk, shell);
    await terminal.waitFor('checking: API server');
    t.equal((await terminal.ended).exitCode, 5, 'what takes its time is named meanwhile');
    patience = 0;

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
    const old = [{ name: 'test', user: { 'auth-provider': { name: 'openstack' } } }];
    writeFileSync(fileOf(desk), JSON.stringify({ ...config, users: old }));
    t.match(await desk.kubectl(GET_PODS, { env: settings }), { status: 1, stderr: /auth provider/i });
    t.match(find(await examine(desk, settings), 'kubeconfig'), { result: 'bad', fix: 'kubeconfig convert' });
    await desk.configure({ command: PLUGIN, args, env });

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
    t.match(broken, { status: 3, stdout: /✗ kubeconfig +.*first is not YAML: line 1 cannot be understood/ });
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
