/**
 * Runs a webhook inside the test, with a clock that stands still until the test advances it. Everything else is real:
 * the command line, the server with TLS, the requests to Keystone, to the issuer and to the cluster. What only a process
 * has, such as signals and memory, is tested with webhook-process.ts.
 */
import type { PromptSignal } from '../../src/shared/base/host.ts';
import { runWebhookCli } from '../../src/webhook/cli/cli.ts';
import { fakeHost } from './fake-host.ts';
import { makeVirtualClock } from './virtual-clock.ts';
import type { VirtualClock } from './virtual-clock.ts';
import { waitUntil } from './wait-until.ts';
import { connectToWebhook } from './webhook-client.ts';
import type { Owner, WebhookClient } from './webhook-client.ts';
import { findPort, makeWebhookCommandLine, WebhookEnded } from './webhook-settings.ts';
import type { WebhookCommandLine, WebhookSettings } from './webhook-settings.ts';

export interface TestWebhook extends WebhookClient {
  readonly clock: VirtualClock;
  /** What it has written to stdout and stderr so far. */
  readOutput(): string;
  /** Acts as if the process had received the signal. */
  signal(name: PromptSignal): void;
  /** Resolves to the exit status at the end. */
  readonly ended: Promise<number | undefined>;
  /** Acts as if the process had received SIGTERM, lets time pass until the end, and returns the exit status. */
  stop(): Promise<number | undefined>;
}

export interface CommandLineRun {
  readonly clock: VirtualClock;
  readonly output: { readonly stdout: string; readonly stderr: string };
  /** Acts as if the process had received the signal. */
  readonly signal: (name: PromptSignal) => void;
  /** Resolves to the exit status at the end. */
  readonly ended: Promise<number | undefined>;
}

/** Runs a command line of k8s-keystone-auth. */
export function runWebhookCommand(argv: readonly string[], env: Readonly<Record<string, string>> = {}): CommandLineRun {
  const clock = makeVirtualClock();
  const output = { stdout: '', stderr: '' };
  const listeners = new Map<PromptSignal, Set<() => void>>();
  let status: number | undefined;
  const host = fakeHost({
    argv,
    env,
    cwd: '/',
    uid: process.geteuid?.(),
    now: clock.now,
    writeOut: (text) => {
      output.stdout += text;
      return undefined;
    },
    writeErr: (text) => (output.stderr += text),
    setExitStatus: (value) => (status = value),
    onSignal: (name, listener) => {
      const all = listeners.get(name) ?? new Set();
      listeners.set(name, all.add(listener));
      return () => all.delete(listener);
    },
  });
  return {
    clock,
    output,
    signal: (name) => {
      for (const listener of listeners.get(name) ?? []) listener();
    },
    ended: runWebhookCli(host, clock).then(() => status),
  };
}

/**
 * Runs the command line of a server and waits until it listens. It is stopped after the test.
 *
 * @throws WebhookEnded if it ends instead
 */
export async function startServerInTest(t: Owner, { args, env, pki }: WebhookCommandLine): Promise<TestWebhook> {
  const { clock, output, signal, ended } = runWebhookCommand(args, env);
  let hasEnded = false;
  void ended.then(() => (hasEnded = true));
  const stop = async (): Promise<number | undefined> => {
    signal('SIGTERM');
    await waitUntil('the webhook ends', async () => {
      if (!hasEnded) await clock.advance(1_000);
      return hasEnded;
    });
    return ended;
  };
  t.teardown(stop);
  await waitUntil('the webhook listens', () => hasEnded || findPort(output.stdout) !== undefined);
  const port = findPort(output.stdout);
  if (port === undefined) throw new WebhookEnded(await ended, output.stdout, output.stderr);
  return {
    ...connectToWebhook(t, port, pki),
    clock,
    readOutput: () => output.stdout + output.stderr,
    signal,
    ended,
    stop,
  };
}

/**
 * Starts a webhook and waits until it listens. It is stopped after the test.
 *
 * @throws WebhookEnded if it ends instead
 */
export async function startWebhook(t: Owner, settings: WebhookSettings = {}): Promise<TestWebhook> {
  return startServerInTest(t, await makeWebhookCommandLine(t, settings));
}

/** Starts a webhook that must not start, and returns how it ended. */
export async function failToStart(t: Owner, settings: WebhookSettings): Promise<WebhookEnded> {
  try {
    await startWebhook(t, settings);
  } catch (error) {
    if (error instanceof WebhookEnded) return error;
    throw error;
  }
  throw new Error('the webhook listens');
}
