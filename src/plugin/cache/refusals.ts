/**
 * A login that Keystone has just refused is not tried again: kubectl runs a failing plugin up to six times for one
 * command, and Keystone locks accounts. What is kept is a tag of the credential, so that another one is tried at once. A
 * tag could be used to try passwords against it, so it is keyed with something that is on no disk and dies with the
 * terminal's shell (or with whatever runs us): where the kernel put that process's memory. Without that key the tag tells
 * nothing, and half a minute later nobody reads it any more.
 */
import { join } from 'node:path';
import { numberAt, textAt } from '../../shared/base/json.ts';
import type { ProcessIdentity } from '../../shared/base/process-identity.ts';
import type { CacheFolder } from './file-store.ts';
import { digestFields } from './sha256.ts';
import type { DigestField } from './sha256.ts';
import { readPrivateFile, removeQuietly, writePrivateFile } from './private-file.ts';
import { serializeWithChecksum, parseWithChecksum } from './checksum.ts';

const PURPOSE = 'client-keystone-auth refusal 1';
const REMEMBERED_MS = 30_000;

/** Name of the file. */
export const refusalFileName = (key: string): string => `${key}.refused`;

/** A refused login: where it is kept, and what must be the same for it to count again. */
export interface RefusalId {
  readonly folder: CacheFolder;
  readonly key: string;
  readonly tag: string;
}

/** Who runs us. */
export interface CallerProcesses {
  /** The leader of the parent's session: the shell of the terminal. Not to be seen where it has ended or is outside of the container. */
  readonly sessionLeader: ProcessIdentity | undefined;
  readonly parent: ProcessIdentity | undefined;
  /** Whether the parent is kubectl: what it runs again is the same command. */
  readonly isForKubectl: boolean;
}

/**
 * Makes the tag of a credential, or undefined where none can be made that is safe.
 *
 * @param credential the secrets in their order; all undefined where they are asked for, which then happens once for
 * each command
 */
export function tagCredential(
  { sessionLeader, parent, isForKubectl }: CallerProcesses,
  credential: readonly DigestField[],
): string | undefined {
  const asked = credential.every((secret) => secret === undefined);
  const holder = asked ? undefined : [sessionLeader, parent].find((kin) => kin?.memoryLayout !== undefined);
  if (holder !== undefined) return digestFields(PURPOSE, ['credential', holder.id, holder.memoryLayout, ...credential]);
  // Inside one command the credential cannot change, so kubectl's name alone does. By hand one may be asked as often as
  // one likes; it is kubectl that runs a failing plugin again and again.
  if (!isForKubectl || parent === undefined) return undefined;
  return digestFields(PURPOSE, [asked ? 'asked' : 'command', parent.id]);
}

/** When the same login was refused, in ms since 1970, UTC; undefined where it was not, or not lately. */
export function readRefusalTime({ folder, key, tag }: RefusalId, now: number): number | undefined {
  const content = parseWithChecksum(readPrivateFile(join(folder.path, refusalFileName(key)), folder.uid));
  const at = numberAt(content, 'at');
  if (at === undefined || textAt(content, 'key') !== key || textAt(content, 'tag') !== tag) return undefined;
  return now >= at && now - at < REMEMBERED_MS ? at : undefined;
}

/** Whether what is kept of a refused login would be believed, by whoever it is about. */
export function isValidRefusalFile({ path, uid }: CacheFolder, key: string): boolean {
  const content = parseWithChecksum(readPrivateFile(join(path, refusalFileName(key)), uid));
  return textAt(content, 'key') === key && numberAt(content, 'at') !== undefined;
}

/** @throws CacheError */
export function rememberRefusal({ folder, key, tag }: RefusalId, now: number): void {
  writePrivateFile(
    folder.path,
    refusalFileName(key),
    serializeWithChecksum({ key, tag, at: now }),
    now + REMEMBERED_MS,
  );
}

/** Forgets a refusal, because a login has succeeded since. */
export function forgetRefusal(folder: CacheFolder, key: string): void {
  removeQuietly(join(folder.path, refusalFileName(key)));
}
