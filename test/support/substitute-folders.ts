/** The folders of this machine that take the place of a cache folder that cannot be used. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { listFallbackFolders, listHiddenFolders } from '../../src/plugin/cache/fallback-folders.ts';
import { makeProcessHost } from '../../src/shared/base/host.ts';
import { fakeHost } from './fake-host.ts';
import type { EnvVars } from './home.ts';

const listTemporaryFolders = (uid: number): string[] => [`/run/user/${uid}`, '/dev/shm', '/tmp'];

function listNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function removeAll(paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { recursive: true, force: true });
}

/** Removes everything of a user that only this test file has. */
export function forgetSubstitutes(uid: number): void {
  removeAll(
    listTemporaryFolders(uid).flatMap((folder) =>
      listNames(folder).flatMap((name) =>
        name.startsWith(`client-keystone-auth-${uid}-`) ? [join(folder, name)] : [],
      ),
    ),
  );
}

/**
 * Removes what took the place of the cache folder in runs that this process has started.
 *
 * @param home undefined means no home
 * @param run the variables of the runs, and their current folder
 */
export function forgetSubstitutesOf(
  uid: number,
  home: string | undefined,
  run: { readonly env?: EnvVars; readonly cwd?: string } = {},
): void {
  const host = fakeHost({ ...run, uid, home: () => home, temporaryFolders: listTemporaryFolders(uid) });
  const own = makeProcessHost();
  const callers = { host: own, parent: own.identifyProcess(process.pid), isForKubectl: false };
  removeAll([...listFallbackFolders(host), ...listHiddenFolders(host, callers)].map(({ path }) => path));
}
