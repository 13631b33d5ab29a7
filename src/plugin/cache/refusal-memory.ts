/** The memory of refusals in the folders of a run. */
import type { Host } from '../../shared/base/host.ts';
import type { CacheFolder } from './cache-folder.ts';
import type { CallerProcesses } from './credential-tag.ts';
import type { NotePlaces } from './note-places.ts';
import { findRefusal, forgetRefusals, rememberRefusal } from './refusals.ts';
import type { LoginFailure, Refusal, RefusalContext, RefusalSubject, SentCredential } from './refusals.ts';

export interface RefusalMemory {
  /**
   * Finds the refusal because of which a login must not be sent yet.
   *
   * @param sent what the login would send; empty if that is not known before the user answers
   */
  findRefusal(key: string, sent: readonly SentCredential[]): Refusal | undefined;
  rememberRefusal(key: string, subject: RefusalSubject, failure: LoginFailure): void;
  /** Forgets all refusals of a key after a successful login. */
  forgetRefusals(key: string): void;
}

/** Makes the memory of one run. */
export function makeRefusalMemory(notes: NotePlaces, callers: CallerProcesses, host: Host): RefusalMemory {
  const makeContext = (folder: CacheFolder, key: string): RefusalContext => ({ folder, key, callers, now: host.now() });
  return {
    findRefusal: (key, sent) => notes.search((folder) => findRefusal(makeContext(folder, key), sent)),
    rememberRefusal(key, subject, failure) {
      const others: CacheFolder[] = [];
      notes.search((folder) => void others.push(folder));
      notes.write((folder) => {
        rememberRefusal(makeContext(folder, key), subject, failure, others);
      });
    },
    forgetRefusals(key) {
      // A folder can be in several kinds of places.
      const done = new Set<string>();
      notes.search((folder) => {
        if (done.has(folder.path)) return;
        done.add(folder.path);
        forgetRefusals(folder, key);
      });
    },
  };
}
