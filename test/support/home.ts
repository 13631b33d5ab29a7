/** A private home for each test, and the environment of a run in it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Test } from 'tap';

/** Variables of a run; undefined leaves one out. */
export type EnvVars = Readonly<Record<string, string | undefined>>;

/** A private home folder. */
export interface Home {
  readonly path: string;
  /** The cache folder of the plugin. */
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

/**
 * A compile cache of Node, which saves a fifth of the processor time of a run. Users have none, and a packaged executable
 * ignores its variable.
 */
export const COMPILE_CACHE: string = resolve('node_modules/.cache/client-keystone-auth/compile-cache-of-runs');

/** Makes the environment of a run: PATH and HOME, and nothing else of this process. */
export function makeEnvironment(home: Home, env: EnvVars = {}): Record<string, string> {
  const own = { PATH: process.env['PATH'], HOME: home.path, NO_PROXY: '', NODE_COMPILE_CACHE: COMPILE_CACHE };
  const all = { ...own, ...env };
  return Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** Makes the value of `KUBERNETES_EXEC_INFO` as kubectl sets it. */
export function makeExecInfo(
  options: { apiVersion?: string; interactive?: boolean; cluster?: Readonly<Record<string, unknown>> } = {},
): string {
  const { apiVersion = 'client.authentication.k8s.io/v1', interactive = false, cluster } = options;
  return JSON.stringify({ apiVersion, kind: 'ExecCredential', spec: { interactive, ...(cluster ? { cluster } : {}) } });
}
