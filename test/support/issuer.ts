/** Runs an issuer inside the test, with a clock that stands still until the test advances it. */
import { join } from 'node:path';
import { makeIssuerCommandLine } from './issuer-settings.ts';
import type { IssuerSettings } from './issuer-settings.ts';
import type { Owner } from './webhook-client.ts';
import { makeTestFolder } from './webhook-settings.ts';
import { runWebhookCommand, startServerInTest } from './webhook.ts';
import type { TestWebhook } from './webhook.ts';

/** Runs `issuer rotate`, or another command of the issuer, which must succeed. */
export async function runIssuerCommand(...args: readonly string[]): Promise<string> {
  const { ended, output } = runWebhookCommand(['issuer', ...args]);
  const status = await ended;
  if (status !== 0) throw new Error(`issuer ${args.join(' ')} ended with ${String(status)}: ${output.stderr}`);
  return output.stdout;
}

/** Makes a file with a signing key, as an operator does. */
export async function makeKeyFile(t: Owner, args: readonly string[] = []): Promise<string> {
  const keyFile = join(makeTestFolder(t), 'keys.json');
  await runIssuerCommand('rotate', '--create', '--signing-keys-file', keyFile, ...args);
  return keyFile;
}

export interface TestIssuer extends TestWebhook {
  /** Undefined if the keys are in a Secret. */
  readonly keyFile: string | undefined;
  readonly audiencesFile: string;
}

/** Starts an issuer with a key of its own, and waits until it listens. It is stopped after the test. */
export async function startIssuer(t: Owner, settings: IssuerSettings = {}): Promise<TestIssuer> {
  const keyFile = settings.keyFile ?? (settings.cluster === undefined ? await makeKeyFile(t) : undefined);
  const commandLine = await makeIssuerCommandLine(t, { ...settings, ...(keyFile === undefined ? {} : { keyFile }) });
  const issuer = await startServerInTest(t, commandLine);
  return { ...issuer, keyFile, audiencesFile: commandLine.audiencesFile };
}
