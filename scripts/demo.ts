/**
 * `npm run demo`: the main job, seen working without a cloud at hand. A local Keystone, a throw-away kubeconfig, real
 * kubectl through the plugin twice, and proof on the server's side that the second time needed no login. Everything is
 * on loopback and in a folder that is gone afterwards.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startStandInApiServer, writeKubeconfig } from '../test/support/stand-in-api-server.ts';
import { recordedUsers, startStandInKeystone } from '../test/support/stand-in-keystone.ts';
import { startKeystone } from './keystone/keystone.ts';
import { demoCluster } from './lib/demo-cluster.ts';
import { findKeystone } from './keystone/find-keystone.ts';
import { findKubectl } from './lib/find-kubectl.ts';
import { makePki } from './lib/pki.ts';

const PLUGIN = resolve('dist/client-keystone-auth.cjs');

/** A Keystone to log in to, and what an openrc for it would export. */
interface DemoKeystone {
  readonly what: string;
  readonly openrc: Readonly<Record<string, string>>;
  /** How many logins it has seen so far. */
  countLogins(): number;
  /** Whose token it is, asked with the token itself. */
  nameOf(token: string): Promise<string | undefined>;
  stop(): Promise<void>;
}

const say = (line = ''): void => {
  console.log(line);
};

function quote(text: string): string {
  return text.replaceAll(/^/gm, '    ').trimEnd();
}

async function askKeystone(url: string, token: string): Promise<string | undefined> {
  const headers = { 'X-Auth-Token': token, 'X-Subject-Token': token };
  const response = await fetch(`${url}/v3/auth/tokens?nocatalog=true`, { headers });
  if (!response.ok) return undefined;
  const body = (await response.json()) as { token: { user: { name: string } } };
  return body.token.user.name;
}

async function startDemoKeystone(folder: string): Promise<DemoKeystone> {
  const packages = await findKeystone(say);
  if ('missing' in packages) {
    say(`No real Keystone can be had here: ${packages.missing}`);
    say('The stand-in Keystone of the tests answers instead: the same protocol, but not the real program.');
    const standIn = await startStandInKeystone();
    const password = recordedUsers.find(({ name }) => name === 'alice')?.password ?? '';
    return {
      what: 'a stand-in Keystone',
      openrc: {
        OS_AUTH_URL: standIn.url,
        OS_USERNAME: 'alice',
        OS_USER_DOMAIN_NAME: 'acme',
        OS_PASSWORD: password,
        OS_PROJECT_NAME: 'web',
        OS_PROJECT_DOMAIN_NAME: 'acme',
      },
      countLogins: () => standIn.countLogins(),
      nameOf: (token) => askKeystone(standIn.url, token),
      stop: () => standIn.close(),
    };
  }
  const keystone = await startKeystone({ dir: join(folder, 'keystone') });
  return {
    what: "OpenStack's own Keystone",
    openrc: {
      OS_AUTH_URL: keystone.url,
      OS_USERNAME: 'admin',
      OS_USER_DOMAIN_NAME: 'Default',
      OS_PASSWORD: keystone.adminPassword,
      OS_PROJECT_NAME: 'admin',
      OS_PROJECT_DOMAIN_NAME: 'Default',
    },
    countLogins: () => readFileSync(keystone.accessLog, 'utf8').match(/^POST \S*\/auth\/tokens/gm)?.length ?? 0,
    nameOf: (token) => askKeystone(keystone.url, token),
    stop: () => keystone.stop(),
  };
}

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

async function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ran> {
  const start = performance.now();
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((done, fail) => {
    child.once('error', fail).once('close', (status) => {
      done({ status, stdout, stderr, ms: performance.now() - start });
    });
  });
}

function require0({ status, stderr }: Ran, what: string): void {
  if (status !== 0) throw new Error(`${what} ended with status ${String(status)}:\n${stderr}`);
}

async function demonstrate(folder: string, keystone: DemoKeystone): Promise<void> {
  const home = join(folder, 'home');
  await mkdir(home, { mode: 0o700 });
  const env = { PATH: process.env['PATH'], HOME: home, ...keystone.openrc };

  say(`1. ${keystone.what} runs on ${keystone.openrc['OS_AUTH_URL'] ?? ''}. The shell has an openrc for it:`);
  say();
  for (const [name, value] of Object.entries(keystone.openrc)) {
    say(quote(`export ${name}=${name === 'OS_PASSWORD' ? '…' : value}`));
  }
  say();

  const pki = await makePki(join(folder, 'pki'));
  const cluster = await startStandInApiServer({ ...pki.server, authenticate: (token) => keystone.nameOf(token) });
  try {
    const kubeconfig = join(folder, 'kubeconfig');
    await writeKubeconfig({ path: kubeconfig, server: cluster.url, ca: pki.ca, command: PLUGIN });
    const config = JSON.parse(await readFile(kubeconfig, 'utf8')) as { users: readonly unknown[] };
    say('2. A throw-away kubeconfig names the plugin, and holds no secret:');
    say();
    say(quote(JSON.stringify({ users: config.users }, null, 2)));
    say();

    say('3. kubectl runs the plugin on every command. (The cluster is a stand-in API server that asks Keystone who');
    say('   a token belongs to.)');
    say();
    const kubectl = await findKubectl('new');
    const [command, args, name] =
      'path' in kubectl
        ? [kubectl.path, ['get', 'pods'], `kubectl ${kubectl.version} get pods`]
        : [PLUGIN, [], 'client-keystone-auth'];
    if ('missing' in kubectl) say(`   No kubectl can be had here (${kubectl.missing}), so the plugin runs by itself.`);
    const logins: number[] = [];
    for (const turn of ['first', 'second']) {
      const before = keystone.countLogins();
      const ran = await run(command, args, { ...env, KUBECONFIG: kubeconfig });
      require0(ran, name);
      logins.push(keystone.countLogins() - before);
      say(`   $ ${name}    # ${turn}: ${String(logins.at(-1))} login(s) at Keystone, ${ran.ms.toFixed(0)} ms`);
      say(quote(ran.stdout));
      say();
    }
    if (logins.join() !== '1,0') throw new Error(`expected 1 login and then a cache hit, saw ${logins.join(' and ')}`);
    say('   The second time the token came from the cache.');
    say();

    say('4. What the plugin gave kubectl (the cluster never sees the password):');
    say();
    const credential = await run(PLUGIN, [], env);
    require0(credential, 'client-keystone-auth');
    say(quote(JSON.stringify(JSON.parse(credential.stdout), null, 2)));
    say();
  } finally {
    await cluster.close();
  }
}

function sayHowToGoOn(): void {
  say('Now with your own cloud: source its openrc and name the plugin in your kubeconfig:');
  say();
  // With the pinned Node, because the one of this machine may be too old.
  say(
    quote(`kubectl config set-credentials keystone \\
  --exec-api-version=client.authentication.k8s.io/v1 --exec-interactive-mode=IfAvailable \\
  --exec-command=${process.execPath} --exec-arg=${PLUGIN}
kubectl config set-context --current --user=keystone`),
  );
  say();
}

await import('./build.ts');

const folder = mkdtempSync(join(tmpdir(), 'client-keystone-auth-demo-'));
// However this ends, the throw-away folder goes; the servers end with this process.
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
  sayHowToGoOn();
  say('The local Keystone, the kubeconfig and the cached token are gone again.');
} catch (error) {
  console.error(`The demo failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
