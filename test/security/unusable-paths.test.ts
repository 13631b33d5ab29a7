// Paths that the system refuses in every call: in a loop of links, too long, with a NUL. A kubeconfig or clouds.yaml can
// name them, and so can the variables for folders. Each command still ends with what is wrong, and not as a bug.

import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { COMMANDS } from '../../src/plugin/commands/registry.ts';
import type { Host } from '../../src/shared/base/host.ts';
import { runInProcess } from '../support/run-in-process.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/stand-in-login.ts';

const keystone = await startKeystoneForTest(t);
const login = makeLoginSettings(`${keystone.url}/v3`);
const home = join(t.testdir({ home: {} }), 'home');
const loop = join(home, 'loop');
symlinkSync(loop, loop);

const IN_VARIABLES = [loop, join(loop, 'x'), 'x'.repeat(300), `/${'y/'.repeat(2_500)}`];
const IN_FILES = [...IN_VARIABLES, 'a\0b'];

/** What a command needs besides the settings. */
const ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  completion: ['bash'],
  'kubeconfig add': ['--server=https://127.0.0.1:9', '--cluster=c'],
  'kubeconfig fetch': [`${keystone.url}/kubeconfig`],
  'kubeconfig remove': ['c'],
};

let problems: string[] = [];

async function run(words: readonly string[], env: Readonly<Record<string, string>>, parts: Partial<Host> = {}) {
  const argv = [...words, ...(ARGUMENTS[words.join(' ')] ?? [])];
  const output = await runInProcess({ argv, env, cwd: home, home: () => home, uid: process.geteuid?.(), ...parts });
  if ((output.stderr + output.stdout).includes('internal error')) problems.push(`${words.join(' ')}: ${output.stderr}`);
  return output;
}

let fileCount = 0;

function write(content: object): string {
  fileCount += 1;
  const path = join(home, `file-${fileCount}`);
  writeFileSync(path, JSON.stringify(content), { mode: 0o600 });
  return path;
}

const writeKubeconfig = (cluster: object, user: object): string => {
  const env = Object.entries(login).map(([name, value]) => ({ name, value }));
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    interactiveMode: 'Never',
    command: '/nowhere/client-keystone-auth',
    env,
  };
  return write({
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:9', ...cluster } }],
    users: [{ name: 'u', user: { ...user, exec: { ...exec, provideClusterInfo: true } } }],
  });
};

for (const { words } of COMMANDS) {
  const name = words.join(' ');
  void t.test(`${name}: a path in a file, or a folder in a variable, that the system refuses`, async (t) => {
    problems = [];
    for (const path of IN_FILES) {
      for (const cluster of [{ 'certificate-authority': path }, {}]) {
        for (const user of [{}, { 'client-certificate': path, 'client-key': path, tokenFile: path }]) {
          await run(words, { KUBECONFIG: writeKubeconfig(cluster, user) });
        }
      }
      for (const key of ['cacert', 'cert', 'key', 'verify', 'profile']) {
        const auth = { auth_url: login['OS_AUTH_URL'], username: 'alice', password: 'x' };
        const cloud = { auth, cert: join(home, 'nowhere'), [key]: path };
        await run(words, { OS_CLOUD: 'c', OS_CLIENT_CONFIG_FILE: write({ clouds: { c: cloud } }) });
      }
    }
    for (const path of IN_VARIABLES) {
      for (const variable of ['KUBECONFIG', 'XDG_CACHE_HOME', 'XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_RUNTIME_DIR']) {
        await run(words, { ...login, [variable]: path });
      }
      await run(words, { ...login, HOME: path }, { home: () => path, accountHome: () => path });
      await run(words, { OS_CLOUD: 'c' }, { cwd: path });
    }
    t.strictSame(problems, []);
  });
}

void t.test('doctor checks everything else beside an authority that it cannot read', async (t) => {
  for (const path of IN_FILES) {
    const { stdout } = await run(['doctor'], { KUBECONFIG: writeKubeconfig({ 'certificate-authority': path }, {}) });
    t.match(stdout, /✓ exec section|✓ settings/);
    t.match(stdout, /certificate-authority of cluster c: .* cannot be read/);
  }
});
