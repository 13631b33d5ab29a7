/** Runs the built plugin as its users do: a process of its own, a clean environment, a home that nobody else has. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Test } from 'tap';

/** The single executable that is tested instead of the bundles, where `npm test -- --packaged` has made one. */
export const PACKAGED_EXECUTABLE: string | undefined = process.env['CKA_PACKAGED'];

/** A file that can be run by itself, as kubectl does. */
export const PLUGIN_PATH: string = PACKAGED_EXECUTABLE ?? resolve('dist/client-keystone-auth.cjs');

/** The same with the Node that is tested, whatever the PATH of a test has. */
export const PLUGIN_COMMAND: readonly [string, ...string[]] =
  PACKAGED_EXECUTABLE === undefined ? [process.execPath, PLUGIN_PATH] : [PACKAGED_EXECUTABLE];

/** Variables of a run; undefined leaves one out. */
export type EnvVars = Readonly<Record<string, string | undefined>>;

/** A private home; everything in it goes when the test is over. */
export interface Home {
  readonly path: string;
  /** The folder that the plugin keeps tokens in. */
  readonly cache: string;
  remove(): void;
}

export function makeHome(): Home {
  const path = mkdtempSync(join(tmpdir(), 'cka-home-'));
  return {
    path,
    cache: join(path, '.cache', 'client-keystone-auth'),
    remove() {
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** Makes a home that is removed at the end of the test. */
export function makeTestHome(t: Test): Home {
  const home = makeHome();
  t.teardown(() => home.remove());
  return home;
}

/** The environment of a run: nothing of ours but PATH, and a home. */
export function makeEnvironment(home: Home, env: EnvVars = {}): Record<string, string> {
  const all = { PATH: process.env['PATH'], HOME: home.path, NO_PROXY: '', ...env };
  return Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/**
 * What to spawn so that a program gets this environment and nothing else: tap adds to that of every child, so that each
 * Node loads its hooks, which more than doubles a run and would be all that a test of the hit path sees.
 */
export function makeIsolatedCommand(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): [file: string, args: string[], options: { env: Readonly<Record<string, string>> }] {
  if (process.platform === 'win32') return [file, [...args], { env }];
  const settings = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return ['/usr/bin/env', ['-i', ...settings, file, ...args], { env: {} }];
}

export interface RunResult {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface PluginRun {
  readonly home: Home;
  readonly args?: readonly string[];
  readonly env?: EnvVars;
  readonly cwd?: string;
}

/** Runs the plugin without a terminal: in a session of its own, stdin empty, stdout and stderr pipes. */
export async function runPlugin({ home, args = [], env = {}, cwd = home.path }: PluginRun): Promise<RunResult> {
  const [file, words, options] = makeIsolatedCommand(
    PLUGIN_COMMAND[0],
    [...PLUGIN_COMMAND.slice(1), ...args],
    makeEnvironment(home, env),
  );
  const child = spawn(file, words, {
    ...options,
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    // setsid: without a controlling terminal /dev/tty cannot be opened.
    detached: true,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((done, fail) => {
    child.once('error', fail).once('close', (status, signal) => {
      done({ status, signal, stdout, stderr });
    });
  });
}

/** `KUBERNETES_EXEC_INFO` as kubectl sets it. */
export function makeExecInfo(
  options: { apiVersion?: string; interactive?: boolean; cluster?: Readonly<Record<string, unknown>> } = {},
): string {
  const { apiVersion = 'client.authentication.k8s.io/v1', interactive = false, cluster } = options;
  return JSON.stringify({ apiVersion, kind: 'ExecCredential', spec: { interactive, ...(cluster ? { cluster } : {}) } });
}
