/**
 * Lets a deadline of the plugin pass when the test says so, for runs in a process of their own: a short deadline could pass
 * before a busy machine comes to what it is about. It works with Node, and not with a packaged executable.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Home } from './home.ts';
import type { RunningProgram } from './stress.ts';
import { waitUntil } from './wait-until.ts';

/** A deadline that passes with the jump and not before, in seconds. */
export const UNTIL_JUMP = '3000';

/** How far the clock jumps, in ms. */
const JUMP_MS = 7_200_000;

/** A timer as long as this is a deadline, in ms. Without a jump, it does not pass. */
const LONG_MS = 10_000;

export interface TimeJump {
  /** The variables of the runs. */
  readonly settings: Readonly<Record<string, string>>;
  /** Waits until a run pauses between two attempts, as at a lock: its time began before. */
  readonly waitUntilPaused: (run: Pick<RunningProgram, 'pid'>) => Promise<void>;
  /** Lets two hours pass for all runs that wait. The system clock stays. */
  readonly jump: () => void;
}

/** Prepares runs in this home. */
export function prepareTimeJump(home: Home): TimeJump {
  const [script, mark] = [join(home.path, 'time-jump.cjs'), join(home.path, 'time-has-jumped')];
  const paused = join(home.path, 'paused-');
  writeFileSync(
    script,
    `const { existsSync, writeFileSync } = require('node:fs');
const timers = require('node:timers/promises');
const pause = timers.setTimeout;
timers.setTimeout = (...args) => {
  writeFileSync(${JSON.stringify(paused)} + process.pid, '');
  return pause(...args);
};
const hasJumped = () => existsSync(${JSON.stringify(mark)});
const { setTimeout } = globalThis;
globalThis.setTimeout = Object.assign((task, ms, ...args) => {
  // What begins after the jump has its own time.
  if (!(ms >= ${LONG_MS}) || hasJumped()) return setTimeout(task, ms, ...args);
  const timer = setInterval(() => {
    if (!hasJumped()) return;
    clearInterval(timer);
    task(...args);
  }, 20);
  return timer;
}, setTimeout);
const now = performance.now.bind(performance);
performance.now = () => now() + (hasJumped() ? ${JUMP_MS} : 0);
`,
  );
  const jump = (): void => {
    writeFileSync(mark, '');
  };
  const waitUntilPaused = async ({ pid }: Pick<RunningProgram, 'pid'>): Promise<void> => {
    await waitUntil('a run that pauses', () => existsSync(`${paused}${pid}`));
  };
  return { settings: { NODE_OPTIONS: `--require ${script}` }, waitUntilPaused, jump };
}
