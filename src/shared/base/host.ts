/** The only file that uses `process`: what a run reads from its machine and does to it. */
import { existsSync, fstatSync, statSync, writeSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { block } from './block.ts';
import { ConfigError, getErrorCode } from './errors.ts';
import { identifyJob, identifyProcess, readInitialVariables } from './process-identity.ts';
import type { ProcessIdentity } from './process-identity.ts';
import type { TerminalText } from './terminal-text.ts';

/** The variable with the input of kubectl, which sets it after those of the kubeconfig. */
export const EXEC_INFO = 'KUBERNETES_EXEC_INFO';

/** Variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Signals that end or suspend a program while it prompts. */
export type PromptSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGQUIT' | 'SIGTSTP' | 'SIGCONT';

/** The environment of a run, injected so that tests can replace it. */
export interface Host {
  /** Arguments without the name of the program. */
  readonly argv: readonly string[];
  readonly pid: number;
  /** Path of the Node executable. */
  readonly execPath: string;
  readonly env: Environment;
  /** The current folder; empty if it has been deleted. */
  readonly cwd: string;
  readonly platform: NodeJS.Platform;
  /** The effective uid; undefined on Windows. */
  readonly uid: number | undefined;
  readonly nodeVersion: string;
  /** Folders for files that end with the session or the machine; none of them need exist. No variable changes them. */
  readonly temporaryFolders: readonly string[];
  /** The user's home folder, if any. */
  home(): string | undefined;
  /** The home folder in the system's accounts; variables do not change it. */
  accountHome(): string | undefined;
  /** Milliseconds since 1970, UTC. */
  readonly now: () => number;
  /** Width of the terminal in columns; undefined if stdout is not a terminal. */
  columns(): number | undefined;
  /** Whether stdout is a device where somebody may read: a terminal, as a rule. To find out more takes longer. */
  stdoutIsDevice(): boolean;
  /** Writes to stdout; returns why that failed. A closed pipe is not a failure. */
  writeOut(text: TerminalText): string | undefined;
  writeErr(text: TerminalText): void;
  /** The process that started this one; undefined if it cannot be identified. */
  identifyParent(): ProcessIdentity | undefined;
  identifyProcess(pid: number): ProcessIdentity | undefined;
  /** The job of a terminal that this process belongs to; undefined if there is no terminal, or without /proc. */
  identifyJob(): string | undefined;
  /** Whether a process with this pid exists; it can belong to another user. */
  isRunning(pid: number): boolean;
  /**
   * The variables that the person set, without those of a kubeconfig: all variables if kubectl did not start this
   * process, else those that kubectl itself was started with, or none where the system does not tell them.
   */
  personalVariables(): Environment;
  /**
   * Sets the variables of a kubeconfig, as kubectl does before it starts this program: everything reads them from then
   * on, and the person's own stay what they were.
   */
  setKubeconfigVariables(variables: Environment): void;
  /** Removes variables, so that no library of this process reads them. */
  unsetVariables(names: readonly string[]): void;
  stderrIsTerminal(): boolean;
  /** Suppresses Node's own warnings and debugging output: stderr is for messages to the user. */
  silenceNode(): void;
  /** Loads a native addon and returns its exports. */
  loadAddon(path: string): unknown;
  setExitStatus(status: number): void;
  /** Ends the process without V8's teardown, which takes 3 % of a cache hit. */
  exit(): void;
  /** Ends the process like `exit`; except on Windows, even if a thread is blocked in a system call, as in a DNS lookup. */
  exitNow(): void;
  /** Calls `listener` with an error that nothing else handles; the process then continues. */
  onUnhandledError(listener: (error: unknown) => void): void;
  /** Calls `listener` when nothing is left to wait for, before the process ends by itself. */
  onIdle(listener: () => void): void;
  /** Calls `listener` when anything ends the process, except for a signal, until the returned function is called. */
  onExit(listener: () => void): () => void;
  /** Calls `listener` on the signal until the returned function is called. */
  onSignal(signal: PromptSignal, listener: () => void): () => void;
  /** Sends a signal to this process; does nothing on Windows, where the exit status says what happened. */
  raise(signal: PromptSignal): void;
}

/** A text of these characters has as many bytes as characters. */
const ASCII = /^[\n -~]*$/;

// On Bun, a function that names a global object creates it when the function is first called, even where it is not used.
// A tenth of a cache hit would be `Buffer`. So this is a function of its own, and so is `block`.
const encode = (text: string): Buffer => Buffer.from(text);

/** Writes the beginning, and returns what is left. */
function writeSome(fd: number, content: string | Buffer): string | Buffer {
  if (typeof content === 'string') return content.slice(writeSync(fd, content));
  return content.subarray(writeSync(fd, content));
}

/**
 * Writes all of the text, or stops silently if the pipe is closed (EPIPE).
 *
 * @returns the code of a failure, such as ENOSPC
 */
function writeAll(fd: number, text: string): string | undefined {
  let rest: string | Buffer = ASCII.test(text) ? text : encode(text);
  while (rest.length > 0) {
    try {
      rest = writeSome(fd, rest);
    } catch (error) {
      const code = getErrorCode(error);
      if (code === 'EPIPE') return undefined;
      if (code !== 'EAGAIN') return code;
      // Another program made the pipe non-blocking, and it is full.
      block(1);
    }
  }
  return undefined;
}

function currentFolder(): string {
  try {
    return process.cwd();
  } catch {
    // Libraries ask for the folder too, and do not expect that it has been deleted.
    process.chdir('/');
    return '';
  }
}

/**
 * Finds the home folder that the variables name. One that is empty or relative is none: it would be in the current
 * folder, which can belong to anybody.
 *
 * @param findOther where it is without the variable
 */
export function findHome(env: Environment, findOther: () => string): string | undefined {
  try {
    const home = env['HOME'] ?? findOther();
    return isAbsolute(home) ? home : undefined;
  } catch {
    return undefined;
  }
}

// Loading node:os takes longer than the fast path needs for the rest of this.
const readHome = (): string | undefined => findHome(process.env, () => process.getBuiltinModule('node:os').homedir());

const readAccountHome = (): string | undefined =>
  findHome({}, () => process.getBuiltinModule('node:os').userInfo().homedir);

function silenceNode(): void {
  process.removeAllListeners('warning');
  // NODE_DEBUG in a kubeconfig would make Node print what it sends. The plugin itself writes to the descriptor.
  if (process.env['NODE_DEBUG'] !== undefined) {
    const silent = { isTTY: process.stderr.isTTY, write: () => true };
    Object.defineProperty(process, 'stderr', { value: silent, configurable: true });
  }
}

// Not `process.stdout.isTTY`, which makes a stream first.
const isTerminal = (fd: number): boolean => process.getBuiltinModule('node:tty').isatty(fd);

/** Whether the TLS library is BoringSSL, as in Bun, and not OpenSSL. */
export const usesBoringSsl = (): boolean => process.versions['boringssl'] !== undefined;

/** Whether stdout is a device, but not the one that discards everything. */
function isReadableDevice(): boolean {
  const stdout = fstatSync(1);
  return stdout.isCharacterDevice() && stdout.rdev !== statSync('/dev/null', { throwIfNoEntry: false })?.rdev;
}

/** The variables of this process before those of a kubeconfig were added. */
let ownVariables: Environment | undefined;

function personalVariables(): Environment {
  if (ownVariables !== undefined) return ownVariables;
  if (process.env[EXEC_INFO] === undefined) return process.env;
  // kubectl sets this variable itself, after those of the kubeconfig. A wrapper that kubectl started has both.
  const parent = readInitialVariables(process.ppid) ?? {};
  return parent[EXEC_INFO] === undefined ? parent : {};
}

const SHELL = '/bin/sh';

/** Requests that a thread of libuv works on. */
const BLOCKING_REQUEST = /^(?:GetAddrInfo|GetNameInfo|FSReq)/;

function exitNow(): void {
  // Windows has nothing of what follows: SIGKILL gives status 1 there. So Node waits.
  if (process.platform !== 'win32' && process.getActiveResourcesInfo().some((name) => BLOCKING_REQUEST.test(name))) {
    // At its end, Node waits for its threads, and getaddrinfo can block one for a minute. Another program in the place
    // of this one ends them, and has the same exit status.
    if (process.execve !== undefined && existsSync(SHELL)) {
      process.execve(SHELL, ['sh', '-c', `exit ${process.exitCode ?? 0}`], {});
    }
    process.kill(process.pid, 'SIGKILL');
  }
  process.exit();
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return getErrorCode(error) !== 'ESRCH';
  }
}

