/**
 * What the tests in test/stress share: many runs at a time, and their size. With CKA_STRESS=full it is the size that the
 * security model promises, otherwise one that a small machine can handle.
 */
import { spawn } from 'node:child_process';
import type { Test } from 'tap';
import { collectResult } from '../../scripts/lib/child-result.ts';
import { makeIsolatedCommand } from './run-plugin.ts';
import type { RunResult } from './run-plugin.ts';
import { HANG_GUARD_MS } from './wait-until.ts';

export { FULL_SIZE, pickSize } from './test-size.ts';

/**
 * Arguments for a run that must not wait. If it waits for a lock or for a response, it waits longer than any test, and
 * is killed in the end; a busy machine only delays it.
 */
export const PATIENT: readonly string[] = ['--timeout', '3600'];

export interface RunningProgram {
  readonly pid: number;
  readonly ended: Promise<RunResult>;
}

/** Starts a program in a session of its own, with only this environment. It is killed if it runs for minutes. */
export function startProgram(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd = '/',
): RunningProgram {
  const [name = '', ...words] = command;
  const [file, args, options] = makeIsolatedCommand(name, words, env);
  const child = spawn(file, args, {
    ...options,
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    timeout: HANG_GUARD_MS,
    killSignal: 'SIGKILL',
  });
  return { pid: child.pid ?? 0, ended: collectResult(child) };
}

/** Processes a list with `width` workers at a time. Each worker has its own number. */
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

/** Returns the token of a document; undefined unless stdout contains exactly one valid document. */
export function parseToken(stdout: string): string | undefined {
  return /^\{"apiVersion":"client\.authentication\.k8s\.io\/v1","kind":"ExecCredential","status":\{"expirationTimestamp":"[-0-9]{10}T[:0-9]{8}Z","token":"([!-~]+)"\}\}\n$/.exec(
    stdout,
  )?.[1];
}

/** Checks that there are no problems: one failure with a list instead of a thousand failures. */
export function checkNoProblems(t: Test, problems: readonly string[], figure: string): void {
  t.strictSame(problems.slice(0, 20), [], figure);
  t.comment(figure);
}
