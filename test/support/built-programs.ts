/** The built programs, as users run them. */
import { join, resolve } from 'node:path';
import type { Runtime } from '../../scripts/package/runtimes.ts';
import { hostTarget } from '../../scripts/package/targets.ts';
import { readRuntime } from './packaged-runtime.ts';
import { findResource } from './resources.ts';

// Without the runner, these are the programs that `npm run build` has made.
const programs = findResource('programs');

/** The single executable that `npm test -- --packaged` tests instead of the bundles. */
export const PACKAGED_EXECUTABLE: string | undefined = 'missing' in programs ? undefined : programs.executable;

/** What the plugin under test runs on. */
export const RUNTIME: Runtime = PACKAGED_EXECUTABLE === undefined ? 'node' : readRuntime(hostTarget());

/** The folder of the bundles. */
export const BUNDLE_FOLDER: string = resolve('dist');

/** The executable file that kubectl runs. */
export const PLUGIN_PATH: string = PACKAGED_EXECUTABLE ?? join(BUNDLE_FOLDER, 'client-keystone-auth.cjs');

const jitter = process.env['CKA_JITTER'];

/** Runs a program with the Node under test, with the delays of `npm test -- --jitter SEED`. */
export const NODE_COMMAND: readonly [string, ...string[]] = [
  process.execPath,
  ...(jitter === undefined ? [] : ['--require', jitter]),
];

/** The command that runs it with the Node under test, independent of the PATH. */
export const PLUGIN_COMMAND: readonly [string, ...string[]] =
  PACKAGED_EXECUTABLE === undefined ? [...NODE_COMMAND, PLUGIN_PATH] : [PACKAGED_EXECUTABLE];

/** The webhook. */
export const WEBHOOK_PATH: string = join(BUNDLE_FOLDER, 'k8s-keystone-auth.cjs');

/** The command that runs it. */
export const WEBHOOK_COMMAND: readonly [string, ...string[]] = [...NODE_COMMAND, WEBHOOK_PATH];
