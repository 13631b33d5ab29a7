/** Runs the built k8s-keystone-auth as a process, for what only a process has: signals, an exit status, memory. */
import { spawn } from 'node:child_process';
import { endWithProcess, runWithParent } from '../../scripts/lib/server-process.ts';
import { WEBHOOK_COMMAND } from './built-programs.ts';
import { makeIsolatedCommand } from './run-plugin.ts';
import { waitUntil } from './wait-until.ts';
import { connectToWebhook } from './webhook-client.ts';
import type { Owner, WebhookClient } from './webhook-client.ts';
import { findPort, makeWebhookCommandLine, WebhookEnded } from './webhook-settings.ts';
import type { WebhookCommandLine, WebhookSettings } from './webhook-settings.ts';

export interface WebhookProcess extends WebhookClient {
  readonly pid: number;
  /** What it has written to stdout and stderr so far. */
  readOutput(): string;
  signal(name: NodeJS.Signals): void;
  /** Sends SIGTERM and returns the exit status. */
  stop(): Promise<number | null>;
}

export interface WebhookProcessSettings extends WebhookSettings {
  /** What to run instead of the built program. */
  readonly command?: readonly [string, ...string[]];
}

/**
 * Starts a webhook and waits until it listens. It is killed after the test.
 *
 * @throws WebhookEnded if it ends instead
 */
export async function startWebhookProcess(t: Owner, settings: WebhookProcessSettings): Promise<WebhookProcess> {
  return startServerProcess(t, await makeWebhookCommandLine(t, settings), settings.command);
}

/**
 * Runs the command line of a server in a process, and waits until it listens. It is killed after the test.
 *
 * @throws WebhookEnded if it ends instead
 */
export async function startServerProcess(
  t: Owner,
  { args, env, pki }: WebhookCommandLine,
  command: readonly [string, ...string[]] = WEBHOOK_COMMAND,
): Promise<WebhookProcess> {
  const [program, ...programArgs] = runWithParent(command);
  const allVariables = { PATH: process.env['PATH'] ?? '', ...env };
  const [file, fileArgs, options] = makeIsolatedCommand(program, [...programArgs, ...args], allVariables);
  const child = spawn(file, fileArgs, { ...options, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  let hasEnded = false;
  const exitStatus = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', (status) => {
      hasEnded = true;
      resolve(status);
    });
  });
  // Not only a teardown: a test that has failed meanwhile runs none.
  t.teardown(endWithProcess(child, { signal: 'SIGKILL' }));
  await waitUntil('the webhook listens', () => hasEnded || findPort(stdout) !== undefined);
  const port = findPort(stdout);
  if (port === undefined) throw new WebhookEnded(await exitStatus, stdout, stderr);
  return {
    ...connectToWebhook(t, port, pki),
    pid: child.pid ?? 0,
    readOutput: () => stdout + stderr,
    signal: (name) => {
      child.kill(name);
    },
    stop() {
      child.kill('SIGTERM');
      return exitStatus;
    },
  };
}