function loadAddon(path: string): unknown {
  const module = { exports: {} };
  process.dlopen(module, path);
  return module.exports;
}

function listen(event: PromptSignal | 'exit', listener: () => void): () => void {
  process.on(event, listener);
  return () => {
    process.off(event, listener);
  };
}

/** Makes the Host of this process. */
export function makeProcessHost(): Host {
  return {
    argv: process.argv.slice(2),
    pid: process.pid,
    execPath: process.execPath,
    env: process.env,
    cwd: currentFolder(),
    platform: process.platform,
    uid: process.geteuid?.(),
    nodeVersion: process.versions.node,
    temporaryFolders: [`/run/user/${process.geteuid?.()}`, '/dev/shm', '/tmp'],
    home: readHome,
    accountHome: readAccountHome,
    now: Date.now,
    columns: () => (isTerminal(1) ? process.stdout.columns : undefined),
    stdoutIsDevice: isReadableDevice,
    writeOut: (text) => writeAll(1, text),
    writeErr: (text) => {
      writeAll(2, text);
    },
    identifyParent: () => identifyProcess(process.ppid),
    identifyProcess,
    identifyJob: () => identifyJob(process.pid),
    isRunning,
    personalVariables,
    setKubeconfigVariables: (variables) => {
      ownVariables = { ...personalVariables() };
      Object.assign(process.env, variables);
    },
    unsetVariables: (names) => {
      for (const name of names) Reflect.deleteProperty(process.env, name);
    },
    stderrIsTerminal: () => isTerminal(2),
    silenceNode,
    loadAddon,
    setExitStatus: (status) => {
      process.exitCode = status;
    },
    exit: () => {
      process.exit();
    },
    exitNow,
    onUnhandledError: (listener) => {
      process.on('uncaughtException', listener);
      // Bun reports these itself, with lines of the program, unless this event has a listener.
      process.on('unhandledRejection', listener);
    },
    onIdle: (listener) => {
      process.once('beforeExit', listener);
    },
    onExit: (listener) => listen('exit', listener),
    onSignal: listen,
    raise: (signal) => {
      // On Windows, this would be an end with status 1.
      if (process.platform !== 'win32') process.kill(process.pid, signal);
    },
  };
}

