/** The one file that names `process`: what the machine gives us, and the few things we do to it. */
import { writeSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { getErrorCode } from './errors.ts';
import { identifyProcess } from './process-identity.ts';
import type { ProcessIdentity } from './process-identity.ts';

/** Variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Signals that end or suspend a program that waits at a prompt. */
export type PromptSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGQUIT' | 'SIGTSTP' | 'SIGCONT';

/** Everything a run may know of its surroundings, injected so that tests can replace it. */
export interface Host {
  /** Arguments after the program's own name. */
  readonly argv: readonly string[];
  /** The Node that runs this. */
  readonly execPath: string;
  readonly env: Environment;
  /** The current folder, or the empty string when it has been deleted. */
  readonly cwd: string;
  readonly platform: NodeJS.Platform;
  /** The effective uid; undefined on Windows. */
  readonly uid: number | undefined;
  readonly nodeVersion: string;
  /** The user's home folder, or undefined when there is none. */
  home(): string | undefined;
  /** The same by the system's accounts, whatever the variables say. */
  accountHome(): string | undefined;
  /** Milliseconds since 1970, UTC. */
  readonly now: () => number;
  /** Width of the terminal on stdout in columns; undefined where it is none. */
  columns(): number | undefined;
  /** Returns why the text cannot be written; undefined also where nobody reads it any more. */
  writeOut(text: string): string | undefined;
  writeErr(text: string): void;
  /** The process that started this one; undefined where that cannot be told for sure. */
  identifyParent(): ProcessIdentity | undefined;
  identifyProcess(pid: number): ProcessIdentity | undefined;
  stderrIsTerminal(): boolean;
  /** Keeps Node's own warnings and debugging output off stderr, which belongs to the user and to our one line. */
  silenceNode(): void;
  /** Loads a native addon and gives what it exports. */
  loadAddon(path: string): unknown;
  setExitStatus(status: number): void;
  /** Ends the process at once: V8 takes nothing apart any more, which costs a hit one part in thirty. */
  exit(): void;
  /** Calls `listener` on the signal until the returned function is called. */
  onSignal(signal: PromptSignal, listener: () => void): () => void;
  /** Sends a signal to this process. */
  raise(signal: PromptSignal): void;
}

/**
 * Writes everything or stops silently when nobody reads any more (EPIPE).
 *
 * @returns why it cannot be written, such as ENOSPC
 */
function writeAll(fd: number, text: string): string | undefined {
  const bytes = Buffer.from(text);
  let done = 0;
  while (done < bytes.length) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      const code = getErrorCode(error);
      if (code === 'EPIPE') return undefined;
      if (code !== 'EAGAIN') return code;
      // A pipe that another program made non-blocking is full for a moment.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
  return undefined;
}

function currentFolder(): string {
  try {
    return process.cwd();
  } catch {
    return '';
  }
}

/** The Host of this very process. */
export function makeProcessHost(): Host {
  return {
    argv: process.argv.slice(2),
    execPath: process.execPath,
    env: process.env,
    cwd: currentFolder(),
    platform: process.platform,
    uid: process.geteuid?.(),
    nodeVersion: process.versions.node,
    home() {
      try {
        // Loading node:os costs the hit path more than it needs of it.
        return process.env['HOME'] ?? process.getBuiltinModule('node:os').homedir();
      } catch {
        return undefined;
      }
    },
    accountHome() {
      try {
        return process.getBuiltinModule('node:os').userInfo().homedir;
      } catch {
        return undefined;
      }
    },
    now: Date.now,
    columns: () => (process.stdout.isTTY ? process.stdout.columns : undefined),
    writeOut: (text) => writeAll(1, text),
    writeErr: (text) => {
      writeAll(2, text);
    },
    identifyParent: () => identifyProcess(process.ppid),
    identifyProcess,
    stderrIsTerminal: () => process.stderr.isTTY,
    silenceNode: () => {
      process.removeAllListeners('warning');
      // NODE_DEBUG in a kubeconfig would make Node print what it sends. We ourselves write to the descriptor.
      if (process.env['NODE_DEBUG'] !== undefined) {
        const silent = { isTTY: process.stderr.isTTY, write: () => true };
        Object.defineProperty(process, 'stderr', { value: silent, configurable: true });
      }
    },
    loadAddon: (path) => {
      const module = { exports: {} };
      process.dlopen(module, path);
      return module.exports;
    },
    setExitStatus: (status) => {
      process.exitCode = status;
    },
    exit: () => {
      process.exit();
    },
    onSignal: (signal, listener) => {
      process.on(signal, listener);
      return () => {
        process.off(signal, listener);
      };
    },
    raise: (signal) => {
      process.kill(process.pid, signal);
    },
  };
}

/** Resolves the path of a file that a setting names: `~` is the home folder, a relative path starts in the current one. */
export function resolvePath(path: string, host: Host): string {
  const home = host.home();
  const expanded = home !== undefined && /^~(?=$|[/\\])/.test(path) ? join(home, path.slice(1)) : path;
  return isAbsolute(expanded) ? expanded : resolve(host.cwd, expanded);
}
