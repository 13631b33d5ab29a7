/** The folders of this machine that take the place of a cache folder that cannot be used. */
import { rmSync } from 'node:fs';
import { listFallbackFolders, listHiddenFolders } from '../../src/plugin/cache/fallback-folders.ts';
import { makeProcessHost } from '../../src/shared/base/host.ts';
import { fakeHost } from './fake-host.ts';
import type { EnvVars } from './home.ts';

const listTemporaryFolders = (uid: number): string[] => [`/run/user/${uid}`, '/dev/shm', '/tmp'];

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
  for (const { path } of [...listFallbackFolders(host), ...listHiddenFolders(host, callers)])
    rmSync(path, { recursive: true, force: true });
}
