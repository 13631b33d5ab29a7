/**
 * `npm run demo`: shows the plugin at work without a cloud. It starts a local Keystone, writes a temporary kubeconfig,
 * runs real kubectl with the plugin twice, and counts the logins at Keystone. Everything runs on loopback and in a
 * temporary folder.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { startStandInApiServer, writeKubeconfig } from '../test/support/stand-in-api-server.ts';
import { startStandInKeystone } from '../test/support/stand-in-keystone.ts';
import { recordedUsers } from '../test/support/stand-in-keystone/users.ts';
import { startKeystone } from './keystone/keystone.ts';
import { collectResult } from './lib/child-result.ts';
import type { ChildResult } from './lib/child-result.ts';
import { demoCluster } from './lib/demo-cluster.ts';
import { findKeystone } from './keystone/find-keystone.ts';
import { findKubectl } from './lib/find-kubectl.ts';
import { makePki } from './lib/pki.ts';

const PLUGIN = resolve('dist/client-keystone-auth.cjs');

/** A Keystone to log in to, and the variables of its openrc. */
interface DemoKeystone {
  readonly description: string;
  readonly openrc: Readonly<Record<string, string>>;
  /** Returns the number of logins so far. */
  countLogins(): number;
  /** Asks Keystone for the name of a token's user, with the token itself. */
  findUserName(token: string): Promise<string | undefined>;
  stop(): Promise<void>;
}

const say = (line = ''): void => {
  console.log(line);
};

function indent(text: string): string {
  return text.replaceAll(/^/gm, '    ').trimEnd();
}

async function findUserName(url: string, token: string): Promise<string | undefined> {
  const headers = { 'X-Auth-Token': token, 'X-Subject-Token': token };
  const response = await fetch(`${url}/v3/auth/tokens?nocatalog=true`, { headers });
  if (!response.ok) return undefined;
  const body = (await response.json()) as { token: { user: { name: string } } };
  return body.token.user.name;
}

async function startDemoKeystone(folder: string): Promise<DemoKeystone> {
  const packages = await findKeystone(say);
  if ('missing' in packages) {
    say(`A real Keystone is not available: ${packages.missing}`);
    say('The demo uses the stand-in Keystone of the tests. It speaks the same protocol.');
    const standIn = await startStandInKeystone();
    const password = recordedUsers.find(({ name }) => name === 'alice')?.password ?? '';
    return {
      description: 'a stand-in Keystone',
      openrc: {
        OS_AUTH_URL: standIn.url,
        OS_USERNAME: 'alice',
        OS_USER_DOMAIN_NAME: 'acme',
        OS_PASSWORD: password,
        OS_PROJECT_NAME: 'web',
        OS_PROJECT_DOMAIN_NAME: 'acme',
      },
      countLogins: () => standIn.countLogins(),
      findUserName: (token) => findUserName(standIn.url, token),
      stop: () => standIn.close(),
    };
  }
  const keystone = await startKeystone({ dir: join(folder, 'keystone') });
  return {
    description: "OpenStack's own Keystone",
    openrc: {
      OS_AUTH_URL: keystone.url,
      OS_USERNAME: 'admin',
      OS_USER_DOMAIN_NAME: 'Default',
      OS_PASSWORD: keystone.adminPassword,
      OS_PROJECT_NAME: 'admin',
      OS_PROJECT_DOMAIN_NAME: 'Default',
    },
    countLogins: () => readFileSync(keystone.accessLog, 'utf8').match(/^POST \S*\/auth\/tokens/gm)?.length ?? 0,
    findUserName: (token) => findUserName(keystone.url, token),
    stop: () => keystone.stop(),
  };
}

interface CommandResult extends ChildResult {
  readonly ms: number;
}

async function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const start = performance.now();
  const result = await collectResult(spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] }));
  return { ...result, ms: performance.now() - start };
}

function checkStatus({ status, stderr }: CommandResult, command: string): void {
  if (status !== 0) throw new Error(`${command} exited with status ${String(status)}:\n${stderr}`);
}

