/** Somebody else, or another terminal, has deleted the folder in which the user still is. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { collectResult } from '../../scripts/lib/child-result.ts';
import { EXIT_STATUS, makeLoginSettings, readExecCredential, startKeystoneForTest } from '../support/check-run.ts';
import { makeEnvironment, makeTestHome } from '../support/home.ts';
import type { Home } from '../support/home.ts';
import { PLUGIN_COMMAND } from '../support/run-plugin.ts';
import type { RunResult } from '../support/run-plugin.ts';

const keystone = await startKeystoneForTest(t);
const login = makeLoginSettings(`${keystone.url}/v3`);

type Run = (args: readonly string[], settings?: Readonly<Record<string, string>>) => Promise<RunResult>;

function setUp(t: Test): { readonly home: Home; readonly run: Run } {
  const home = makeTestHome(t);
  const script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"';
  const run: Run = (args, settings = {}) =>
    collectResult(
      spawn('/bin/sh', ['-c', script, 'sh', ...PLUGIN_COMMAND, ...args], {
        cwd: home.path,
        env: makeEnvironment(home, { ...login, ...settings }),
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      }),
    );
  return { home, run };
}

await t.test('a login, its cache and every command work in a folder that has been deleted', async (t) => {
  const { run } = setUp(t);
  for (let count = 1; count <= 3; count += 1) readExecCredential(t, (await run([])).stdout);
  t.equal(keystone.countLogins(), 1);
  for (const args of [
    ['status'],
    ['whoami'],
    ['explain'],
    ['token'],
    ['projects'],
    ['cache', 'list'],
    ['help', 'options'],
    ['kubeconfig', 'add', '--server', 'https://cluster.test'],
    ['kubeconfig', 'show'],
    ['doctor', '--no-cluster'],
    ['logout'],
  ]) {
    const { status, stdout, stderr } = await run(args);
    t.equal(status, 0, `${args.join(' ')}: ${stderr}`);
    t.not(stdout, '', args.join(' '));
  }
});

await t.test('a path that starts there is an error that says so, and nothing is written elsewhere', async (t) => {
  const { home, run } = setUp(t);
  mkdirSync(join(home.path, 'away'));
  const says = (path: string): RegExp => new RegExp(`: ${path} starts in the current folder, which has been deleted; `);
  const table: readonly (readonly [args: readonly string[], settings: Record<string, string>, path: string])[] = [
    [[], { OS_CACERT: 'ca.pem', OS_AUTH_URL: 'https://127.0.0.1:1' }, 'ca\\.pem'],
    [[], { OS_CLIENT_CONFIG_FILE: './clouds.yaml', OS_CLOUD: 'a' }, '\\./clouds\\.yaml'],
    [[], { CLIENT_KEYSTONE_AUTH_CACHE_DIR: 'cache' }, 'cache'],
    [['--cache-dir=cache'], {}, 'cache'],
    [['kubeconfig', 'add', '--server', 'https://cluster.test', '--kubeconfig', 'config'], {}, 'config'],
    [['kubeconfig', 'show'], { KUBECONFIG: 'one:two' }, 'one'],
  ];
  for (const [args, settings, path] of table) {
    const result = await run(args, settings);
    t.match(result, { status: EXIT_STATUS.config, stdout: '', stderr: says(path) }, path);
  }
});
