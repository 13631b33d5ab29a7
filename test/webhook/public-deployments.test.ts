// The built webhook starts with the arguments, variables and documents that public projects give the Go program, and
// answers reviews of both kinds. Only the address to listen on and the cluster differ.

import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { BUNDLE_FOLDER } from '../support/built-programs.ts';
import { startStandInCluster } from '../support/stand-in-cluster.ts';
import { waitUntil } from '../support/wait-until.ts';
import { connectToWebhook } from '../support/webhook-client.ts';
import type { WebhookClient } from '../support/webhook-client.ts';
import { issueToken, startTestKeystone } from '../support/webhook-keystone.ts';
import { findPort, makeTestFolder, shareTestPki } from '../support/webhook-settings.ts';
import { KEYSTONE_URL, PUBLIC_DEPLOYMENTS } from './public-deployments.ts';
import type { PublicDeployment, Wish } from './public-deployments.ts';

const pki = await shareTestPki();

/** Writes the entry point of the image, with the paths of this checkout. */
function writeEntryPoint(root: string): string {
  const path = join(root, 'bin', 'k8s-keystone-auth');
  const text = readFileSync('packaging/webhook/k8s-keystone-auth', 'utf8')
    .replace('/usr/local/bin/node', process.execPath)
    .replace('/opt/k8s-keystone-auth', BUNDLE_FOLDER);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
}

/** Writes the file that a deployment names by this path into the folder, and returns where. */
function placeFile(root: string, path: string, files: PublicDeployment['files'] = {}): string {
  const contents: Readonly<Record<string, string>> = { '.crt': pki.server.cert, '.key': pki.server.key };
  const isAuthority = /\/(?:ca|ca-bundle|cloud_ca)\.crt$/.test(path);
  const original = isAuthority ? pki.ca : contents[path.slice(-4)];
  const placed = join(root, path);
  mkdirSync(dirname(placed), { recursive: true });
  writeFileSync(placed, files[path] ?? readFileSync(original ?? ''));
  return placed;
}

/** Runs the image of the webhook as a container engine does, with its files in a folder of the test. */
async function start(t: Test, deployment: PublicDeployment): Promise<{ token: string; webhook: WebhookClient }> {
  const root = makeTestFolder(t);
  const hasAuthority = [...deployment.argv, ...Object.values(deployment.env ?? {})].some((value) =>
    /ca(?:-bundle)?\.crt$/.test(value),
  );
  const keystone = await startTestKeystone(t, hasAuthority ? { tls: pki.server } : {});
  const cluster = await startStandInCluster(t);
  for (const [name, data] of Object.entries(deployment.configMaps ?? {})) cluster.setConfigMap(name, data);
  const kubeconfig = join(root, 'kubeconfig');
  cluster.writeKubeconfig(kubeconfig);
  const place = (value: string): string => {
    if (value === KEYSTONE_URL) return `${keystone.url}/v3`;
    return /^\/(?:etc|opt)\//.test(value) ? placeFile(root, value, deployment.files) : value;
  };
  const argv = deployment.argv.map(place);
  const env = Object.fromEntries(Object.entries(deployment.env ?? {}).map(([name, value]) => [name, place(value)]));
  const entryPoint = writeEntryPoint(root);
  if (deployment.isCommand) t.equal(basename(argv.shift() ?? ''), 'k8s-keystone-auth', 'the command is in the image');
  const child = spawn(entryPoint, [...argv, '--listen', '127.0.0.1:0'], {
    cwd: root,
    env: { NO_PROXY: '*', KEYSTONE_KUBECONFIG_FILE: kubeconfig, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [output, hasEnded] = ['', false];
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      hasEnded = true;
      resolve();
    });
  });
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await waitUntil('the webhook listens', () => hasEnded || findPort(output) !== undefined);
  const port = findPort(output);
  if (port === undefined) throw new Error(`the webhook ended: ${output}`);
  const webhook = connectToWebhook(t, port, pki);
  await waitUntil('it is ready', async () => (await webhook.sendRequest({ path: '/readyz' })).status === 200);
  return { token: issueToken(keystone), webhook };
}

/** The SubjectAccessReview that the API server sends about a user whom a TokenReview has returned. */
function makeReview(user: Readonly<Record<string, unknown>>, wish: Wish): object {
  const { username, groups, ...rest } = user;
  const attributes =
    typeof wish === 'string' ? { nonResourceAttributes: { verb: 'get', path: wish } } : { resourceAttributes: wish };
  return {
    apiVersion: 'authorization.k8s.io/v1beta1',
    kind: 'SubjectAccessReview',
    spec: { ...rest, user: username, group: groups, ...attributes },
  };
}

for (const [name, deployment] of Object.entries(PUBLIC_DEPLOYMENTS)) {
  void t.test(`the webhook takes the place of the Go program in ${name}`, async (t) => {
    const { token, webhook } = await start(t, deployment);
    let user: Readonly<Record<string, unknown>> = {};
    await waitUntil('the user is authenticated', async () => {
      const status = await webhook.reviewToken(token, 'v1beta1');
      user = (status['user'] ?? {}) as typeof user;
      return status['authenticated'] === true;
    });
    t.match(user, { username: 'alice', extra: { 'alpha.kubernetes.io/identity/project/name': ['web'] } });
    if (deployment.group !== undefined) t.match((user['groups'] as string[]).join(), deployment.group);
    if (deployment.allowed !== undefined)
      t.ok(await webhook.isAllowed(makeReview(user, deployment.allowed)), 'allowed');
    t.notOk(await webhook.isAllowed(makeReview(user, deployment.refused)), 'refused');
  });
}

void t.test('the image has the program where the image of the Go program has it', async (t) => {
  const lines = readFileSync('packaging/webhook/Containerfile', 'utf8').split('\n');
  const [, script] = /(\/opt\/\S+)/.exec(readFileSync('packaging/webhook/k8s-keystone-auth', 'utf8')) ?? [];
  const copies = lines.filter((line) => line.startsWith('COPY'));
  t.match(copies[0], new RegExp(`^COPY dist/${basename(script ?? '')} .* ${dirname(script ?? '')}/$`));
  t.equal(copies[1], 'COPY --chmod=0755 packaging/webhook/k8s-keystone-auth /bin/k8s-keystone-auth');
  t.ok(lines.includes('ENTRYPOINT ["/bin/k8s-keystone-auth"]'));
  t.ok(lines.includes('WORKDIR /'), './bin/k8s-keystone-auth is found');
});

/** Lists a bundle and those that it loads at some time. */
function listLoadable(bundle: string, found = new Set<string>()): ReadonlySet<string> {
  if (found.has(bundle)) return found;
  found.add(bundle);
  const text = readFileSync(join(BUNDLE_FOLDER, bundle), 'utf8');
  for (const [, name] of text.matchAll(/["'`]\.\/([a-z0-9-]+\.cjs)["'`]/g)) listLoadable(name ?? '', found);
  return found;
}

void t.test('the image has every bundle that the program can load', async (t) => {
  const text = readFileSync('packaging/webhook/Containerfile', 'utf8');
  const copied = [...text.matchAll(/dist\/([a-z0-9-]+\.cjs)/g)].map(([, name]) => name ?? '');
  t.strictSame(copied.toSorted(), [...listLoadable('k8s-keystone-auth.cjs')].toSorted());
});
