/** Asks the Go k8s-keystone-auth what a policy allows. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitUntil } from '../../test/support/wait-until.ts';
import { connectToWebhook } from '../../test/support/webhook-client.ts';
import type { Owner } from '../../test/support/webhook-client.ts';
import { findFreePort } from '../lib/free-port.ts';
import type { Pki } from '../lib/pki.ts';
import type { Question } from './random-policy.ts';

export type GoAnswer = boolean | 'panics';

/** What a Go webhook needs. */
export interface GoWebhookSettings {
  readonly program: string;
  readonly keystoneUrl: string;
  readonly pki: Pki;
  readonly folder: string;
}

/** A set of tasks that run when a process is no longer needed. */
function makeOwner(): Owner & { readonly end: () => Promise<void> } {
  const tasks: (() => unknown)[] = [];
  return {
    teardown: (task) => tasks.push(task),
    end: async () => {
      for (const task of tasks.toReversed()) await task();
    },
  };
}

/** Starts the program with a policy and asks it; undefined if it refuses the policy. */
export async function askGoWebhook(
  { program, keystoneUrl, pki, folder }: GoWebhookSettings,
  policyText: string,
  questions: readonly Question[],
): Promise<readonly GoAnswer[] | undefined> {
  const owner = makeOwner();
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
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  owner.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  try {
    const client = connectToWebhook(owner, port, pki);
    const isListening = async (): Promise<boolean> =>
      child.exitCode !== null ||
      (await client.sendRequest({}).then(
        () => true,
        () => false,
      ));
    await waitUntil('the Go webhook listens', isListening);
    if (child.exitCode !== null) {
      if (output.includes('failed to extract policy')) return undefined;
      throw new Error(`the Go webhook ended: ${output}`);
    }
    const answers: GoAnswer[] = [];
    for (const question of questions) answers.push(await client.isAllowed(question).catch(() => 'panics' as const));
    return answers;
  } finally {
    await owner.end();
  }
}
