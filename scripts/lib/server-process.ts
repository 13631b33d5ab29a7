// Waits for server programs that print `listening PORT…` when they respond, and ends them.

import type { ChildProcess } from 'node:child_process';

/** How long a server may take to start, in ms, on a busy machine too. */
export const START_TIMEOUT_MS = 900_000;

const stopTimeoutMs = 3000;

/** Waits until the program prints its ports, and returns them. */
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

/** Ends a program, and waits for its end. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
  child.kill('SIGTERM');
  await ended;
  clearTimeout(timer);
}
