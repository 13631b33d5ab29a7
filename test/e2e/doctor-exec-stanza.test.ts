// The results of doctor for the exec stanza of a kubeconfig, compared with those of a real kubectl.

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeKubeconfig } from '../support/stand-in-api-server.ts';
import { POD_LINE, GET_PODS_ARGS, setUpKubectl, testWithKubectl } from '../support/kubectl-fixture.ts';
import { runDoctorChecks, listFailedChecks, kubeconfigPath, findCheck, splitSettings } from '../support/doctor.ts';
import { PLUGIN_PATH } from '../support/run-plugin.ts';

const SUCCESS = { status: 0, stdout: POD_LINE };

testWithKubectl(
  'doctor finds what is wrong with the stanzas that kubectl rejects',
  async (t, environment, program) => {
    const fixture = await setUpKubectl(t, environment, { program });
    const { env, shell, args } = splitSettings(environment, fixture);
    const cases = [
      [{ apiVersion: 'client.authentication.k8s.io/v1alpha1' }, 'exec section', /v1alpha1, which kubectl rejects/],
      [{ interactiveMode: null }, 'exec section', /interactiveMode is not set, which kubectl rejects/],
      [
        { command: join(fixture.home.path, 'nowhere', 'client-keystone-auth') },
        'command',
        /does not exist or is not executable/,
      ],
      [{ command: './bin/client-keystone-auth' }, 'command', /\/bin\/client-keystone-auth does not exist/],
      [{ command: 'client-keystone-auth' }, 'command', /client-keystone-auth is not on the PATH/],
    ] as const;
    for (const [changes, check, found] of cases) {
      await fixture.writeKubeconfig({ command: PLUGIN_PATH, args, env, ...changes });
      const kubectlRun = await fixture.kubectl(GET_PODS_ARGS, { env: shell });
      t.not(kubectlRun.status, 0, `kubectl fails: ${JSON.stringify(changes)}`);
      const findings = await runDoctorChecks(fixture, shell);
      t.strictSame(listFailedChecks(findings), [check]);
      t.match(findCheck(findings, check).found, found);
      t.equal(findCheck(findings, 'API server').result, 'good', 'the other checks still run');
    }
    mkdirSync(join(fixture.home.path, 'search'));
    symlinkSync(PLUGIN_PATH, join(fixture.home.path, 'search', 'client-keystone-auth'));
    t.match(await fixture.kubectl(GET_PODS_ARGS, { env: shell }), SUCCESS);
    t.match(findCheck(await runDoctorChecks(fixture, shell), 'command'), {
      result: 'good',
      found: join('search', 'client-keystone-auth'),
    });
    await fixture.writeKubeconfig({ command: PLUGIN_PATH, args, env, interactiveMode: 'Always' });
    t.match(findCheck(await runDoctorChecks(fixture, shell), 'exec section'), {
      result: 'doubtful',
      fix: 'IfAvailable',
    });
    const many = join(fixture.home.path, 'many.pem');
    writeFileSync(many, readFileSync(environment.pki.ca, 'utf8').repeat(200));
    const place = { path: kubeconfigPath(fixture), server: fixture.api.url, ca: many };
    await writeKubeconfig({ ...place, command: PLUGIN_PATH, args, env, provideClusterInfo: true });
    t.match((await fixture.kubectl(GET_PODS_ARGS, { env: shell })).stderr, 'argument list too long');
    t.match(findCheck(await runDoctorChecks(fixture, shell), 'exec section'), {
      result: 'bad',
      fix: 'provideClusterInfo: false',
    });
    await fixture.writeKubeconfig({ command: PLUGIN_PATH, args: [...args, '--no-such'], env });
    t.not((await fixture.kubectl(GET_PODS_ARGS, { env: shell })).status, 0);
    t.match(findCheck(await runDoctorChecks(fixture, shell), 'settings'), {
      result: 'bad',
      found: 'unknown option --no-such',
    });
  },
  ['new'],
);

testWithKubectl(
  'doctor finds the programs that kuberc forbids',
  async (t, environment, program) => {
    const fixture = await setUpKubectl(t, environment, { program });
    const { env, shell, args } = splitSettings(environment, fixture);
    mkdirSync(join(fixture.home.path, 'search'));
    const link = join(fixture.home.path, 'search', 'client-keystone-auth');
    symlinkSync(PLUGIN_PATH, link);
    await fixture.writeKubeconfig({ command: 'client-keystone-auth', args, env });
    const kuberc = join(fixture.home.path, 'kuberc');
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
      [list(PLUGIN_PATH), false],
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
      const kubectlRun = await fixture.kubectl(GET_PODS_ARGS, { env: { ...shell, KUBERC: kuberc } });
      t.equal(kubectlRun.status === 0, allowed, `kubectl: ${what}: ${kubectlRun.stderr}`);
      const { result, found } = findCheck(await runDoctorChecks(fixture, { ...shell, KUBERC: kuberc }), 'kuberc');
      t.equal(result, allowed ? 'good' : 'bad', `doctor: ${what}: ${found}`);
      t.match(found, kuberc);
    }
    t.match(
      findCheck(await runDoctorChecks(fixture, { ...shell, KUBERC: 'off' }), 'kuberc').found,
      'no kuberc file was found',
    );
  },
  ['new'],
);
