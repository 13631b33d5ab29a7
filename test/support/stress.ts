/**
 * The sizes of the tests in test/stress: with CKA_STRESS=full those of the bar in the threat model, else what a small machine
 * does in passing. And what these tests share: many runs at a time, and tools that a laptop may lack but CI may not.
 */
import { execFileSync, spawn } from 'node:child_process';
import type { Test } from 'tap';
import { makeIsolatedCommand } from './run-plugin.ts';
import type { RunResult } from './run-plugin.ts';

export const FULL_SIZE: boolean = process.env['CKA_STRESS'] === 'full';

export const pickSize = (full: number, short: number): number => (FULL_SIZE ? full : short);

/** Why a test that needs a tool is skipped, or false. CI has no excuse. */
export function skipWithout(what: string, isThere: () => boolean): string | false {
  if (isThere()) return false;
  if (/^(?:true|1)$/.test(process.env['CI'] ?? '')) throw new Error(`CI must have ${what}`);
  return `no ${what} here`;
}

export function canRun(file: string, ...args: string[]): boolean {
  try {
    execFileSync(file, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export interface TimedRun extends RunResult {
  readonly ms: number;
}

export interface RunningProgram {
  readonly pid: number;
  readonly ended: Promise<TimedRun>;
}

/** Starts a program with this environment and nothing else, in a session of its own. */
export function startProgram(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd = '/',
): RunningProgram {
  const [name = '', ...words] = command;
  const [file, args, options] = makeIsolatedCommand(name, words, env);
  const startedAt = performance.now();
  const child = spawn(file, args, { ...options, cwd, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<TimedRun>((done, fail) => {
    child.once('error', fail).once('close', (status, signal) => {
      done({ status, signal, stdout, stderr, ms: performance.now() - startedAt });
    });
  });
  return { pid: child.pid ?? 0, ended };
}

/** Works through a list, `width` at a time; each worker has its own number. */
export async function runInWorkers<T>(
  width: number,
  items: readonly T[],
  work: (item: T, worker: number) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: width }, async (_, worker) => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item, worker);
    }),
  );
}

/** The token of a document; undefined unless stdout holds exactly one valid document. */
export function parseToken(stdout: string): string | undefined {
  return /^\{"apiVersion":"client\.authentication\.k8s\.io\/v1","kind":"ExecCredential","status":\{"expirationTimestamp":"[-0-9]{10}T[:0-9]{8}Z","token":"([!-~]+)"\}\}\n$/.exec(
    stdout,
  )?.[1];
}

/** Fails once with a list instead of a thousand times. */
export function checkNoProblems(t: Test, problems: readonly string[], figure: string): void {
  t.strictSame(problems.slice(0, 20), [], figure);
  t.comment(figure);
}

export const formatSeconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
