/**
 * Who else is a process, beyond its number: /proc/PID/stat (proc(5)). A pid and its start time name a process for as long
 * as the machine runs. Where the kernel put its memory is something else: random, on no disk, readable only by its own
 * user, and gone with the process; so it can key a tag that must mean nothing to whoever finds the tag later.
 */
import { readFileSync } from 'node:fs';

export interface ProcessIdentity {
  /** Pid and start time. */
  readonly id: string;
  /** Addresses of its stack, heap and arguments; undefined where the kernel hides them. */
  readonly memoryLayout: string | undefined;
  readonly sessionLeaderPid: number;
}

/** Fields of proc(5), numbered as there, counted from the state, which is the third and follows the name. */
const field = (fields: readonly string[], number: number): string => fields[number - 3] ?? '';

/** startstack, start_brk, arg_start and env_start: each is random by itself. */
const LAYOUT_FIELDS = [28, 47, 48, 50];

/** Identifies a process; undefined where there is no /proc, or no such process. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The name stands in parentheses and may hold anything, parentheses and spaces too.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    id: `${pid} ${field(fields, 22)}`,
    // Not looked at by a cache hit.
    get memoryLayout() {
      const layout = LAYOUT_FIELDS.map((number) => field(fields, number));
      return layout.every((address) => /^[1-9]\d*$/.test(address)) ? layout.join(' ') : undefined;
    },
    sessionLeaderPid: Number(field(fields, 6)),
  };
}