async function demonstrate(folder: string, keystone: DemoKeystone): Promise<void> {
  const home = join(folder, 'home');
  await mkdir(home, { mode: 0o700 });
  const env = { PATH: process.env['PATH'], HOME: home, ...keystone.openrc };

  say(`1. ${keystone.description} runs on ${keystone.openrc['OS_AUTH_URL'] ?? ''}. The shell has an openrc for it:`);
  say();
  for (const [name, value] of Object.entries(keystone.openrc)) {
    say(indent(`export ${name}=${name === 'OS_PASSWORD' ? '…' : value}`));
  }
  say();

  const pki = await makePki(join(folder, 'pki'));
  const cluster = await startStandInApiServer({ ...pki.server, authenticate: (token) => keystone.findUserName(token) });
  try {
    const kubeconfig = join(folder, 'kubeconfig');
    await writeKubeconfig({ path: kubeconfig, server: cluster.url, ca: pki.ca, command: PLUGIN });
    const config = JSON.parse(await readFile(kubeconfig, 'utf8')) as { users: readonly unknown[] };
    say('2. A temporary kubeconfig names the plugin. It contains no secret:');
    say();
    say(indent(JSON.stringify({ users: config.users }, null, 2)));
    say();

    say('3. kubectl runs the plugin on every command. (The cluster is a stand-in API server. It asks Keystone for the');
    say('   user of a token.)');
    say();
    const kubectl = await findKubectl('new');
    const [command, args, name] =
      'path' in kubectl
        ? [kubectl.path, ['get', 'pods'], `kubectl ${kubectl.version} get pods`]
        : [PLUGIN, [], 'client-keystone-auth'];
    if ('missing' in kubectl)
      say(`   kubectl is not available (${kubectl.missing}), so the demo runs the plugin directly.`);
    const logins: number[] = [];
    for (const turn of ['first', 'second']) {
      const before = keystone.countLogins();
      const result = await run(command, args, { ...env, KUBECONFIG: kubeconfig });
      checkStatus(result, name);
      const count = keystone.countLogins() - before;
      logins.push(count);
      const atKeystone = `${count} ${count === 1 ? 'login' : 'logins'} at Keystone`;
      say(`   $ ${name}    # ${turn}: ${atKeystone}, ${result.ms.toFixed(0)} ms`);
      say(indent(result.stdout));
      say();
    }
    if (logins.join() !== '1,0') throw new Error(`expected 1 login and then 0, got ${logins.join(' and ')}`);
    say('   The second time, the token came from the cache.');
    say();

    say('4. The plugin prints this for kubectl (the cluster never sees the password):');
    say();
    const credential = await run(PLUGIN, [], env);
    checkStatus(credential, 'client-keystone-auth');
    say(indent(JSON.stringify(JSON.parse(credential.stdout), null, 2)));
    say();
  } finally {
    await cluster.close();
  }
}

function sayNextSteps(): void {
  say('To use your own cloud, source its openrc and let the plugin add a context to your kubeconfig:');
  say();
  // The pinned Node comes first on the PATH, because the Node of this machine may be too old.
  say(
    indent(`export PATH=${dirname(process.execPath)}:$PATH
. openrc.sh
${PLUGIN} kubeconfig add --set-current --command=${PLUGIN}
kubectl get pods`),
  );
  say();
  say('Or write the kubeconfig with kubectl, for the first cluster in it:');
  say();
  say(
    indent(`kubectl config set-credentials keystone --exec-command=${PLUGIN} \\
  --exec-api-version=client.authentication.k8s.io/v1 --exec-interactive-mode=IfAvailable
kubectl config set-context keystone --user=keystone \\
  --cluster="$(kubectl config view --output='jsonpath={.clusters[0].name}')"
kubectl config use-context keystone
kubectl get pods`),
  );
  say();
}

await import('./build.ts');

const folder = mkdtempSync(join(tmpdir(), 'client-keystone-auth-demo-'));
// Removes the temporary folder in all cases. The servers end with this process.
process.once('exit', () => {
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

try {
  const keystone = await startDemoKeystone(folder);
  try {
    await demonstrate(folder, keystone);
    await demoCluster(folder, keystone.openrc, say);
  } finally {
    await keystone.stop();
  }
  sayNextSteps();
  say('The local Keystone, the kubeconfig and the cached token are removed.');
} catch (error) {
  console.error(`The demo failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
