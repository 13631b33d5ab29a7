// Delays what a process hears of its child processes, and stops the process itself for moments, as a system does whose
// processors are busy.

import { ChildProcess } from 'node:child_process';
import { Socket } from 'node:net';

import type { Delays } from './delays.ts';
import { pauseAtRandom } from './sockets.ts';

interface ChildParts {
  readonly _handle?: { onexit: (...args: readonly unknown[]) => void } | null;
}

interface ChildInternals {
  spawn(options: unknown): number;
}

/** Delays the output of child processes, and the news of their end. */
function delayChildren(delays: Delays): void {
  const internals = ChildProcess.prototype as unknown as ChildInternals;
  const spawn: (this: ChildProcess, options: unknown) => number = Reflect.get(internals, 'spawn');
  Reflect.set(internals, 'spawn', function (this: ChildProcess, options: unknown): number {
    const result = spawn.call(this, options);
    const { _handle: handle } = this as unknown as ChildParts;
    if (handle !== null && handle !== undefined) {
      const { onexit } = handle;
      handle.onexit = (...args) => {
        delays.run('child', () => {
          onexit(...args);
        });
      };
    }
    for (const stream of this.stdio) {
      if (stream instanceof Socket) pauseAtRandom(stream, delays);
    }
    return result;
  });
}

const STALL_EVERY_MS = 40;

/** Delays child processes, and this process. */
export function delayProcesses(delays: Delays): void {
  delayChildren(delays);
  delays.block('stall');
  setInterval(() => {
    delays.block('stall');
  }, STALL_EVERY_MS).unref();
}
