/** Runs an issuer inside the test, with a clock that stands still until the test advances it. */
import { join } from 'node:path';
import { makeIssuerCommandLine } from './issuer-settings.ts';
import type { IssuerSettings } from './issuer-settings.ts';
import type { Owner } from './webhook-client.ts';
import { makeTestFolder } from './webhook-settings.ts';
import { runWebhookCommand, startServerInTest } from './webhook.ts';
import type { TestWebhook } from './webhook.ts';

/** Makes a file with a signing key, as an operator does. */
export async function makeKeyFile(t: Owner, args: readonly string[] = []): Promise<string> {
  const keyFile = join(makeTestFolder(t), 'keys.json');
  const run = runWebhookCommand(['issuer', 'rotate', '--create', '--signing-keys-file', keyFile, ...args]);
  const status = await run.ended;
  if (status !== 0) throw new Error(`issuer rotate ended with ${String(status)}: ${run.output.stderr}`);
  return keyFile;
}

export interface TestIssuer extends TestWebhook {
  readonly keyFile: string;
  readonly audiencesFile: string;
}

/** Starts an issuer with a key of its own, and waits until it listens. It is stopped after the test. */
export async function startIssuer(t: Owner, settings: IssuerSettings = {}): Promise<TestIssuer> {
  const keyFile = settings.keyFile ?? (await makeKeyFile(t));
  const commandLine = await makeIssuerCommandLine(t, { ...settings, keyFile });
  const issuer = await startServerInTest(t, commandLine);
  return { ...issuer, keyFile, audiencesFile: commandLine.audiencesFile };
}
