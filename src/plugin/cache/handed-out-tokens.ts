/**
 * Records which process received which token. kubectl does not tell the plugin that the cluster rejected a token; it
 * only runs the plugin again. So if the same parent process asks for the token that it has just received, Keystone is
 * asked whether that token is still valid. This is on the fast path, so it is one small file with a slot for each of
 * 256 parents, read and written in place. Two parents that share a slot overwrite each other; then Keystone is not
 * asked.
 */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import type { CacheFolder } from './cache-folder.ts';
import { HANDED_OUT_FILE_NAME } from './file-names.ts';
import { readText, withPrivateFile } from './private-file.ts';
import { computeChecksum } from './checksum.ts';

/** What a parent has received so far: nothing, the token, or the token after Keystone confirmed it. */
export type HandOutState = 'nothing' | 'token' | 'confirmed';

const SLOTS = 256;
const ID_CHARACTERS = 32;
/** On Bun, `padEnd` and `padStart` are slow the first time. */
const PADDING = ' '.repeat(ID_CHARACTERS);
const MARKS: Readonly<Record<Exclude<HandOutState, 'nothing'>, string>> = { token: 't', confirmed: 'c' };
/** Id, padded with spaces, mark, time in ms, newline. */
const SLOT_BYTES = ID_CHARACTERS + 1 + 13 + 1;

/** A long-lived parent may ask about its token again after this time; a kubectl command is over by then. */
const CONFIRMED_MS = 300_000;

interface Slot {
  readonly id: string;
  readonly offset: number;
}

function findSlot(parent: string, token: string): Slot {
  // The pid alone, with which `parent` begins, selects the slot, so a new token replaces the parent's old one.
  const index = Number.parseInt(parent, 10) % SLOTS;
  // 32 bits do not reveal the token; if another token has the same checksum, Keystone is asked once more.
  const id = `${computeChecksum(token)} ${parent}${PADDING}`.slice(0, ID_CHARACTERS);
  return { id, offset: index * SLOT_BYTES };
}

function readSlot(fd: number, { id, offset }: Slot, now: number): HandOutState {
  const text = readText(fd).slice(offset, offset + SLOT_BYTES);
  if (!text.startsWith(id)) return 'nothing';
  if (text[ID_CHARACTERS] !== MARKS.confirmed) return 'token';
  const ageMs = now - Number(text.slice(ID_CHARACTERS + 1));
  return ageMs >= 0 && ageMs < CONFIRMED_MS ? 'confirmed' : 'token';
}

function writeSlot(fd: number, { id, offset }: Slot, state: keyof typeof MARKS, now: number): void {
  const line = `${id}${MARKS[state]}${`${'0'.repeat(13)}${String(now)}`.slice(-13)}\n`;
  writeSync(fd, line, offset, 'latin1');
}

/** A process that receives a token. */
export interface Recipient {
  readonly folder: CacheFolder;
  /** Pid and start time of the process. */
  readonly parent: string;
  /** ms since 1970, UTC. */
  readonly now: number;
}

/**
 * Records that `parent` receives `token`.
 *
 * @returns what it had received before
 * @throws CacheError
 */
export function markHandedOut({ folder, parent, now }: Recipient, token: string): HandOutState {
  return withPrivateFile(join(folder.path, HANDED_OUT_FILE_NAME), folder.uid, (fd) => {
    const slot = findSlot(parent, token);
    const state = readSlot(fd, slot, now);
    if (state === 'nothing') writeSlot(fd, slot, 'token', now);
    return state;
  });
}

/**
 * Records that Keystone confirmed or replaced the token of `parent`, so that it is not asked again for five minutes.
 *
 * @throws CacheError
 */
export function markConfirmed({ folder, parent, now }: Recipient, token: string): void {
  withPrivateFile(join(folder.path, HANDED_OUT_FILE_NAME), folder.uid, (fd) => {
    writeSlot(fd, findSlot(parent, token), 'confirmed', now);
  });
}
