// A pseudo-terminal for tests of prompts, echo, Ctrl-C and the terminal settings before and after a run. All programs
// started here are killed with the test process at the latest.

import { spawn } from '@lydell/node-pty';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, constants, existsSync, openSync, readFileSync, readdirSync, writeSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { constants as osConstants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify, stripVTControlCharacters } from 'node:util';

import { HANG_GUARD_MS, waitUntil } from './wait-until.ts';

export interface TerminalCommand {
  file: string;
  args?: readonly string[];
  /** The whole environment of the program; by default that of the test. TERM and PWD are always set. */
  env?: Readonly<Record<string, string | undefined>>;
  cwd?: string;
  cols?: number;
}

export interface TerminalExit {
  exitCode: number;
  signal: NodeJS.Signals | undefined;
}

export interface Terminal {
  /** The process of the program, which leads the session of this terminal. */
  readonly pid: number;
  readonly ended: Promise<TerminalExit>;
  /**
   * Resolves with the first match in `screen()` after the previous match, so that two prompts with the same text match
   * twice.
   * @throws if there is no match before the end of the program, or for minutes
   */
  waitFor(pattern: string | RegExp): Promise<string>;
  /** Sends the input of keys; Enter is `\r`, Ctrl-C `\x03`, Ctrl-D `\x04`, Ctrl-Z `\x1a`. */
  type(text: string): void;
  signal(name: NodeJS.Signals): void;
  /** The output so far, without escape sequences and with plain line feeds. */
  screen(): string;
  /** The output so far, byte for byte. */
  raw(): string;
  /** The current settings as `stty -a` prints them, while the terminal is open. */
  settings(): Promise<string>;
  /** Kills all processes that still run in the session of the terminal. */
  close(): Promise<void>;
}

export interface SttyResult extends TerminalExit {
  before: string;
  after: string;
  /** The settings each time the program was stopped (SIGTSTP, Ctrl-Z). */
  whileStopped: string[];
  screen: string;
}

const graceMs = 300;

const run = promisify(execFile);
const openSessions = new Set<number>();
let watchesExit = false;

/**
 * Makes sure that all output of a terminal is read. When the last program closes the terminal, libuv treats what it can
 * read at that moment as the end, while the kernel can still have more. So this holds the device open until node-pty,
 * which notices the end of the program, closes it. Then it writes a mark to the device: when the mark arrives, all
 * output before it has arrived too.
 *
 * @returns what to do with the output so far whenever more arrives; it returns the output without the mark
 */
