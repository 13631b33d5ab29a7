// A pseudo-terminal, for everything that only happens on one: prompts, echo, Ctrl-C, and the promise that the terminal's
// settings after a run are those before it. Whatever is started here is killed with the test process at the latest.

import { spawn } from '@lydell/node-pty';
import { execFile } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { constants as osConstants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify, stripVTControlCharacters } from 'node:util';

export interface TerminalCommand {
  file: string;
  args?: readonly string[];
  /** The whole environment of the program; without it the test's own. TERM and PWD are set in any case. */
  env?: Readonly<Record<string, string | undefined>>;
  cwd?: string;
  cols?: number;
}

export interface TerminalExit {
  exitCode: number;
  signal: NodeJS.Signals | undefined;
}

export interface Terminal {
  /** The program's process; it leads a session of its own, with this terminal. */
  readonly pid: number;
  readonly ended: Promise<TerminalExit>;
  /**
   * Resolves with the first match after the last one found, so that two prompts of the same text are two matches. Looks
   * at `screen()`.
   * @throws when the time is over or the program has ended without it
   */
  waitFor(wanted: string | RegExp, timeoutMs?: number): Promise<string>;
  /** What a user's keys would send; Enter is `\r`, Ctrl-C `\x03`, Ctrl-D `\x04`, Ctrl-Z `\x1a`. */
  type(text: string): void;
  signal(name: NodeJS.Signals): void;
  /** Everything shown so far, without escape sequences and with plain newlines. */
  screen(): string;
  /** Everything shown so far, byte for byte. */
  raw(): string;
  /** The settings at this moment, as `stty -a` prints them. Works while the terminal is open. */
  settings(): Promise<string>;
  /** Ends whatever still runs in the terminal's session. */
  close(): Promise<void>;
}

export interface SttyResult extends TerminalExit {
  before: string;
  after: string;
  /** One for each time the program was stopped (SIGTSTP, Ctrl-Z). */
  whileStopped: string[];
  screen: string;
}

const defaultTimeoutMs = 10_000;
const graceMs = 300;

const run = promisify(execFile);
const openSessions = new Set<number>();
let watchesExit = false;

/** What the kernel may take to hand on what was written, in ms. */
const DRAIN_MS = 100;

/**
 * Lets a terminal be read to its end. When the last program that has it open is gone, libuv takes what it can read at
 * that moment for all there is, while the kernel may still have more; so it is held open here, until node-pty, which hears
 * of the end of the program, closes it and what is left has been read.
 */
function readToTheEnd(socket: Socket, device: string): void {
  const held = openSync(device, constants.O_RDWR | constants.O_NOCTTY);
  socket.once('close', () => {
    closeSync(held);
  });
  const close = socket.destroy.bind(socket);
  socket.destroy = (error?: Error) => {
    if (error !== undefined) return close(error);
    // An immediate comes after the reading of its turn, a timer alone before.
    setTimeout(() => setImmediate(close), DRAIN_MS);
    return socket;
  };
}

/** Starts a program on a terminal of its own. */
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
  if (device !== undefined && '_socket' in pty && pty._socket instanceof Socket) readToTheEnd(pty._socket, device);

  let shown = '';
  let searchedTo = 0;
  let ending: TerminalExit | undefined;
  const wake = new Set<() => void>();
  const wakeAll = (): void => {
    for (const callback of [...wake]) callback();
  };
  pty.onData((text) => {
    shown += text;
    wakeAll();
  });
  const ended = new Promise<TerminalExit>((resolve) => {
    pty.onExit(({ exitCode, signal }) => {
      ending = { exitCode, signal: signalName(signal) };
      resolve(ending);
      wakeAll();
    });
  });

  const screen = (): string => stripVTControlCharacters(shown).replaceAll('\r\n', '\n');

  const takeMatch = (wanted: string | RegExp): string | undefined => {
    const text = screen().slice(searchedTo);
    const match = typeof wanted === 'string' ? { 0: wanted, index: text.indexOf(wanted) } : wanted.exec(text);
    if (match === null || match.index < 0) return undefined;
    searchedTo += match.index + match[0].length;
    return match[0];
  };

  const waitFor = async (wanted: string | RegExp, timeoutMs = defaultTimeoutMs): Promise<string> => {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const match = takeMatch(wanted);
      if (match !== undefined) return match;
      const remaining = deadline - Date.now();
      if (ending !== undefined || remaining <= 0) {
        const why = ending === undefined ? `after ${timeoutMs} ms` : `at the end (exit code ${ending.exitCode})`;
        throw new Error(`${String(wanted)} not shown ${why}; shown: ${JSON.stringify(screen())}`);
      }
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          wake.delete(done);
          resolve();
        };
        const timer = setTimeout(done, remaining);
        wake.add(done);
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
    raw: () => shown,
    settings,
    close,
  };
}

// A user's shell in small. `set -m` gives the program a process group of its own, as an interactive shell would: else
// the kernel drops SIGTSTP (the group would be an orphan) and Ctrl-C would end the shell as well. The settings are read
// by `stty` on the terminal itself, before and after, and written to files so that the screen stays the program's. (And
// `jobs` writes a file because in a pipeline dash would look at the job table of a subshell, which is empty. The
// trap keeps dash from following a program into death by SIGINT; a program started by it has the default action again.)
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
 * Runs a program under a shell, reading the terminal's settings before and after. A program that stops itself is
 * continued at once, after a reading in `whileStopped`. In `during`, the terminal's `pid` and `signal` are the
 * program's, not the shell's; `exitCode` is the shell's `$?` (128 + n for signal n).
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
  const deadline = Date.now() + defaultTimeoutMs;
  for (;;) {
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text !== undefined) return Number(text);
    if (Date.now() > deadline) throw new Error('the program did not start');
    await sleep(5);
  }
}

function signalName(number: number | undefined): NodeJS.Signals | undefined {
  const found = Object.entries(osConstants.signals).find(([, value]) => value === number);
  // The names are the keys of the very table that NodeJS.Signals lists.
  return found?.[0] as NodeJS.Signals | undefined;
}

function killOnExit(session: number): void {
  openSessions.add(session);
  if (watchesExit) return;
  watchesExit = true;
  process.on('exit', () => {
    for (const open of openSessions) killSession(open, 'SIGKILL');
  });
}

// Job control spreads a session over several process groups, so that one kill of the group does not reach them all.
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
    // After the command in parentheses, which may itself hold blanks: state, parent, group, session.
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
