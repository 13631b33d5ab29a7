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
import type { Folder } from './file-store.ts';
import { digestFields } from './digest.ts';
import type { Field } from './digest.ts';
import { readPrivate, removeQuietly, writePrivate } from './private-file.ts';
import { seal, unseal } from './checksum.ts';

const PURPOSE = 'client-keystone-auth refusal 1';
const REMEMBERED_MS = 30_000;

/** Name of the file. */
export const refusalFile = (key: string): string => `${key}.refused`;

/** A refused login: where it is kept, and what must be the same for it to count again. */
export interface RefusalMemory {
  readonly folder: Folder;
  readonly key: string;
  readonly tag: string;
}

/** Who runs us. */
export interface Kinship {
  /** The leader of the parent's session: the shell of the terminal. Not to be seen where it has ended or is outside of the container. */
  readonly session: ProcessIdentity | undefined;
  readonly parent: ProcessIdentity | undefined;
  /** Whether the parent is kubectl: what it runs again is the same command. */
  readonly forKubectl: boolean;
}

/**
 * Makes the tag of a credential, or undefined where none can be made that is safe.
 *
 * @param credential the secrets in their order; all undefined where they are asked for, which then happens once for
 * each command
 */
export function tagCredential(
  { session, parent, forKubectl }: Kinship,
  credential: readonly Field[],
): string | undefined {
  const asked = credential.every((secret) => secret === undefined);
  const holder = asked ? undefined : [session, parent].find((kin) => kin?.memoryLayout !== undefined);
  if (holder !== undefined) return digestFields(PURPOSE, ['credential', holder.id, holder.memoryLayout, ...credential]);
  // Inside one command the credential cannot change, so kubectl's name alone does. By hand one may be asked as often as
  // one likes; it is kubectl that runs a failing plugin again and again.
  if (!forKubectl || parent === undefined) return undefined;
  return digestFields(PURPOSE, [asked ? 'asked' : 'command', parent.id]);
}

/** When the same login was refused, in ms since 1970, UTC; undefined where it was not, or not lately. */
export function recallRefusal({ folder, key, tag }: RefusalMemory, now: number): number | undefined {
  const content = unseal(readPrivate(join(folder.path, refusalFile(key)), folder.uid));
  const at = numberAt(content, 'at');
  if (at === undefined || textAt(content, 'key') !== key || textAt(content, 'tag') !== tag) return undefined;
  return now >= at && now - at < REMEMBERED_MS ? at : undefined;
}

/** Whether what is kept of a refused login would be believed, by whoever it is about. */
export function isRefusal({ path, uid }: Folder, key: string): boolean {
  const content = unseal(readPrivate(join(path, refusalFile(key)), uid));
  return textAt(content, 'key') === key && numberAt(content, 'at') !== undefined;
}

/** @throws CacheError */
export function rememberRefusal({ folder, key, tag }: RefusalMemory, now: number): void {
  writePrivate(folder.path, refusalFile(key), seal({ key, tag, at: now }), now + REMEMBERED_MS);
}

/** Forgets a refusal, because a login has succeeded since. */
export function forgetRefusal(folder: Folder, key: string): void {
  removeQuietly(join(folder.path, refusalFile(key)));
}
