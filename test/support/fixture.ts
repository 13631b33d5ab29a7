/**
 * The fixture of most tests: someone who uses the plugin, with a home, files and settings, and a Keystone whose requests
 * are counted. A test states what it needs, and gets functions that run the plugin and look at what happened.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Test } from 'tap';
import { readExecCredential } from './check-run.ts';
import { makeExecInfo, makeTestHome } from './home.ts';
import type { EnvVars, Home } from './home.ts';
import type { CountedKeystone } from './request-log.ts';
import { runBundles } from './run-bundles.ts';
import { PACKAGED_EXECUTABLE, runPlugin } from './run-plugin.ts';
import type { PluginRun, RunResult } from './run-plugin.ts';

/** Runs the plugin once. */
export type Runner = (run: PluginRun) => Promise<RunResult>;

const DEFAULT_RUNNER: Runner = PACKAGED_EXECUTABLE === undefined ? (run) => runBundles(run) : runPlugin;

/** What a test needs. */
export interface Needs {
  /** The Keystone of `OS_AUTH_URL`. Without one, the settings say where Keystone is. */
  readonly keystone?: CountedKeystone;
  /** The path of `OS_AUTH_URL`. Default: `/v3`. */
  readonly path?: string;
  /** The variables of each run. */
  readonly settings?: EnvVars;
  /** Files by their path below the home folder. An object is written as JSON, which is valid YAML. */
  readonly files?: Readonly<Record<string, string | object>>;
  /** How to run the plugin. Default: in the process of the test; an executable runs in a process of its own. */
  readonly runner?: Runner;
  /** Default: a new home. */
  readonly home?: Home;
}

/** Someone who uses the plugin. */
export interface Fixture {
  readonly home: Home;
  /** The current folder of the runs. Default: the home. */
  readonly folder: string;
  readonly settings: EnvVars;
  /** The URL of Keystone without a path; empty without a Keystone. */
  readonly url: string;
  /** The same person with changed settings; undefined removes one. */
  with(changes: EnvVars): Fixture;
  /** The same person with only these settings. */
  withOnly(settings: EnvVars): Fixture;
  /** The same person in another folder. */
  inFolder(path: string): Fixture;
  /** The same person on another machine, with an empty home. */
  onNewMachine(): Fixture;
  /**
   * The same person, for whom it is always now, because the plugin forgets a refusal after half a minute. A packaged
   * executable keeps the clock of the machine.
   */
  withStoppedClock(): Fixture;
  /** The same person, whose plugin runs as users run it, in a process of its own. */
  asProcess(): Fixture;
  /** Writes a file, with mode 0600 unless another one is given. Returns its path. */
  writeFile(path: string, content: string | object, mode?: number): string;
  /** Runs the plugin with these arguments. */
  run(...args: readonly string[]): Promise<RunResult>;
  /** Runs the plugin as kubectl does, and returns the token. */
  getToken(...args: readonly string[]): Promise<string>;
  /** The requests to Keystone so far. */
  listRequests(): readonly string[];
  countRequests(): number;
  /** Counts the token requests, whatever the answer was. */
  countLogins(): number;
  /** Reads all files of the cache folder. */
  readCache(): string;
}

/** Sets up someone who uses the plugin. Their home is removed after the test. */
export function setUp(t: Test, needs: Needs = {}): Fixture {
  const { keystone, path = '/v3', settings = {}, files = {}, home = makeTestHome(t) } = needs;
  const authUrl = keystone === undefined ? {} : { OS_AUTH_URL: keystone.url + path };
  const state = { home, folder: home.path, settings: { ...authUrl, ...settings } };
  const fixture = makeFixture(t, needs, state);
  for (const [name, content] of Object.entries(files)) fixture.writeFile(name, content);
  return fixture;
}

type State = Pick<Fixture, 'home' | 'folder' | 'settings'>;

function makeFixture(t: Test, needs: Needs, state: State): Fixture {
  const { keystone, runner = DEFAULT_RUNNER } = needs;
  const { home, folder, settings } = state;
  const change = (changes: Partial<State>): Fixture => makeFixture(t, needs, { ...state, ...changes });
  const listRequests = (): readonly string[] => keystone?.listRequests() ?? [];
  return {
    ...state,
    url: keystone?.url ?? '',
    with: (changes) => change({ settings: { ...settings, ...changes } }),
    asProcess: () => makeFixture(t, { ...needs, runner: runPlugin }, state),
    withStoppedClock() {
      const now = Date.now();
      const stopped: Runner = (run) => runBundles(run, { now: () => now });
      return makeFixture(t, { ...needs, runner: PACKAGED_EXECUTABLE === undefined ? stopped : runner }, state);
    },
    withOnly: (only) => change({ settings: only }),
    inFolder: (path) => change({ folder: path }),
    onNewMachine() {
      const other = makeTestHome(t);
      return change({ home: other, folder: other.path });
    },
    writeFile: (path, content, mode = 0o600) => writeFileIn(resolve(home.path, path), content, mode),
    run: (...args) => runner({ home, args, env: settings, cwd: folder }),
    async getToken(...args) {
      const env = { KUBERNETES_EXEC_INFO: makeExecInfo(), ...settings };
      const result = await runner({ home, args, env, cwd: folder });
      t.equal(result.status, 0, `exit status: ${result.stderr}`);
      return readExecCredential(t, result.stdout).token;
    },
    listRequests,
    countRequests: () => listRequests().length,
    countLogins: () => listRequests().filter((line) => /^POST \/v3\/auth\/tokens\b/.test(line)).length,
    readCache: () => readFilesBelow(home.cache).join('\n'),
  };
}

function writeFileIn(path: string, content: string | object, mode: number): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content, null, 2), { mode });
  // The mode of a new file depends on the umask, and an existing file keeps its mode.
  chmodSync(path, mode);
  return path;
}

/** Reads all files below a folder. A run that ends early creates no cache folder. */
function readFilesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [readFileSync(join(entry.parentPath, entry.name), 'utf8')] : [],
  );
}
