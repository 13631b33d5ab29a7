/** What kubectl received: the same kubectl asks again for a token if the cluster may have rejected it. */
import type { Host } from '../../shared/base/host.ts';
import type { CachePlaces } from './cache-places.ts';
import type { CallerProcesses } from './credential-tag.ts';
import { markConfirmed, markHandedOut } from './handed-out-tokens.ts';
import type { HandOutState } from './handed-out-tokens.ts';

export interface HandOutLog {
  /**
   * Records that kubectl receives `token`.
   *
   * @returns what the same kubectl process had received before
   */
  handOut(token: string): HandOutState;
  /** Records that Keystone confirmed or replaced the token, so that it is not asked again for a while. */
  confirm(token: string): void;
}

/** Makes the log of one run; without kubectl, it records nothing. */
export function makeHandOutLog(files: CachePlaces, { parent, isForKubectl }: CallerProcesses, host: Host): HandOutLog {
  if (!isForKubectl || parent === undefined) return { handOut: () => 'nothing', confirm: () => undefined };
  return {
    handOut: (token) =>
      files.write((folder) => markHandedOut({ folder, parent: parent.id, now: host.now() }, token)) ?? 'nothing',
    confirm(token) {
      files.write((folder) => {
        markConfirmed({ folder, parent: parent.id, now: host.now() }, token);
      });
    },
  };
}
