import { listAt, numberAt, parseJsonObject, textAt } from '../json.ts';
import type { JsonObject } from '../json.ts';
import type { ApiVersion } from '../exec/exec-info.ts';
import type { FileStamp } from './file-stamp.ts';
import { sha256 } from './sha256.ts';

/** A token as it lies in the cache. Times are ms since 1970, UTC, by this machine's clock. */
export interface TokenRecord {
  readonly token: string;
  readonly receivedAt: number;
  readonly expiresAt: number;
}

/** What a fingerprint of raw inputs led to the last time. */
export interface Alias {
  /** The canonical cache key. */
  readonly key: string;
  /** The version that `--api-version` asked for; undefined leaves it to kubectl. */
  readonly apiVersion: ApiVersion | undefined;
  /** The files that the answer depended on; a change in any of them makes the alias void. */
  readonly files: readonly FileStamp[];
}

const VERSION = 1;

/** A token is not reused in the last two minutes of its life, or its last half if it lives less than four. */
const MARGIN_MS = 120_000;

/** How far the clock may have gone back since the token was received before the record's times mean nothing. */
const CLOCK_SLACK_MS = 60_000;

function seal(content: object): string {
  const text = JSON.stringify({ version: VERSION, ...content });
  return `${sha256(text)}\n${text}\n`;
}

/** Gives the object under the checksum, or undefined if a single bit is not as it was written. */
function unseal(sealed: string): JsonObject | undefined {
  const [checksum, text, rest] = sealed.split('\n');
  if (checksum === undefined || text === undefined || rest !== '' || sha256(text) !== checksum) return undefined;
  const content = parseJsonObject(text);
  return content?.['version'] === VERSION ? content : undefined;
}

/** Serialises a record with its key, so that a file under another name is recognised as not its own. */
export function sealRecord(key: string, record: TokenRecord): string {
  const { token, receivedAt, expiresAt } = record;
  return seal({ key, token, receivedAt, expiresAt });
}

/** Parses what {@link sealRecord} wrote for `key`; undefined for anything else. */
export function unsealRecord(key: string, sealed: string): TokenRecord | undefined {
  const content = unseal(sealed);
  const token = textAt(content, 'token');
  const receivedAt = numberAt(content, 'receivedAt');
  const expiresAt = numberAt(content, 'expiresAt');
  if (textAt(content, 'key') !== key || token === undefined || receivedAt === undefined || expiresAt === undefined) {
    return undefined;
  }
  return { token, receivedAt, expiresAt };
}

/** Serialises an alias with the fingerprint that it belongs to. */
export function sealAlias(fingerprint: string, alias: Alias): string {
  const { key, apiVersion, files } = alias;
  return seal({ fingerprint, key, apiVersion, files: files.map((file) => [file.path, file.stamp]) });
}

/** Parses what {@link sealAlias} wrote for `fingerprint`; undefined for anything else. */
export function unsealAlias(fingerprint: string, sealed: string): Alias | undefined {
  const content = unseal(sealed);
  const key = textAt(content, 'key');
  if (textAt(content, 'fingerprint') !== fingerprint || key === undefined) return undefined;
  const files: FileStamp[] = [];
  for (const entry of listAt(content, 'files')) {
    const [path, stamp] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (typeof path !== 'string' || typeof stamp !== 'string') return undefined;
    files.push({ path, stamp });
  }
  // The checksum vouches that only parsed versions were ever written.
  return { key, apiVersion: textAt(content, 'apiVersion') as ApiVersion | undefined, files };
}

/** Whether a record may still be handed out at `now` (ms since 1970, UTC). */
export function isFresh(record: TokenRecord, now: number): boolean {
  const lifetime = record.expiresAt - record.receivedAt;
  const margin = Math.min(MARGIN_MS, lifetime / 2);
  return record.expiresAt - now > margin && now > record.receivedAt - CLOCK_SLACK_MS;
}
