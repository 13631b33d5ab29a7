/** Starts the Go k8s-keystone-auth that somebody has built, to compare with. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitUntil } from '../../test/support/wait-until.ts';
import { connectToWebhook } from '../../test/support/webhook-client.ts';
import type { Owner } from '../../test/support/webhook-client.ts';
import { findFreePort } from './free-port.ts';
import type { Pki } from './pki.ts';

export interface GoWebhookSettings {
  readonly program: string;
  readonly keystoneUrl: string;
  readonly pki: Pki;
  /** Where its policy is written. */
  readonly folder: string;
  readonly policyText: string;
}

/** It ended instead of listening; the message is its output. */
export class GoWebhookEnded extends Error {}

/**
 * Starts the program and waits until it listens. It is killed after the test.
 *
 * @throws GoWebhookEnded
 */
export async function startGoWebhook(
  owner: Owner,
  { program, keystoneUrl, pki, folder, policyText }: GoWebhookSettings,
): Promise<{ readonly port: number; readonly pid: number }> {
  const port = await findFreePort();
  const file = join(folder, `policy-${port}.json`);
  writeFileSync(file, policyText);
  const args = [
    ...['--listen', `127.0.0.1:${port}`, '--keystone-url', `${keystoneUrl}/v3`, '--keystone-policy-file', file],
    ...['--tls-cert-file', pki.server.cert, '--tls-private-key-file', pki.server.key],
  ];
  const child = spawn(program, args, { env: { NO_PROXY: '*' }, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'close');
  let output = '';
  // It logs each token that Keystone refuses.
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (output = `${output}${chunk}`.slice(-10_000)));
  owner.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const client = connectToWebhook(owner, port, pki);
  const isListening = async (): Promise<boolean> =>
    child.exitCode !== null ||
    (await client.sendRequest({}).then(
      () => true,
      () => false,
    ));
  await waitUntil('the Go webhook listens', isListening);
  if (child.exitCode !== null) throw new GoWebhookEnded(`the Go webhook ended: ${output}`);
  return { port, pid: child.pid ?? 0 };
}
