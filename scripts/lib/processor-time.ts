import { readFileSync } from 'node:fs';

/** The unit of times in /proc, which is 10 ms on every processor that Node supports. */
const TICKS_PER_SECOND = 100;

/** Returns the processor time of this process, in seconds. */
export function readOwnSeconds(): number {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  return (userCPUTime + systemCPUTime) / 1e6;
}

/**
 * Returns the processor time of child processes that have ended, and of their children, in seconds. It is known on
 * Linux only (proc(5), /proc/PID/stat: cutime, cstime); elsewhere 0.
 */
export function readChildSeconds(): number {
  if (process.platform !== 'linux') return 0;
  // The second field, the name of the program, can contain spaces and parentheses.
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}
