// Steps that the preparations of development tools share.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** A signal for this process ended a step, so that no other may follow. */
export class Interrupted extends Error {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.signal = signal;
  }
}

/**
 * Runs a program with a low priority and appends its output to a log.
 *
 * @throws Interrupted if this process gets a signal that ends it
 * @throws Error if the program fails
 */
export async function runLogged(
  log: string,
  program: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv },
): Promise<void> {
  const output = createWriteStream(log, { flags: 'a', mode: 0o600 });
  let interruptedBy: NodeJS.Signals | undefined;
  // The signal goes to the whole process group. Afterward, the caller cleans up.
  const end = (signal: NodeJS.Signals): void => {
    interruptedBy = signal;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
  };
  // Before the program starts, so that no signal ends this process alone.
  for (const signal of SIGNALS) process.on(signal, end);
  const child = spawn('nice', [program, ...args], { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  child.stdout.pipe(output, { end: false });
  child.stderr.pipe(output, { end: false });
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  for (const signal of SIGNALS) process.off(signal, end);
  output.end();
  if (interruptedBy !== undefined) throw new Interrupted(interruptedBy);
  if (status !== 0) throw new Error(`${program} ${args[0] ?? ''} failed`);
}

/**
 * Checks a downloaded file.
 *
 * @throws Error if its SHA-256 checksum is another one
 */
export async function checkFile(path: string, sha256: string): Promise<void> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  const found = hash.digest('hex');
  if (found !== sha256) throw new Error(`${path} has the checksum ${found}, not ${sha256}`);
}

/** Returns the path of an installed program. */
export async function findInPath(name: string): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    const canRun = await access(path, constants.X_OK).then(
      () => folder !== '',
      () => false,
    );
    if (canRun) return path;
  }
  return undefined;
}