/**
 * Returns the folder in which a relative path starts.
 *
 * @throws ConfigError if it has been deleted
 */
export function requireCurrentFolder({ cwd }: Pick<Host, 'cwd'>, path: string): string {
  if (cwd !== '') return cwd;
  throw new ConfigError(`${path} starts in the current folder, which has been deleted`, {
    hint: 'write the whole path, or change to another folder',
  });
}

/**
 * Resolves the path of a file that a setting names: `~` is the home folder, a relative path starts in the current one.
 *
 * @throws ConfigError if the path begins with `~` and there is no home folder, or if the current folder has been deleted
 */
export function resolvePath(path: string, host: Host): string {
  const home = host.home();
  const isInHome = /^~(?=$|[/\\])/.test(path);
  if (isInHome && home === undefined) {
    throw new ConfigError(`${path} is in the home folder, but there is none`, {
      hint: 'write the whole path, or set HOME to your home folder',
    });
  }
  const expanded = isInHome && home !== undefined ? join(home, path.slice(1)) : path;
  return isAbsolute(expanded) ? expanded : resolve(requireCurrentFolder(host, path), expanded);
}

/** Finds the value of a flag in arguments that are not parsed yet; the last one counts. */
export function findFlagValue({ argv }: Pick<Host, 'argv'>, flag: string): string | undefined {
  for (let index = argv.length - 1; index >= 0; index -= 1) {
    const argument = argv[index] ?? '';
    if (argument === flag) return argv[index + 1];
    if (argument.startsWith(`${flag}=`)) return argument.slice(flag.length + 1);
  }
  return undefined;
}
