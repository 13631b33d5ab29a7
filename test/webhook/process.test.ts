// The built program: its bundles are complete, and it reacts to signals as an operator expects. What it answers is
// tested without a process, where time can be virtual.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { WITH_PARENT } from '../../scripts/lib/server-process.ts';
import { WEBHOOK_PATH } from '../support/built-programs.ts';
import { skipWithout } from '../support/missing-tools.ts';
import { makeIsolatedCommand } from '../support/run-plugin.ts';
import { startStandInCluster } from '../support/stand-in-cluster.ts';
import { makeIssuerKey, signJwt, startStandInIssuer } from '../support/stand-in-issuer.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeAccessReview } from '../support/webhook-client.ts';
import { issueToken, startTestKeystone } from '../support/webhook-keystone.ts';
import { startWebhookProcess } from '../support/webhook-process.ts';
import type { WebhookProcess } from '../support/webhook-process.ts';
import { CLIENT_ID, makeTestFolder, shareTestPki } from '../support/webhook-settings.ts';

const pki = await shareTestPki();

/** Waits until a token is accepted: on a busy machine, the deadlines of the webhook may pass before it is. */
async function waitForUser(webhook: WebhookProcess, token: string, username: string): Promise<void> {
  await waitUntil(`${username} is authenticated`, async () => {
    const { authenticated, user } = await webhook.reviewToken(token);
    return authenticated === true && (user as { username: string }).username === username;
  });
}

const policyFor = (namespace: string): string =>
  JSON.stringify([{ resource_permissions: { [`${namespace}/pods`]: ['get'] } }]);

void t.test('the built program asks Keystone over TLS, an issuer and a cluster', async (t) => {
  const key = makeIssuerKey('first');
  const [keystone, issuer, cluster] = await Promise.all([
    startTestKeystone(t, { tls: pki.server }),
    startStandInIssuer(t, pki, [key]),
    startStandInCluster(t),
  ]);
  cluster.setConfigMap('keystone-policy', { policies: policyFor('web') });
  const sync = join(makeTestFolder(t), 'sync.yaml');
  writeFileSync(
    sync,
    'data-types-to-sync: [projects]\nrole-mappings:\n  - {keystone-role: reader, username: mapped}\n',
  );
  const args = ['--policy-configmap-name', 'keystone-policy', '--sync-config-file', sync];
  const webhook = await startWebhookProcess(t, { keystone, issuer, cluster, args });
  await waitUntil('it is ready', async () => (await webhook.sendRequest({ path: '/readyz' })).status === 200);
  await waitUntil('the ConfigMap applies', () => webhook.isAllowed(makeAccessReview()));
  t.notOk(await webhook.isAllowed(makeAccessReview({ namespace: 'db' })));
  await waitForUser(webhook, issueToken(keystone), 'mapped');
  await waitUntil('the project has a namespace', () => cluster.namespaces.size === 1);
  const claims = { iss: issuer.url, sub: 'u-1', aud: CLIENT_ID, exp: Math.floor(Date.now() / 1_000) + 3_600 };
  await waitForUser(webhook, signJwt(claims, key), `${issuer.url}#u-1`);
  t.strictSame(await webhook.reviewToken('junk'), { authenticated: false });
  t.match(await webhook.sendRequest({ path: '/metrics' }), { status: 200, body: /process_resident_memory_bytes/ });
  t.equal(await webhook.stop(), 0);
});

void t.test('SIGHUP reads the files again, and a changed file is read without it', async (t) => {
  const file = join(makeTestFolder(t), 'policy.json');
  writeFileSync(file, policyFor('web'));
  const webhook = await startWebhookProcess(t, { args: ['--keystone-policy-file', file] });
  t.ok(await webhook.isAllowed(makeAccessReview()));
  writeFileSync(file, policyFor('db'));
  webhook.signal('SIGHUP');
  await waitUntil('the policy is replaced', async () => !(await webhook.isAllowed(makeAccessReview())));
  writeFileSync(file, policyFor('web'));
  await waitUntil('the policy is replaced again', () => webhook.isAllowed(makeAccessReview()));
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  void t.test(`${signal} ends the program with status 0, and the log says so`, async (t) => {
    const webhook = await startWebhookProcess(t, {});
    webhook.signal(signal);
    t.equal(await webhook.stop(), 0);
    t.match(webhook.readOutput(), /"shutting down"/);
  });
}

void t.test('/readyz fails during the grace time of a shutdown', async (t) => {
  const webhook = await startWebhookProcess(t, { args: ['--shutdown-grace', '600'] });
  webhook.signal('SIGTERM');
  await waitUntil('/readyz fails', async () => {
    const { status, body } = await webhook.sendRequest({ path: '/readyz' });
    return status === 503 && String(body).includes('shutting down');
  });
  t.match(await webhook.sendRequest({ path: '/healthz' }), { status: 200 });
});

void t.test('a command line that does not start a server has its exit status and its streams', async (t) => {
  const rows: readonly [args: readonly string[], status: number, stdout: RegExp | string, stderr: RegExp | string][] = [
    [['--version'], 0, /^\d+\.\d+\.\d+\n$/, ''],
    [['policy', 'lint', '--help'], 0, /can never match/, ''],
    [['--nonsense'], 2, '', /^k8s-keystone-auth: unknown option --nonsense; see --help\n$/],
    [['policy', 'lint', '--keystone-policy-file', '/nowhere'], 3, '', /cannot be read \(ENOENT\)/],
  ];
  for (const [args, status, stdout, stderr] of rows) {
    const [program, words, options] = makeIsolatedCommand(process.execPath, [WEBHOOK_PATH, ...args], {});
    const child = spawn(program, words, { ...options, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
    const closed = once(child, 'close');
    const output = await Promise.all([text(child.stdout), text(child.stderr)]);
    t.match({ status: (await closed)[0] as unknown, stdout: output[0], stderr: output[1] }, { status, stdout, stderr });
  }
});

/** Starts a webhook, prints its port, and ends without a teardown. */
const LEAVE = `
import { startWebhookProcess } from './test/support/webhook-process.ts';
const { port } = await startWebhookProcess({ teardown: () => undefined }, {});
process.stdout.write(String(port) + '\\n', () => END);
`;

for (const [how, end] of Object.entries({
  fails: 'process.exit(1)',
  'is killed': "process.kill(process.pid, 'SIGKILL')",
})) {
  const skip = how === 'is killed' && skipWithout('setpriv', () => existsSync(WITH_PARENT[0]));
  void t.test(`a test that ${how} leaves no webhook behind`, { skip }, async (t) => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', LEAVE.replace('END', end)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const port = Number(await text(child.stdout));
    t.ok(port > 0);
    const accepts = (): Promise<boolean> =>
      new Promise((resolve) => {
        const socket = connect(port, '127.0.0.1', () => {
          socket.destroy();
          resolve(true);
        });
        socket.once('error', () => {
          resolve(false);
        });
      });
    await waitUntil('the webhook has ended', async () => !(await accepts()));
  });
}