function readToTheEnd(socket: Socket, device: string): (output: string) => string {
  // A write that waits would prevent this process from reading.
  const descriptor = openSync(device, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  socket.once('close', () => {
    closeSync(descriptor);
  });
  const mark = `<end ${randomUUID()}>`;
  let unwritten: string | undefined;
  const writeMark = (): void => {
    try {
      unwritten = unwritten?.slice(writeSync(descriptor, unwritten));
    } catch (error) {
      // The device is full until this process has read some of it.
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    }
  };
  const close = socket.destroy.bind(socket);
  socket.destroy = (error?: Error) => {
    if (error !== undefined) return close(error);
    if (unwritten !== undefined) return socket;
    unwritten = mark;
    writeMark();
    return socket;
  };
  return (output) => {
    if (unwritten === undefined) return output;
    const [before = '', after] = output.split(mark);
    if (after === undefined) {
      if (unwritten !== '') writeMark();
      return output;
    }
    close();
    return before + after;
  };
}

/** Starts a program on a terminal of its own. It is killed if it runs for minutes. */
export function openTerminal({ file, args = [], env, cwd, cols = 80 }: TerminalCommand): Terminal {
  const pty = spawn(file, [...args], {
    name: 'xterm',
    cols,
    rows: 24,
    cwd: cwd ?? process.cwd(),
    env: env ?? process.env,
  });
  const device = 'ptsName' in pty && typeof pty.ptsName === 'string' ? pty.ptsName : undefined;
  killOnExit(pty.pid);
  const endOutput =
    device !== undefined && '_socket' in pty && pty._socket instanceof Socket
      ? readToTheEnd(pty._socket, device)
      : (text: string): string => text;

  let output = '';
  let searchedTo = 0;
  let exit: TerminalExit | undefined;
  const wake = new Set<() => void>();
  const wakeAll = (): void => {
    for (const callback of [...wake]) callback();
  };
  pty.onData((text) => {
    output = endOutput(output + text);
    wakeAll();
  });
  const hangGuard = setTimeout(() => {
    killSession(pty.pid, 'SIGKILL');
  }, HANG_GUARD_MS);
  const ended = new Promise<TerminalExit>((resolve) => {
    pty.onExit(({ exitCode, signal }) => {
      clearTimeout(hangGuard);
      exit = { exitCode, signal: signalName(signal) };
      resolve(exit);
      wakeAll();
    });
  });

  const screen = (): string => stripVTControlCharacters(output).replaceAll('\r\n', '\n');

  const takeMatch = (pattern: string | RegExp): string | undefined => {
    const text = screen().slice(searchedTo);
    const match = typeof pattern === 'string' ? { 0: pattern, index: text.indexOf(pattern) } : pattern.exec(text);
    if (match === null || match.index < 0) return undefined;
    searchedTo += match.index + match[0].length;
    return match[0];
  };

  const waitFor = async (pattern: string | RegExp): Promise<string> => {
    const deadline = performance.now() + HANG_GUARD_MS;
    for (;;) {
      const match = takeMatch(pattern);
      if (match !== undefined) return match;
      const remaining = deadline - performance.now();
      if (exit !== undefined || remaining <= 0) {
        const why = exit === undefined ? `after ${HANG_GUARD_MS} ms` : `at the end (exit code ${exit.exitCode})`;
        throw new Error(`${String(pattern)} not shown ${why}; shown: ${JSON.stringify(screen())}`);
      }
      await new Promise<void>((resolve) => {
        const finish = (): void => {
          clearTimeout(timer);
          wake.delete(finish);
          resolve();
        };
        const timer = setTimeout(finish, remaining);
        wake.add(finish);
      });
    }
  };

  const settings = async (): Promise<string> => {
    if (device === undefined) throw new Error('this terminal has no device');
    const { stdout } = await run('stty', ['-a', process.platform === 'linux' ? '-F' : '-f', device]);
    return stdout;
  };

  const close = async (): Promise<void> => {
    killSession(pty.pid, 'SIGHUP');
    await Promise.race([ended, sleep(graceMs)]);
    killSession(pty.pid, 'SIGKILL');
    await ended;
    openSessions.delete(pty.pid);
  };

  return {
    pid: pty.pid,
    ended,
    waitFor,
    type: (text) => pty.write(text),
    signal: (name) => killProcess(pty.pid, name),
    screen,
    raw: () => output,
    settings,
    close,
  };
}

// A minimal interactive shell. `set -m` gives the program a process group of its own, as an interactive shell does:
// otherwise the kernel drops SIGTSTP, because the group is an orphan, and Ctrl-C also ends the shell. `stty` reads the
// settings on the terminal itself, before and after, and writes them to files, so that the screen contains the output
// of the program only. `jobs` writes a file because in a pipeline dash uses the job table of a subshell, which is
// empty. The trap keeps dash alive when SIGINT ends the program; the program itself has the default action.
const shellScript = `
set -m
trap : INT
out=$1
shift
stty -a >"$out/before"
sh -c 'echo $$ >"$0/pid.new" && mv "$0/pid.new" "$0/pid" && exec "$@"' "$out" "$@"
code=$?
stops=0
while jobs >"$out/jobs" && grep -q -i -e stopped -e suspended "$out/jobs"; do
  stops=$((stops + 1))
  stty -a >"$out/stopped-$stops"
  fg >/dev/null
  code=$?
done
stty -a >"$out/after"
exit "$code"
`;

/**
 * Runs a program under a shell that reads the terminal settings before and after it. If the program stops itself, the
 * shell reads the settings into `whileStopped` and continues it. In `during`, `pid` and `signal` of the terminal refer
 * to the program, not to the shell; `exitCode` is `$?` of the shell (128 + n for signal n).
 */
export async function runWithStty(
  command: TerminalCommand,
  during: (terminal: Terminal) => Promise<void>,
): Promise<SttyResult> {
  const directory = await mkdtemp(join(tmpdir(), 'stty-'));
  const args = ['-c', shellScript, 'sh', directory, command.file, ...(command.args ?? [])];
  const terminal = openTerminal({ ...command, file: '/bin/sh', args });
  try {
    const pid = await readProgramPid(join(directory, 'pid'));
    await during({ ...terminal, pid, signal: (name) => killProcess(pid, name) });
    const { exitCode, signal } = await terminal.ended;
    const stops = (await readdir(directory)).filter((name) => name.startsWith('stopped-')).sort();
    return {
      exitCode,
      signal,
      before: await readFile(join(directory, 'before'), 'utf8'),
      after: await readFile(join(directory, 'after'), 'utf8'),
      whileStopped: await Promise.all(stops.map((name) => readFile(join(directory, name), 'utf8'))),
      screen: terminal.screen(),
    };
  } finally {
    await terminal.close();
    await rm(directory, { recursive: true, force: true });
  }
}

async function readProgramPid(path: string): Promise<number> {
  await waitUntil('the start of the program', () => existsSync(path));
  return Number(await readFile(path, 'utf8'));
}

function signalName(number: number | undefined): NodeJS.Signals | undefined {
  const match = Object.entries(osConstants.signals).find(([, value]) => value === number);
  // The keys of this table are the names in NodeJS.Signals.
  return match?.[0] as NodeJS.Signals | undefined;
}

function killOnExit(session: number): void {
  openSessions.add(session);
  if (watchesExit) return;
  watchesExit = true;
  process.on('exit', () => {
    for (const open of openSessions) killSession(open, 'SIGKILL');
  });
}

// Job control splits a session into several process groups, so killing one group does not reach all processes.
function killSession(session: number, name: NodeJS.Signals): void {
  for (const pid of processesOfSession(session)) killProcess(pid, name);
}

function processesOfSession(session: number): number[] {
  if (process.platform !== 'linux') return [session, -session];
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => sessionOf(pid) === session);
}

function sessionOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The fields after the command, which is in parentheses and can contain spaces, are state, parent, group and
    // session.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]);
  } catch {
    return undefined;
  }
}

function killProcess(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
