import { listAt, numberAt, textAt } from '../../shared/base/json.ts';
import type { ApiVersion } from '../exec/exec-credential.ts';
import type { FileStamp } from '../../shared/base/file-stamp.ts';
import { serializeWithChecksum, parseWithChecksum } from './checksum.ts';

/** A token as it lies in the cache. Times are ms since 1970, UTC, by this machine's clock. */
export interface TokenRecord {
  readonly token: string;
  readonly receivedAt: number;
  readonly expiresAt: number;
  /** The v3 endpoint that can be asked about it, without a trailing slash; undefined for a token that is no Keystone's. */
  readonly endpoint: string | undefined;
  /** Gets the next token without the user. */
  readonly refresh?: string | undefined;
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

/** A token is not reused in the last two minutes of its life, or its last half if it lives less than four. */
const MARGIN_MS = 120_000;

/** How long a token that can be renewed is kept beyond its end: providers rarely say how long that works. */
const RENEWABLE_MS = 30 * 24 * 3_600_000;

/** How far the clock may have gone back since the token was received before the record's times mean nothing. */
const CLOCK_SLACK_MS = 60_000;

/** Serialises a record with its key, so that a file under another name is recognised as not its own. */
export function serializeRecord(key: string, record: TokenRecord): string {
  const { token, receivedAt, expiresAt, endpoint, refresh } = record;
  return serializeWithChecksum({ key, token, receivedAt, expiresAt, endpoint, refresh });
}

/** Parses what {@link serializeRecord} wrote for `key`; undefined for anything else. */
export function parseRecord(key: string, sealed: string | undefined): TokenRecord | undefined {
  const content = parseWithChecksum(sealed);
  const token = textAt(content, 'token');
  const receivedAt = numberAt(content, 'receivedAt');
  const expiresAt = numberAt(content, 'expiresAt');
  if (textAt(content, 'key') !== key || token === undefined) return undefined;
  if (receivedAt === undefined || expiresAt === undefined) return undefined;
  const endpoint = textAt(content, 'endpoint');
  const refresh = textAt(content, 'refresh');
  return { token, receivedAt, expiresAt, endpoint, ...(refresh === undefined ? {} : { refresh }) };
}

/** Serialises an alias with the fingerprint that it belongs to. */
export function serializeAlias(fingerprint: string, alias: Alias): string {
  const { key, apiVersion, files } = alias;
  return serializeWithChecksum({ fingerprint, key, apiVersion, files: files.map((file) => [file.path, file.stamp]) });
}

/** Parses what {@link serializeAlias} wrote for `fingerprint`; undefined for anything else. */
export function parseAlias(fingerprint: string, sealed: string | undefined): Alias | undefined {
  const content = parseWithChecksum(sealed);
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

/** When a record loses its last use, ms since 1970, UTC. */
export function computeRetentionEnd({ expiresAt, refresh }: Pick<TokenRecord, 'expiresAt' | 'refresh'>): number {
  return refresh === undefined ? expiresAt : expiresAt + RENEWABLE_MS;
}

/** Whether a record may still be handed out at `now` (ms since 1970, UTC). */
export function isFresh(record: TokenRecord, now: number): boolean {
  const lifetime = record.expiresAt - record.receivedAt;
  const margin = Math.min(MARGIN_MS, lifetime / 2);
  return record.expiresAt - now > margin && now > record.receivedAt - CLOCK_SLACK_MS;
}
