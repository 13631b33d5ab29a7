/**
 * Remembers refused logins, because Keystone locks accounts: kubectl runs a failing plugin up to six times for one
 * command, and a dashboard runs kubectl all day. The same credential is tried again after growing pauses, another one
 * immediately. The file holds a keyed tag of the credential (see `credential-tag.ts`) and the reason of the refusal.
 */
import { join } from 'node:path';
import { isJsonObject, listAt, numberAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import type { CacheFolder } from './cache-folder.ts';
import { parseWithChecksum, serializeWithChecksum } from './checksum.ts';
import { isTagOf, tagCommand, tagCredential } from './credential-tag.ts';
import type { CallerProcesses } from './credential-tag.ts';
import { refusalFileName } from './file-names.ts';
import { removeQuietly } from '../../shared/base/write-private-file.ts';
import { readPrivateFile, writePrivateFile } from './private-file.ts';
import type { DigestField } from './sha256.ts';

/**
 * - `credential`: everything that was sent
 * - `lasting`: what was sent, without what works once. A new passcode does not make a wrong password right.
 * - `command`: what the user answered or canceled while one kubectl command ran. The next command asks again.
 */
type RefusalKind = 'credential' | 'lasting' | 'command';

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** The pauses after the first refusal, the second one and so on; the last one repeats. See decision 0035. */
const PAUSES_MS: Readonly<Record<RefusalKind, readonly [number, ...number[]]>> = {
  credential: [30 * SECOND_MS, 20 * MINUTE_MS, HOUR_MS],
  lasting: [0, 0, HOUR_MS],
  command: [30 * SECOND_MS],
};

/** After this time without a refusal, a credential starts with the first pause again. */
const MEMORY_MS = 24 * HOUR_MS;

/** A small correction of the clock does not end a pause. A refusal that is further in the future ends it. */
const CLOCK_SLACK_MS = MINUTE_MS;

/** For the credentials of several users of one folder, and for several corrections. Then the oldest goes first. */
const MAX_ENTRIES = 8;

/** With these limits, a file of {@link MAX_ENTRIES} is smaller than the largest private file that is read. */
const MAX_MESSAGE = 600;
const MAX_HINT = 300;

/** Why a login failed. */
export interface LoginFailure {
  /** Of a PluginError. */
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
  readonly requestId: string | undefined;
}

/** A login that must not be tried again yet. Times are ms since 1970, UTC. */
export interface Refusal extends LoginFailure {
  readonly refusedAt: number;
  /** When it may be tried again; undefined if that is the next kubectl command. */
  readonly nextAt: number | undefined;
}

/** What was sent to a server, as fields of a digest. */
export interface SentCredential {
  /** Whether something that works once is left out. */
  readonly isLastingPart: boolean;
  readonly fields: readonly DigestField[];
}

/** What a failed login is about. */
export type RefusalSubject = readonly SentCredential[] | 'command';

interface Entry extends LoginFailure {
  readonly kind: RefusalKind;
  readonly tag: string;
  /** The process that the tag is keyed with. */
  readonly process: string | undefined;
  readonly count: number;
  /** ms since 1970, UTC. */
  readonly refusedAt: number;
}

function parseEntry(value: unknown): Entry[] {
  if (!isJsonObject(value)) return [];
  const kind = textAt(value, 'kind');
  const tag = textAt(value, 'tag');
  const count = numberAt(value, 'count');
  const refusedAt = numberAt(value, 'at');
  const message = textAt(value, 'message');
  if (kind === undefined || !Object.hasOwn(PAUSES_MS, kind) || tag === undefined) return [];
  if (count === undefined || refusedAt === undefined || message === undefined) return [];
  return [
    {
      kind: kind as RefusalKind,
      tag,
      process: textAt(value, 'process'),
      count,
      refusedAt,
      code: textAt(value, 'code') ?? '',
      message,
      hint: textAt(value, 'hint'),
      requestId: textAt(value, 'requestId'),
    },
  ];
}

function toJson({ refusedAt, ...entry }: Entry): JsonObject {
  return { ...entry, at: refusedAt };
}

/** Reads the entries of a file. A file of an earlier version has none. */
function readEntries({ path, uid }: CacheFolder, key: string): readonly Entry[] {
  const content = parseWithChecksum(readPrivateFile(join(path, refusalFileName(key)), uid));
  return textAt(content, 'key') === key ? listAt(content, 'entries').flatMap(parseEntry) : [];
}

const pauseAfter = ({ kind, count }: Pick<Entry, 'kind' | 'count'>): number => {
  const pauses = PAUSES_MS[kind];
  return pauses[Math.min(count, pauses.length) - 1] ?? pauses[0];
};

const memoryOf = (kind: RefusalKind): number => (kind === 'command' ? pauseAfter({ kind, count: 1 }) : MEMORY_MS);

/** Whether an entry still counts. A clock that was set back leaves the count. */
const isRemembered = ({ kind, refusedAt }: Entry, now: number): boolean => now - refusedAt < memoryOf(kind);

function isPaused(entry: Entry, now: number): boolean {
  return now < entry.refusedAt + pauseAfter(entry) && now > entry.refusedAt - CLOCK_SLACK_MS;
}

/** A refused login: where it is remembered, and what runs the plugin. */
export interface RefusalContext {
  readonly folder: CacheFolder;
  readonly key: string;
  readonly callers: CallerProcesses;
  /** ms since 1970, UTC. */
  readonly now: number;
}

const kindOf = ({ isLastingPart }: SentCredential): RefusalKind => (isLastingPart ? 'lasting' : 'credential');

function isAbout({ kind, tag, process }: Entry, sent: SentCredential, callers: CallerProcesses): boolean {
  if (kind !== kindOf(sent)) return false;
  return process === undefined ? tag === tagCommand(callers) : isTagOf(callers, { tag, process }, sent.fields);
}

function toRefusal(entry: Entry): Refusal {
  const { code, message, hint, requestId, refusedAt, kind } = entry;
  const nextAt = kind === 'command' ? undefined : refusedAt + pauseAfter(entry);
  return { code, message, hint, requestId, refusedAt, nextAt };
}

/**
 * Finds the refusal because of which a login must not be sent yet.
 *
 * @param sent what the login would send; empty if that is not known before the user answers
 */
export function findRefusal(
  { folder, key, callers, now }: RefusalContext,
  sent: readonly SentCredential[],
): Refusal | undefined {
  const paused = readEntries(folder, key).filter((entry) => isRemembered(entry, now) && isPaused(entry, now));
  const command = tagCommand(callers);
  const found = paused.find((entry) =>
    entry.kind === 'command' ? entry.tag === command : sent.some((each) => isAbout(entry, each, callers)),
  );
  return found === undefined ? undefined : toRefusal(found);
}

/** Whether the refusal file of `key` is valid, whatever logins it is about. */
export function isValidRefusalFile(folder: CacheFolder, key: string): boolean {
  return readEntries(folder, key).length > 0;
}

type NewTag = Pick<Entry, 'kind' | 'tag' | 'process'>;

function makeTag(subject: SentCredential | 'command', callers: CallerProcesses): NewTag | undefined {
  const command = tagCommand(callers);
  const byCommand = command === undefined ? undefined : { tag: command, process: undefined };
  if (subject === 'command') return byCommand && { kind: 'command', ...byCommand };
  // Within one kubectl command the credential cannot change, so its process is enough.
  const tag = tagCredential(callers, subject.fields) ?? byCommand;
  return tag && { kind: kindOf(subject), ...tag };
}

function makeEntry(
  subject: SentCredential | 'command',
  failure: LoginFailure,
  known: readonly Entry[],
  { callers, now }: RefusalContext,
): Entry | undefined {
  const last = subject === 'command' ? undefined : known.find((entry) => isAbout(entry, subject, callers));
  const tag = last ?? makeTag(subject, callers);
  if (tag === undefined) return undefined;
  const { kind, process } = tag;
  return {
    kind,
    tag: tag.tag,
    process,
    count: (last?.count ?? 0) + 1,
    refusedAt: now,
    code: failure.code,
    message: failure.message.slice(0, MAX_MESSAGE),
    hint: failure.hint?.slice(0, MAX_HINT),
    requestId: failure.requestId,
  };
}

/** Several folders can hold the same entry. */
function keepFirstOfEach(entries: readonly Entry[]): readonly Entry[] {
  const isSame = (a: Entry, b: Entry): boolean => a.kind === b.kind && a.tag === b.tag;
  return entries.filter((entry, index) => entries.findIndex((other) => isSame(entry, other)) === index);
}

/**
 * Remembers that a login failed.
 *
 * @param others other folders that may remember the same login
 * @throws CacheError
 */
export function rememberRefusal(
  context: RefusalContext,
  subject: RefusalSubject,
  failure: LoginFailure,
  others: readonly CacheFolder[] = [],
): void {
  const { folder, key, now } = context;
  const known = [folder, ...others]
    .flatMap((each) => readEntries(each, key))
    .filter((entry) => isRemembered(entry, now))
    .map((entry) => ({ ...entry, refusedAt: Math.min(entry.refusedAt, now) }))
    .toSorted((a, b) => b.refusedAt - a.refusedAt);
  const subjects = subject === 'command' ? [subject] : subject;
  const added = subjects.flatMap((each) => makeEntry(each, failure, known, context) ?? []);
  if (added.length === 0) return;
  const entries = keepFirstOfEach([...added, ...known]).slice(0, MAX_ENTRIES);
  const endsAt = Math.max(...entries.map(({ kind, refusedAt }) => refusedAt + memoryOf(kind)));
  writePrivateFile(
    folder.path,
    refusalFileName(key),
    serializeWithChecksum({ key, entries: entries.map(toJson) }),
    endsAt,
    // After a power failure, the process that keys the tags is gone too.
    { mayBeLost: true },
  );
}

/** Forgets the refusals of a key after a successful login, which resets Keystone's own count as well. */
export function forgetRefusals(folder: CacheFolder, key: string): void {
  removeQuietly(join(folder.path, refusalFileName(key)));
}
