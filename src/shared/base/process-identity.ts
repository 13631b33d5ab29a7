/**
 * Identifies processes by /proc/PID/stat (proc(5)). A pid and its start time are unique while the machine runs. The
 * addresses of a process's memory are random, are on no disk, are readable by its own user only, and disappear with the
 * process. They can therefore key a tag that must reveal nothing to anyone who finds the tag later.
 */
import { readFileSync } from 'node:fs';

export interface ProcessIdentity {
  /** Pid and start time. */
  readonly id: string;
  /** Addresses of its stack, heap and arguments; undefined if the kernel hides them. */
  readonly memoryLayout: string | undefined;
  readonly parentPid: number;
}

/** A field by its number in proc(5). The first of `fields` is number 3, the state, which follows the name. */
const field = (fields: readonly string[], number: number): string => fields[number - 3] ?? '';

/** startstack, start_brk, arg_start and env_start: each is random on its own. */
const LAYOUT_FIELDS = [28, 47, 48, 50];

/** Reads the fields of a process from number 3 on; undefined without /proc, or if the process does not exist. */
function readFields(pid: number): readonly string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name is in parentheses and may contain anything, including parentheses and spaces.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** Identifies a process; undefined without /proc, or if the process does not exist. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const fields = readFields(pid);
  if (fields === undefined) return undefined;
  return {
    id: `${pid} ${field(fields, 22)}`,
    // Computed on demand: a cache hit does not need it.
    get memoryLayout() {
      const layout = LAYOUT_FIELDS.map((number) => field(fields, number));
      return layout.every((address) => /^[1-9]\d*$/.test(address)) ? layout.join(' ') : undefined;
    },
    parentPid: Number(field(fields, 4)),
  };
}

/**
 * Identifies the job that a process belongs to, by the numbers of its terminal and its process group; undefined if it
 * has no terminal, or without /proc. Only one job of a terminal can read from it: the kernel stops others that do.
 */
export function identifyJob(pid: number): string | undefined {
  const fields = readFields(pid) ?? [];
  const [group, terminal] = [field(fields, 5), field(fields, 7)];
  return /^[1-9]\d*$/.test(terminal) ? `${terminal}-${group}` : undefined;
}

/**
 * Reads the variables that a process started with (/proc/PID/environ); undefined without /proc, or if the process
 * belongs to another user.
 */
export function readInitialVariables(pid: number): Readonly<Record<string, string | undefined>> | undefined {
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    return Object.fromEntries(
      entries.flatMap((entry) => {
        const end = entry.indexOf('=');
        return end > 0 ? [[entry.slice(0, end), entry.slice(end + 1)]] : [];
      }),
    );
  } catch {
    return undefined;
  }
}
