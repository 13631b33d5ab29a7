// The API version of the exec stanza that the kubeconfig commands write.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { runInProcess } from '../support/run-in-process.ts';
import type { CommandOutput } from '../support/run-in-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'cka-stanza-versions-'));
t.teardown(() => {
  rmSync(folder, { recursive: true, force: true });
});
const file = join(folder, 'config');
const LOGIN = { OS_AUTH_URL: 'https://keystone.test/v3', OS_USERNAME: 'alice', OS_PROJECT_NAME: 'demo' };

const run = (...argv: readonly string[]): Promise<CommandOutput> =>
  runInProcess({ argv: ['kubeconfig', ...argv, '--kubeconfig', file], env: LOGIN });

const add = (...argv: readonly string[]): Promise<CommandOutput> => {
  writeFileSync(file, 'apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: "https://c.test"}}]\n');
  return run('add', ...argv);
};

const readStanza = (): readonly [version: string | undefined, mode: string | undefined] => {
  const text = readFileSync(file, 'utf8');
  return [
    /apiVersion"?: "?client\.authentication\.k8s\.io\/(\w+)/.exec(text)?.[1],
    /interactiveMode"?: "?(\w+)/.exec(text)?.[1],
  ];
};

void t.test('add writes the version that is asked for, by its short or whole name', async (t) => {
  for (const [version, args] of [
    ['v1', []],
    ['v1', ['--exec-api-version', 'v1']],
    ['v1', ['--exec-api-version=client.authentication.k8s.io/v1']],
    ['v1beta1', ['--exec-api-version', 'v1beta1']],
    ['v1beta1', ['--exec-api-version=client.authentication.k8s.io/v1beta1']],
  ] as const) {
    t.match(await add(...args), { status: 0 });
    t.strictSame(readStanza(), [version, version === 'v1' ? 'IfAvailable' : undefined], args.join(' '));
  }
});

void t.test('another version is an error that names the option, and nothing is written', async (t) => {
  for (const version of ['v1alpha1', 'v2', 'V1', 'example.com/v1']) {
    const result = await add('--exec-api-version', version);
    t.match(result, { status: 2, stdout: '', stderr: `--exec-api-version must be v1 or v1beta1, not "${version}"` });
    t.strictSame(readStanza(), [undefined, undefined]);
  }
});

void t.test(
  'convert changes a stanza to the version that is asked for, and keeps how it uses the terminal',
  async (t) => {
    const to = (version: string): readonly string[] => ['--exec-api-version', version];
    await add(...to('v1beta1'));
    t.match(await run('convert', '--all', ...to('v1beta1')), { status: 0, stdout: /No user had to be converted/ });
    t.match(await run('convert', '--all', ...to('v1')), { status: 0, stdout: /Converted: c-keystone/ });
    t.strictSame(readStanza(), ['v1', 'IfAvailable']);
    t.match(await run('convert', '--all', ...to('v1')), { status: 0, stdout: /No user had to be converted/ });
    writeFileSync(file, readFileSync(file, 'utf8').replace('IfAvailable', 'Never'));
    t.match(await run('convert', 'c-keystone', ...to('v1beta1')), { status: 0, stdout: /Converted: c-keystone/ });
    t.strictSame(readStanza(), ['v1beta1', 'Never']);
  },
);

const exec = (version: string, rest: string): string =>
  `exec: {apiVersion: client.authentication.k8s.io/${version}, ${rest}}`;

const PLUGIN = 'command: client-keystone-auth';
const MAGNUM = "command: /bin/bash, args: ['-c', 'echo $OS_TOKEN']";

void t.test('convert and add write no version that the kubectl of the old login does not know', async (t) => {
  const table: readonly (readonly [user: string, version: string, mode: string | undefined])[] = [
    [exec('v1alpha1', PLUGIN), 'v1beta1', undefined],
    [exec('v1beta1', PLUGIN), 'v1beta1', undefined],
    [exec('v1beta1', `${PLUGIN}, args: [--user-name=a], interactiveMode: Never`), 'v1beta1', 'Never'],
    [exec('v1', PLUGIN), 'v1', 'IfAvailable'],
    [exec('v1alpha1', MAGNUM), 'v1beta1', undefined],
    [exec('v1beta1', MAGNUM), 'v1beta1', undefined],
    [exec('v1', `${MAGNUM}, interactiveMode: Never`), 'v1', 'Never'],
    ['auth-provider: {name: openstack}', 'v1beta1', undefined],
  ];
  for (const [user, version, mode] of table) {
    for (const asked of [undefined, 'v1', 'v1beta1']) {
      writeFileSync(file, `users: [{name: u, user: {${user}}}]\n`);
      const option = asked === undefined ? [] : ['--exec-api-version', asked];
      t.match(await run('convert', '--all', ...option), { status: 0, stdout: /Converted: u/ }, user);
      const [written, writtenMode] = readStanza();
      t.equal(written, asked ?? version, `${user} to ${String(asked)}`);
      if (asked === undefined) t.equal(writtenMode, mode, user);
      t.match(await run('convert', '--all'), { status: 0, stdout: /No user had to be converted/ }, 'it stays');
    }
  }
  for (const [old, version] of [
    ['v1alpha1', 'v1beta1'],
    ['v1beta1', 'v1beta1'],
    ['v1', 'v1'],
  ] as const) {
    await add();
    writeFileSync(file, readFileSync(file, 'utf8').replace('k8s.io/v1', `k8s.io/${old}`));
    t.match(await run('add', '--project-name=other'), { status: 0 });
    t.equal(readStanza()[0], version, `add in place of ${old}`);
  }
});

void t.test('a stanza of v1beta1 is up to date', async (t) => {
  await add('--exec-api-version', 'v1beta1');
  t.match(await run('show'), { status: 0, stdout: /up to date/ });
});
