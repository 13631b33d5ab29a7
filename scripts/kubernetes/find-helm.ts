// Finds the helm that scripts/build-helm.ts has built, and renders the chart with it.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describeSystem } from '../lib/debian-packages.ts';
import { pathExists } from '../lib/path-exists.ts';
import { findDevelopmentCache } from '../lib/development-cache.ts';

/** The path of the program, or why it is missing. */
export type Helm = { readonly path: string } | { readonly missing: string };

export const HELM_VERSION = '4.3.1';

export const CHART = 'packaging/chart';

const run = promisify(execFile);

/** Returns the path that the build writes helm to. */
export async function findHelmPath(): Promise<string> {
  return join(findDevelopmentCache(), `helm-${HELM_VERSION}-${await describeSystem()}`, 'helm');
}

/** Finds helm. It does not build it. */
export async function findHelm(): Promise<Helm> {
  const path = await findHelmPath();
  if (await pathExists(path)) return { path };
  return { missing: 'helm is not built; run "node scripts/setup.mjs scripts/build-helm.ts"' };
}

/** What a run of helm wrote, and its exit status. */
export interface HelmRun {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs helm without the configuration of the user. */
export async function runHelm(path: string, folder: string, args: readonly string[]): Promise<HelmRun> {
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    HELM_CACHE_HOME: join(folder, 'cache'),
    HELM_CONFIG_HOME: join(folder, 'config'),
    HELM_DATA_HOME: join(folder, 'data'),
    NO_PROXY: '*',
  };
  return run(path, [...args], { env, maxBuffer: 64 * 1024 * 1024 }).then(
    ({ stdout, stderr }) => ({ status: 0, stdout, stderr }),
    (error: unknown) => {
      if (!(error instanceof Error) || !('stdout' in error) || !('stderr' in error)) throw error;
      return { status: 1, stdout: String(error.stdout), stderr: String(error.stderr) };
    },
  );
}
