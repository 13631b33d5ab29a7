/** Runs the programs of a build, which takes minutes. */
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs a program and appends its output to a log. A signal for this process ends the program and all that it has started.
 *
 * @throws Error if the program fails
 */
export async function runLogged(
  log: string,
  program: string,
  args: readonly string[],
  options: { cwd: string; env?: NodeJS.ProcessEnv },
): Promise<void> {
  const output = createWriteStream(log, { flags: 'a' });
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  // The signal goes to the whole process group. Afterwards, this process cleans up.
  const end = (): void => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
  };
  for (const signal of SIGNALS) process.on(signal, end);
  child.stdout.pipe(output, { end: false });
  child.stderr.pipe(output, { end: false });
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  for (const signal of SIGNALS) process.off(signal, end);
  output.end();
  if (status !== 0) throw new Error(`${program} ${args[0] ?? ''} failed; see ${log}`);
}
