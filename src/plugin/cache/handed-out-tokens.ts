/**
 * Which process has been handed which token. kubectl never says that the cluster refused a token; it only runs us again.
 * So the same parent asking for the token that it has just got is the sign to ask Keystone whether that token still
 * lives. This is on the hit path, so it is one small file with a slot for each of 256 parents, read and written in
 * place. Two parents that fall on one slot forget each other: the sign is missed, nothing worse.
 */
import { readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { withPrivateFile } from './private-file.ts';
import { computeChecksum } from './checksum.ts';

/** What a parent has got so far: nothing, the token, or the token after Keystone confirmed it. */
export type HandOutState = 'nothing' | 'token' | 'confirmed';

const FILE = 'handed-out';
const SLOTS = 256;
const ID_CHARACTERS = 32;
const MARKS: Readonly<Record<Exclude<HandOutState, 'nothing'>, string>> = { token: 't', confirmed: 'c' };
/** Id, filled up with spaces, mark, time in ms, newline. */
const SLOT_BYTES = ID_CHARACTERS + 1 + 13 + 1;

/** A parent that lives on may ask about its token again; a kubectl that does is over by then. */
const CONFIRMED_MS = 300_000;

interface Slot {
  readonly id: string;
  readonly offset: number;
}

function findSlot(parent: string, token: string): Slot {
  // The parent alone chooses the slot, so a new token replaces its old one. It begins with its pid.
  const index = Number.parseInt(parent, 10) % SLOTS;
  // 32 bits say nothing of the token; should another token have the same, Keystone is asked once more.
  const id = `${computeChecksum(token)} ${parent}`.padEnd(ID_CHARACTERS).slice(0, ID_CHARACTERS);
  return { id, offset: index * SLOT_BYTES };
}

function readSlot(fd: number, { id, offset }: Slot, now: number): HandOutState {
  const bytes = Buffer.alloc(SLOT_BYTES);
  const text = bytes.toString('latin1', 0, readSync(fd, bytes, 0, SLOT_BYTES, offset));
  if (!text.startsWith(id)) return 'nothing';
  if (text[ID_CHARACTERS] !== MARKS.confirmed) return 'token';
  const age = now - Number(text.slice(ID_CHARACTERS + 1));
  return age >= 0 && age < CONFIRMED_MS ? 'confirmed' : 'token';
}

function writeSlot(fd: number, { id, offset }: Slot, state: keyof typeof MARKS, now: number): void {
  const line = `${id}${MARKS[state]}${String(now).padStart(13, '0')}\n`;
  writeSync(fd, line, offset, 'latin1');
}

/** What a note is about. */
export interface Recipient {
  readonly folder: string;
  readonly uid: number | undefined;
  /** Pid and start time. */
  readonly parent: string;
  /** ms since 1970, UTC. */
  readonly now: number;
}

/** Notes that `parent` gets `token` now, and says what it had got before. */
export function markHandedOut({ folder, uid, parent, now }: Recipient, token: string): HandOutState {
  return withPrivateFile(join(folder, FILE), uid, (fd) => {
    const slot = findSlot(parent, token);
    const before = readSlot(fd, slot, now);
    if (before === 'nothing') writeSlot(fd, slot, 'token', now);
    return before;
  });
}

/** Notes that Keystone has confirmed or replaced the token of `parent`, so that it is not asked again for a while. */
export function markConfirmed({ folder, uid, parent, now }: Recipient, token: string): void {
  withPrivateFile(join(folder, FILE), uid, (fd) => {
    writeSlot(fd, findSlot(parent, token), 'confirmed', now);
  });
}
