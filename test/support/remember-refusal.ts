/** Refusals in the cache folder, without a login. */
import type { CacheFolder } from '../../src/plugin/cache/cache-folder.ts';
import type { CallerProcesses } from '../../src/plugin/cache/credential-tag.ts';
import { rememberRefusal } from '../../src/plugin/cache/refusals.ts';
import type { LoginFailure } from '../../src/plugin/cache/refusals.ts';
import type { ProcessIdentity } from '../../src/shared/base/process-identity.ts';

export const FAILURE: LoginFailure = {
  code: 'auth-rejected',
  message: 'Keystone refused the login for alice',
  hint: 'check user and password',
  requestId: 'req-1',
};

/** Makes a process with addresses of its own. */
export function makeProcess(pid: number, parentPid = 1, memoryLayout = `layout of ${pid}`): ProcessIdentity {
  return { id: `${pid} 100`, memoryLayout, parentPid };
}

/** Makes a process whose addresses the kernel hides. */
export function makeHiddenProcess(pid: number, parentPid = 1): ProcessIdentity {
  return { ...makeProcess(pid, parentPid), memoryLayout: undefined };
}

/** Makes the processes of a machine; the last one runs the plugin. */
export function makeCallers(processes: readonly ProcessIdentity[], { isForKubectl = true } = {}): CallerProcesses {
  const byPid = new Map(processes.map((process) => [Number.parseInt(process.id, 10), process]));
  return { host: { identifyProcess: (pid) => byPid.get(pid) }, parent: processes.at(-1), isForKubectl };
}

/** Writes a refusal that lasts 30 s. */
export function rememberOneRefusal(folder: CacheFolder, key: string, now: number): void {
  rememberRefusal({ folder, key, callers: makeCallers([makeProcess(10)]), now }, 'command', FAILURE);
}
