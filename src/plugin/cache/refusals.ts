/**
 * Remembers for 30 seconds that Keystone rejected a login, so that it is not sent again: kubectl runs a failing plugin
 * up to six times for one command, and Keystone locks accounts. The file holds a tag of the credential, so that another
 * credential is tried immediately. An attacker could test passwords against a plain tag, so the tag is keyed with a
 * value that is on no disk and disappears with the terminal's shell (or with the process that runs the plugin): the
 * addresses where the kernel put that process's memory. Without this key the tag reveals nothing.
 */
import { join } from 'node:path';
import { numberAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import type { ProcessIdentity } from '../../shared/base/process-identity.ts';
import type { CacheFolder } from './cache-folder.ts';
import { serializeWithChecksum, parseWithChecksum } from './checksum.ts';
import { refusalFileName } from './file-names.ts';
import { readPrivateFile, removeQuietly, writePrivateFile } from './private-file.ts';
import { digestFields } from './sha256.ts';
import type { DigestField } from './sha256.ts';

const PURPOSE = 'client-keystone-auth refusal 1';
const REMEMBERED_MS = 30_000;

/** A rejected login: the file that remembers it, and the tag that a later login must have to count as the same. */
export interface RefusalId {
  readonly folder: CacheFolder;
  readonly key: string;
  readonly tag: string;
}

/** The processes that run the plugin. */
export interface CallerProcesses {
  /**
   * The leader of the parent's session, which is the shell of the terminal; undefined if it has ended or is outside the
   * container.
   */
  readonly sessionLeader: ProcessIdentity | undefined;
  readonly parent: ProcessIdentity | undefined;
  /** Whether the parent is kubectl: then a second run belongs to the same command. */
  readonly isForKubectl: boolean;
}

/**
 * Computes the tag of a credential; undefined if no tag is safe.
 *
 * @param credential the secrets in their order; all undefined if the user is prompted for them, which then happens once
 * for each command
 */
export function tagCredential(
  { sessionLeader, parent, isForKubectl }: CallerProcesses,
  credential: readonly DigestField[],
): string | undefined {
  const isPrompted = credential.every((secret) => secret === undefined);
  const keyProcess = isPrompted
    ? undefined
    : [sessionLeader, parent].find((process) => process?.memoryLayout !== undefined);
  if (keyProcess !== undefined)
    return digestFields(PURPOSE, ['credential', keyProcess.id, keyProcess.memoryLayout, ...credential]);
  // Within one kubectl command the credential cannot change, so the identity of that process is enough. Without kubectl
  // there are no automatic retries, so the user may be prompted as often as they like.
  if (!isForKubectl || parent === undefined) return undefined;
  return digestFields(PURPOSE, [isPrompted ? 'asked' : 'command', parent.id]);
}

const readRefusal = ({ path, uid }: CacheFolder, key: string): JsonObject | undefined => {
  const content = parseWithChecksum(readPrivateFile(join(path, refusalFileName(key)), uid));
  return textAt(content, 'key') === key ? content : undefined;
};

/** Finds out when the same login was rejected, in ms since 1970, UTC; undefined if not within the last 30 seconds. */
export function readRefusalTime({ folder, key, tag }: RefusalId, now: number): number | undefined {
  const refusal = readRefusal(folder, key);
  const rejectedAt = numberAt(refusal, 'at');
  if (rejectedAt === undefined || textAt(refusal, 'tag') !== tag) return undefined;
  return now >= rejectedAt && now - rejectedAt < REMEMBERED_MS ? rejectedAt : undefined;
}

/** Whether the refusal file of `key` is valid, whatever login it is about. */
export function isValidRefusalFile(folder: CacheFolder, key: string): boolean {
  return numberAt(readRefusal(folder, key), 'at') !== undefined;
}

/** @throws CacheError */
export function rememberRefusal({ folder, key, tag }: RefusalId, now: number): void {
  const content = serializeWithChecksum({ key, tag, at: now });
  writePrivateFile(folder.path, refusalFileName(key), content, now + REMEMBERED_MS);
}

/** Forgets a refusal after a successful login. */
export function forgetRefusal(folder: CacheFolder, key: string): void {
  removeQuietly(join(folder.path, refusalFileName(key)));
}
