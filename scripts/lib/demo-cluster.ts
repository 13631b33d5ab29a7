/**
 * The second part of the demo, which needs a real kube-apiserver. It shows the whole chain: kubectl runs the plugin,
 * and kube-apiserver asks the webhook. Both ask Keystone. The policy allows access to one namespace and not to another.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { writeKubeconfig } from '../../test/support/stand-in-api-server.ts';
import { findKubectl } from './find-kubectl.ts';
import { makeAdminToken, startKubeApiserver } from '../kubernetes/kube-apiserver.ts';
import { findKubernetes } from '../kubernetes/find-kubernetes.ts';
import { makePki } from './pki.ts';
import { findFreePort } from './free-port.ts';

const PLUGIN = resolve('dist/client-keystone-auth.cjs');
const WEBHOOK = resolve('dist/k8s-keystone-auth.cjs');

type Say = (line?: string) => void;

interface CommandResult {
  readonly status: number | null;
  readonly text: string;
}

async function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return new Promise((done, fail) => {
    child.once('error', fail).once('close', (status) => {
      done({ status, text });
    });
  });
}

/** Starts the webhook and waits until it listens. */
async function startWebhook(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ port: number; stop: () => void }> {
  const child = spawn(process.execPath, [WEBHOOK, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', kill);
  let text = '';
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', () => {
      reject(new Error(`the webhook exited: ${text}`));
    });
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const listeningPort = /"port":(\d+).*"listening"/.exec(text)?.[1];
      if (listeningPort !== undefined) resolve(Number(listeningPort));
    });
  });
  return {
    port,
    stop: () => {
      process.off('exit', kill);
      kill();
    },
  };
}

/** Shows the whole chain, or explains in one line why it cannot. */
export async function demoCluster(folder: string, openrc: Readonly<Record<string, string>>, say: Say): Promise<void> {
  const [programs, kubectl] = [await findKubernetes(say), await findKubectl('new')];
  if ('missing' in programs || 'missing' in kubectl) {
    const reasons = [programs, kubectl].flatMap((found) => ('missing' in found ? [found.missing] : []));
    say(`(The demo skips the whole chain with a real cluster: ${reasons.join('; ')}.)`);
    say();
    return;
  }
  const pki = await makePki(join(folder, 'cluster-pki'));
  const policy = join(folder, 'policy.json');
  const project = openrc['OS_PROJECT_NAME'] ?? '';
  const entry = { users: { projects: [project] }, resource_permissions: { 'web/pods': ['get', 'list'] } };
  writeFileSync(policy, JSON.stringify([entry], null, 2));
  const home = join(folder, 'cluster-home');
  mkdirSync(home, { mode: 0o700 });
  const env = { PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`, HOME: home, ...openrc };
  const keystoneUrl = `${(openrc['OS_AUTH_URL'] ?? '').replace(/\/v3$/, '')}/v3`;
  const tlsOptions = ['--tls-cert-file', pki.server.cert, '--tls-private-key-file', pki.server.key];
  const webhook = await startWebhook(
    ['--listen', '127.0.0.1:0', '--keystone-url', keystoneUrl, '--keystone-policy-file', policy, ...tlsOptions],
    { PATH: process.env['PATH'] },
  );
  try {
    say(
      `5. A real cluster runs: etcd, kube-apiserver ${programs.version}, and k8s-keystone-auth, which reviews every token.`,
    );
    say('   Its policy allows the project to read pods in the namespace web, and nothing else:');
    say();
    say(`    ${JSON.stringify(entry)}`);
    say();
    const settings = { programs, dir: join(folder, 'cluster'), pki, port: await findFreePort(), cacheSeconds: 10 };
    const cluster = await startKubeApiserver({ ...settings, webhookPort: webhook.port }, makeAdminToken());
    try {
      for (const name of ['web', 'db']) {
        await cluster.request('/api/v1/namespaces', { method: 'POST', body: { metadata: { name } } });
      }
      const kubeconfig = join(folder, 'cluster-kubeconfig');
      await writeKubeconfig({ path: kubeconfig, server: cluster.url, ca: pki.ca, command: PLUGIN });
      const statuses: (number | null)[] = [];
      for (const namespace of ['web', 'db']) {
        const args = ['--kubeconfig', kubeconfig, 'get', 'pods', '-n', namespace];
        const { status, text } = await run(kubectl.path, args, env);
        statuses.push(status);
        say(`   $ kubectl get pods -n ${namespace}`);
        say(text.replaceAll(/^/gm, '    ').trimEnd());
        say();
      }
      if (statuses.join() !== '0,1')
        throw new Error(`expected exit status 0 for one namespace and 1 for the other, got ${statuses.join(' and ')}`);
    } finally {
      await cluster.stop();
    }
  } finally {
    webhook.stop();
  }
}
