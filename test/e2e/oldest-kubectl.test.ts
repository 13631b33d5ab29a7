// kubectl 1.20 knows only v1beta1 of the exec API, neither interactiveMode nor a word about the terminal. A kubeconfig that
// the plugin writes for it logs in, with prompts too, and works with a new kubectl.

import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import type { Test } from 'tap';
import { APPLY_ARGS, CONFIG_MAP_MANIFEST, GET_PODS_ARGS, POD_LINE } from '../support/kubectl-fixture.ts';
import { makeAliceSettings, setUpKubectl, testWithKubectl } from '../support/kubectl-fixture.ts';
import type { KubectlFixture } from '../support/kubectl-fixture.ts';
import { requireOldestKubectl } from '../support/missing-tools.ts';
import { PLUGIN_PATH, runPlugin } from '../support/run-plugin.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

interface OldKubectlFixture {
  readonly kubectl: KubectlFixture;
  readonly settings: Record<string, string>;
  readonly password: string;
  readonly stanza: () => string;
  readonly kubeconfig: (...args: readonly string[]) => Promise<RunResult>;
}

/** A user with a cluster in the kubeconfig and the plugin on the PATH. */
async function setUp(t: Test, environment: TestEnvironment, program: string): Promise<OldKubectlFixture> {
  const kubectl = await setUpKubectl(t, environment, { program });
  const search = join(kubectl.home.path, 'search');
  mkdirSync(search);
  symlinkSync(PLUGIN_PATH, join(search, 'client-keystone-auth'));
  const file = join(kubectl.home.path, 'kubeconfig');
  const settings = makeAliceSettings(environment, kubectl);
  const { OS_PASSWORD: password = '' } = settings;
  const kubeconfig = (...args: readonly string[]): Promise<RunResult> =>
    runPlugin({
      home: kubectl.home,
      args: ['kubeconfig', ...args, '--kubeconfig', file],
      env: { ...settings, PATH: `${search}:${process.env['PATH'] ?? ''}` },
    });
  const cluster = ['--cluster', 'demo', '--server', kubectl.api.url, '--certificate-authority', environment.pki.ca];
  t.match(await kubeconfig('add', '--exec-api-version', 'v1beta1', ...cluster), { status: 0, stderr: '' });
  return { kubectl, settings, password, stanza: () => readFileSync(file, 'utf8'), kubeconfig };
}

const oldest = await requireOldestKubectl();

function testWithOldestKubectl(name: string, body: (t: Test, fixture: OldKubectlFixture) => Promise<void>): void {
  if ('missing' in oldest) void test(name, { skip: oldest.missing }, () => undefined);
  else {
    testWithKeystone(`${name} (kubectl ${oldest.version})`, async (t, environment) =>
      body(t, await setUp(t, environment, oldest.path)),
    );
  }
}

testWithOldestKubectl('a stanza of v1beta1 logs in, and one of v1 does not', async (t, fixture) => {
  const { kubectl, password, stanza, kubeconfig } = fixture;
  t.match(stanza(), /apiVersion: client\.authentication\.k8s\.io\/v1beta1\n/);
  t.notMatch(stanza(), /interactiveMode/);
  const run = { env: { OS_PASSWORD: password } };
  t.match(await kubectl.kubectl(GET_PODS_ARGS, run), { status: 0, stdout: POD_LINE, stderr: '' });
  t.match(await kubectl.kubectl(GET_PODS_ARGS, run), { status: 0, stdout: POD_LINE, stderr: '' });
  t.equal(kubectl.countLogins(), 1, 'the second command uses the token of the first');

  t.match(await kubeconfig('convert', '--all'), { status: 0, stdout: /No user had to be/ });
  t.match(await kubeconfig('add', '--name', 'demo-keystone', '--cluster', 'demo'), { status: 0 });
  t.match(await kubectl.kubectl(GET_PODS_ARGS, run), { status: 0, stdout: POD_LINE }, 'it can be added again');
  t.match(await kubeconfig('convert', '--all', '--exec-api-version', 'v1'), { stdout: /Converted: demo-keystone/ });
  t.match(await kubectl.kubectl(GET_PODS_ARGS, run), { status: 1, stderr: /invalid apiVersion ".*\/v1"/ });
  const name = 'client.authentication.k8s.io/v1beta1';
  t.match(await kubeconfig('convert', 'demo-keystone', '--exec-api-version', name), { status: 0 });
  t.match(await kubectl.kubectl(GET_PODS_ARGS, run), { status: 0, stdout: POD_LINE });
});

testWithOldestKubectl('the plugin prompts on the terminal', async (t, { kubectl, password }) => {
  const terminal = kubectl.kubectlOnTerminal(GET_PODS_ARGS);
  await terminal.waitFor(/password/i);
  terminal.type(`${password}\r`);
  t.equal((await terminal.ended).exitCode, 0, terminal.screen());
  t.match(terminal.screen(), POD_LINE);

  const apply = kubectl.kubectlOnTerminal(APPLY_ARGS, { input: CONFIG_MAP_MANIFEST });
  t.equal((await apply.ended).exitCode, 0, apply.screen());
  t.equal(kubectl.countLogins(), 1);
});

testWithOldestKubectl('without a terminal, the plugin says what is missing', async (t, { kubectl }) => {
  const result = await kubectl.kubectl(GET_PODS_ARGS);
  t.match(result, {
    status: 1,
    stdout: '',
    stderr: /^client-keystone-auth: password is not set and there is no terminal to prompt on/,
  });
});

testWithKubectl('a new kubectl accepts the stanza for kubectl 1.20', async (t, environment, program) => {
  const { kubectl, password } = await setUp(t, environment, program);
  const run = { env: { OS_PASSWORD: password } };
  t.match(await kubectl.kubectl(GET_PODS_ARGS, run), { status: 0, stdout: POD_LINE, stderr: '' });
});
