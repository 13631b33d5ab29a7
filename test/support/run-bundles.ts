/**
 * Runs the plugin in the process of the test, which takes a fraction of the time of a process: first the fast path, as
 * main.ts does, and then the built slow path. Use it where the process is not the subject: variables that Node itself
 * reads have no effect, and there is no terminal. Each run evaluates the bundles anew, because it must not know the
 * secrets of another run.
 */
import fs, { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { compileFunction } from 'node:vm';
import { findCachedCredential } from '../../src/plugin/fast-path/find-cached-credential.ts';
import { makeProcessHost } from '../../src/shared/base/host.ts';
import type { Host } from '../../src/shared/base/host.ts';
import { identifyProcess } from '../../src/shared/base/process-identity.ts';
import { makeEnvironment } from './home.ts';
import { BUNDLE_FOLDER } from './run-plugin.ts';
import type { PluginRun, RunResult } from './run-plugin.ts';
import { HANG_GUARD_MS } from './wait-until.ts';

type Load = (name: string) => unknown;
type StartTimer = (callback: (...args: unknown[]) => void, ms: number, ...args: unknown[]) => NodeJS.Timeout;
type Bundle = (
  exports: unknown,
  load: Load,
  module: { exports: unknown },
  file: string,
  folder: string,
  startTimer: StartTimer,
) => void;

const TERMINAL = '/dev/tty';

/** The longest time of a timer. */
const NEVER_MS = 2 ** 31 - 1;

/** A timer as long as this is a deadline for servers, which a busy machine must not miss: it only ends what hangs. */
const DEADLINE_MS = 10_000;

/** The file system of a run, which has no terminal: the one of the test belongs to a developer. */
const withoutTerminal: typeof fs = {
  ...fs,
  openSync(path, ...rest) {
    if (path === TERMINAL) throw Object.assign(new Error(`ENXIO: ${TERMINAL}`), { code: 'ENXIO' });
    return fs.openSync(path, ...rest);
  },
};

const requireFromDist = createRequire(join(BUNDLE_FOLDER, 'slow.cjs'));
const compiled = new Map<string, Bundle>();

/** Compiles a bundle once for all runs. */
function compile(path: string): Bundle {
  const known = compiled.get(path);
  if (known !== undefined) return known;
  const parameters = ['exports', 'require', 'module', '__filename', '__dirname', 'setTimeout'];
  const bundle = compileFunction(readFileSync(path, 'utf8'), parameters, { filename: path }) as Bundle;
  compiled.set(path, bundle);
  return bundle;
}

/** Makes the `require` of one run, with its own copy of each bundle. */
function makeLoad(holdTimer: HoldTimer): Load {
  const startTimer: StartTimer = (callback, ms, ...args) => {
    const isHeld = holdTimer(ms, () => callback(...args));
    // The run waits for a timer that the test holds too, and can cancel it.
    if (isHeld) return setTimeout(() => undefined, NEVER_MS);
    return setTimeout(callback, ms < DEADLINE_MS ? ms : Math.max(ms, HANG_GUARD_MS), ...args);
  };
  const modules = new Map<string, { exports: unknown }>();
  const load: Load = (name) => {
    if (name === 'node:fs') return withoutTerminal;
    if (!name.startsWith('./')) return requireFromDist(name) as unknown;
    const path = join(BUNDLE_FOLDER, name);
    const known = modules.get(path);
    if (known !== undefined) return known.exports;
    const module: { exports: unknown } = { exports: {} };
    modules.set(path, module);
    compile(path)(module.exports, load, module, path, BUNDLE_FOLDER, startTimer);
    return module.exports;
  };
  return load;
}

/**
 * Gets the delay of each timer that the run starts, and what happens at its end. If it returns true, that happens when the
 * test calls `end`, and not before: a deadline then passes at the same moment on every machine.
 */
type HoldTimer = (ms: number, end: () => void) => boolean;

/** Parts of the host that a test replaces. */
export interface HostParts {
  /** The clock, in ms since 1970. */
  readonly now?: () => number;
  /** The home folder in the system's accounts; that of the user who runs the test by default. */
  readonly accountHome?: string;
  /** Where the run may store what it cannot store at home; nowhere by default. */
  readonly temporaryFolders?: readonly string[];
  readonly stderrIsTerminal?: () => boolean;
  /** Gets what the run writes to stderr, at once. */
  readonly onStderr?: (text: string) => void;
  readonly holdTimer?: HoldTimer;
}

/** Runs the plugin in this process. */
export async function runBundles(run: PluginRun, parts: HostParts = {}): Promise<RunResult> {
  const {
    now = Date.now,
    temporaryFolders = [],
    stderrIsTerminal = () => false,
    onStderr,
    holdTimer = () => false,
  } = parts;
  const processHost = makeProcessHost();
  const { home, args = [], cwd = home.path } = run;
  const env = makeEnvironment(home, run.env);
  const own = { ...env };
  let [stdout, stderr] = ['', ''];
  let status: number | null = null;
  const host: Host = {
    ...processHost,
    argv: args,
    env,
    cwd,
    now,
    temporaryFolders,
    home: () => env['HOME'],
    accountHome: () => parts.accountHome ?? processHost.accountHome(),
    columns: () => undefined,
    stdoutIsDevice: () => false,
    writeOut(text) {
      stdout += text;
      return undefined;
    },
    writeErr(text) {
      stderr += text;
      onStderr?.(text);
    },
    // The parent of a plugin is the process of the test.
    identifyParent: () => identifyProcess(process.pid),
    // It has no terminal either.
    identifyJob: () => undefined,
    stderrIsTerminal,
    silenceNode: () => undefined,
    setExitStatus: (value) => (status = value),
    exit: () => undefined,
    exitNow: () => undefined,
    onUnhandledError: () => undefined,
    onIdle: () => undefined,
    onExit: () => () => undefined,
    personalVariables: () => own,
    setKubeconfigVariables: (variables) => Object.assign(env, variables),
    unsetVariables: () => undefined,
    onSignal: () => () => undefined,
    raise: () => undefined,
  };
  const cached = findCachedCredential(host);
  if (cached !== undefined) return { status: 0, signal: null, stdout: cached.toString(), stderr };
  const { runCli } = makeLoad(holdTimer)('./slow.cjs') as { runCli: (host: Host) => Promise<void> };
  await runCli(host);
  return { status, signal: null, stdout, stderr };
}
