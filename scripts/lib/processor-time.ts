import { readFileSync } from 'node:fs';

/** The unit of times in /proc, which is 10 ms on every processor that Node supports. */
const TICKS_PER_SECOND = 100;

/** Returns the processor time of this process, in seconds. */
export function readOwnSeconds(): number {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  return (userCPUTime + systemCPUTime) / 1e6;
}

/** Reads two fields of /proc/PID/stat that count ticks, and returns their sum in seconds (proc(5)). */
function readTicks(pid: number | 'self', first: number): number {
  // The second field, the name of the program, can contain spaces and parentheses.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[first]) + Number(fields[first + 1])) / TICKS_PER_SECOND;
}

/** Returns the processor time of a process and its threads, in seconds. Linux only. */
export const readProcessorSeconds = (pid: number): number => readTicks(pid, 11);

/**
 * Returns the processor time of child processes that have ended, and of their children, in seconds. It is known on
 * Linux only; elsewhere 0.
 */
export function readChildSeconds(): number {
  return process.platform === 'linux' ? readTicks('self', 13) : 0;
}
