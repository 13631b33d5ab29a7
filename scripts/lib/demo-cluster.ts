/**
 * The demo's second act, where this machine has a real kube-apiserver: the whole chain. kubectl asks the plugin, the plugin
 * Keystone; kube-apiserver asks the webhook, and that Keystone again. One namespace may be looked into, another not.
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

interface Ran {
  readonly status: number | null;
  readonly text: string;
}

async function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ran> {
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

/** Starts the webhook and waits until it listens; the returned function ends it. */
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
  const port = await new Promise<number>((found, fail) => {
    child.once('exit', () => {
      fail(new Error(`the webhook ended: ${text}`));
    });
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const listening = /"port":(\d+).*"listening"/.exec(text)?.[1];
      if (listening !== undefined) found(Number(listening));
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

/** Shows it, or says in a line why it cannot be shown. */
export async function demoCluster(folder: string, openrc: Readonly<Record<string, string>>, say: Say): Promise<void> {
  const [programs, kubectl] = [await findKubernetes(say), await findKubectl('new')];
  if ('missing' in programs || 'missing' in kubectl) {
    say(
      `(The second act, the whole chain with a real cluster, is left out: ${'missing' in programs ? programs.missing : ''}`,
    );
    say(' To see it, run "node scripts/setup.mjs scripts/build-kube-apiserver.ts" once; it takes minutes.)');
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
  const own = ['--tls-cert-file', pki.server.cert, '--tls-private-key-file', pki.server.key];
  const webhook = await startWebhook(
    ['--listen', '127.0.0.1:0', '--keystone-url', keystoneUrl, '--keystone-policy-file', policy, ...own],
    { PATH: process.env['PATH'] },
  );
  try {
    say('5. Now a real cluster: etcd, kube-apiserver 1.20, and k8s-keystone-auth, which it asks about every token.');
    say('   Its policy lets the project look at pods in the namespace web, and at nothing else:');
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
        throw new Error(`expected one namespace open and one closed, saw ${statuses.join(' and ')}`);
    } finally {
      await cluster.stop();
    }
  } finally {
    webhook.stop();
  }
}
