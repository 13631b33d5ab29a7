// Waits for a child process, and collects its output.

import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';

/** How a child process ended, and what it wrote. */
export interface ChildResult {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Waits until a child process and its pipes have ended. Call it before the first chunk can arrive. */
export function collectResult(child: ChildProcess & { stdout: Readable; stderr: Readable }): Promise<ChildResult> {
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  return new Promise((resolve, reject) => {
    child.once('error', reject).once('close', (status, signal) => {
      resolve({ status, signal, stdout, stderr });
    });
  });
}
