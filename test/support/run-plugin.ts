/** Runs the built plugin as users do: in a process of its own, with a clean environment and a private home. */
import { spawn } from 'node:child_process';
import { collectResult } from '../../scripts/lib/child-result.ts';
import type { ChildResult } from '../../scripts/lib/child-result.ts';
import { PLUGIN_COMMAND } from './built-programs.ts';
import { makeEnvironment } from './home.ts';
import type { EnvVars, Home } from './home.ts';

export { BUNDLE_FOLDER, PACKAGED_EXECUTABLE, PLUGIN_COMMAND, PLUGIN_PATH, RUNTIME } from './built-programs.ts';

/**
 * Returns the arguments of `spawn` that give a program exactly this environment. tap adds variables to the environment
 * of every child, so that Node loads the hooks of tap; that more than doubles the time of a run, and a test of the fast
 * path would measure little else.
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

export type RunResult = ChildResult;

export interface PluginRun {
  readonly home: Home;
  readonly args?: readonly string[];
  readonly env?: EnvVars;
  readonly cwd?: string;
}

/** Runs the plugin without a terminal, in a session of its own: stdin is empty, stdout and stderr are pipes. */
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
    // A new session has no controlling terminal, so that /dev/tty cannot be opened.
    detached: true,
  });
  return collectResult(child);
}
