// Runs the program of an identity provider, which writes a log and has an address that the caller chose.

import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { endChild, START_TIMEOUT_MS } from '../lib/server-process.ts';

export interface ProviderCommand {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** For its log; created if it does not exist. */
  readonly dir: string;
  /** Whether it responds. A connection that fails means no. */
  readonly isReady: () => Promise<boolean>;
}

export interface ProviderProcess {
  /** Returns the end of the log. */
  readLog(): Promise<string>;
  stop(): Promise<void>;
}

const PAUSE_MS = 50;

/**
 * Starts the program, and waits until it responds. It stops with `stop()`, or with this process.
 *
 * @throws Error with the end of the log, if the program ends instead
 */
export async function startProviderProcess(command: ProviderCommand): Promise<ProviderProcess> {
  const { name, program, args, env = {}, dir, isReady } = command;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const logFile = join(dir, `${name}.log`);
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn('/usr/bin/setpriv', ['--pdeathsig', 'TERM', program, ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: dir, LC_ALL: 'C.UTF-8', ...env },
    cwd: dir,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  let problem: Error | undefined;
  child.once('error', (error) => (problem = error));
  const stopNow = (): void => void child.kill('SIGKILL');
  process.once('exit', stopNow);
  const stop = async (): Promise<void> => {
    await endChild(child);
    process.off('exit', stopNow);
  };
  const readLog = async (): Promise<string> => (await readFile(logFile, 'utf8')).split('\n').slice(-20).join('\n');
  const deadline = Date.now() + START_TIMEOUT_MS;
  try {
    while (!(await isReady().catch(() => false))) {
      if (problem !== undefined) throw problem;
      if (child.exitCode !== null) throw new Error(`it exited with status ${child.exitCode}`);
      if (Date.now() > deadline) throw new Error(`it did not start within ${START_TIMEOUT_MS / 1000} s`);
      await sleep(PAUSE_MS);
    }
    return { readLog, stop };
  } catch (error) {
    await stop();
    throw new Error(`${name} did not start: ${String(error)}\n${await readLog()}`, { cause: error });
  }
}
