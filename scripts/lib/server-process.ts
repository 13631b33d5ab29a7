// Starts server programs, waits for them, and ends them.

import { spawn } from 'node:child_process';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long a server may take to start, in ms, on a busy machine too. */
export const START_TIMEOUT_MS = 900_000;

const STOP_TIMEOUT_MS = 3000;
const PAUSE_MS = 50;
const TAIL_LINES = 20;

/** A server program. */
export interface ServerCommand {
  /** In messages. */
  readonly name: string;
  /** It and its arguments. */
  readonly words: readonly [program: string, ...args: string[]];
  readonly options: Pick<SpawnOptions, 'cwd' | 'detached' | 'env'>;
  /** The path of a file that gets its output. */
  readonly logFile: string;
  /**
   * Whether it responds, from what it has logged or by asking it. A question that fails means no. Without this, the program
   * prints `listening PORT…` on stdout when it responds.
   */
  readonly isReady?: (log: string) => Promise<boolean>;
  readonly ending?: Ending;
}

export interface ServerProcess {
  /** Returns the end of the log. */
  readLog(): Promise<string>;
  stop(): Promise<void>;
}

/** How to end a program: with a signal, and with SIGKILL if it is still there after the time in ms. */
export interface Ending {
  readonly signal?: 'SIGKILL' | 'SIGQUIT' | 'SIGTERM';
  readonly timeoutMs?: number;
  /** The signal with which it ends if this process ends first. */
  readonly signalAtExit?: 'SIGKILL' | 'SIGTERM';
}

/** The words that make the kernel end a program with this process, however that ends. */
export const WITH_PARENT = ['/usr/bin/setpriv', '--pdeathsig', 'TERM'] as const;

/** Adds {@link WITH_PARENT} where it exists. */
export const runWithParent = (
  command: readonly [program: string, ...args: string[]],
): readonly [program: string, ...args: string[]] =>
  existsSync(WITH_PARENT[0]) ? [...WITH_PARENT, ...command] : command;

/**
 * Starts a program, and waits until it responds. It stops with `stop()`, or with this process. Its stdin closes when this
 * process ends for any reason.
 *
 * @returns the ports too that it prints
 * @throws Error with the end of the log, if the program ends instead, or takes too long
 */
export async function startServer(command: ServerCommand): Promise<ServerProcess & { ports: readonly number[] }> {
  const { name, words, options, logFile, isReady, ending = {} } = command;
  const [program, ...args] = words;
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(program, args, { ...options, stdio: ['pipe', isReady === undefined ? 'pipe' : log, log] });
  closeSync(log);
  const stop = endWithProcess(child, ending);
  const readLog = (): Promise<string> => readTail(logFile);
  try {
    if (isReady === undefined) return { ports: await waitForPorts(child), readLog, stop };
    await waitUntilLogged(child, logFile, isReady);
    return { ports: [], readLog, stop };
  } catch (error) {
    await stop();
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${name} did not start: ${reason}\n${await readLog()}`, { cause: error });
  }
}

/** Returns the end of a log; an empty text if there is none. */
export async function readTail(file: string): Promise<string> {
  return lastLines(await readFile(file, 'utf8').catch(() => ''));
}

export function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
}

/** Ends a program with this process. Returns how to end it earlier. */
export function endWithProcess(child: ChildProcess, ending: Ending = {}): () => Promise<void> {
  const endNow = (): void => void child.kill(ending.signalAtExit ?? 'SIGKILL');
  process.once('exit', endNow);
  return async () => {
    await endChild(child, ending);
    process.off('exit', endNow);
  };
}

async function waitUntilLogged(
  child: ChildProcess,
  logFile: string,
  isReady: (log: string) => Promise<boolean>,
): Promise<void> {
  const reader = await open(logFile);
  let output = '';
  try {
    await waitUntilReady(child, async () => {
      // From where the last call ended.
      output += await reader.readFile('utf8');
      return isReady(output);
    });
  } finally {
    await reader.close();
  }
}

/** Waits until the program prints `listening PORT…`, and returns its ports. */
export function waitForPorts(child: ChildProcess): Promise<readonly number[]> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`no response within ${START_TIMEOUT_MS / 1000} s`));
    }, START_TIMEOUT_MS);
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      const ports = /^listening ([\d ]+)\n/m.exec(output)?.[1];
      if (ports === undefined) return;
      clearTimeout(timer);
      resolve(ports.split(' ').map(Number));
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      reject(new Error(`it exited with ${signal ?? `status ${code}`}`));
    });
  });
}

/**
 * Waits until a program is ready. A question that fails means no.
 *
 * @throws Error if it ends instead, or takes too long
 */
export async function waitUntilReady(child: ChildProcess, isReady: () => Promise<boolean>): Promise<void> {
  let problem: Error | undefined;
  child.once('error', (error) => (problem = error));
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await isReady().catch(() => false))) {
    if (problem !== undefined) throw problem;
    if (hasEnded(child)) throw new Error(`it exited with ${child.signalCode ?? `status ${child.exitCode}`}`);
    if (Date.now() > deadline) throw new Error(`it did not start within ${START_TIMEOUT_MS / 1000} s`);
    await sleep(PAUSE_MS);
  }
}

/** Whether a program has ended or could not be started. */
function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

/** Ends a program, and waits for its end. */
export async function endChild(
  child: ChildProcess,
  { signal = 'SIGTERM', timeoutMs = STOP_TIMEOUT_MS }: Ending = {},
): Promise<void> {
  if (hasEnded(child)) return;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  child.kill(signal);
  await ended;
  clearTimeout(timer);
}
