import { listAt, numberAt, textAt } from '../../shared/base/json.ts';
import type { ApiVersion } from '../exec/exec-credential.ts';
import type { FileStamp } from '../../shared/base/file-stamp.ts';
import { serializeWithChecksum, parseWithChecksum } from './checksum.ts';

/** A token as the cache stores it. Times are ms since 1970, UTC, by this machine's clock. */
export interface TokenRecord {
  readonly token: string;
  readonly receivedAt: number;
  readonly expiresAt: number;
  /** The v3 endpoint that issued it, without a trailing slash; undefined for a token of an identity provider. */
  readonly endpoint: string | undefined;
  /** The refresh token, which requests the next token without the user. */
  readonly refresh?: string | undefined;
}

/** A token record and the cache key that it is stored under. */
export interface CachedToken {
  readonly key: string;
  readonly record: TokenRecord;
}

/** The result that a fingerprint of raw inputs, or the cache key of incomplete settings, led to the last time. */
export interface Alias {
  /** The canonical cache key. */
  readonly key: string;
  /** The version that `--api-version` asks for; undefined leaves the choice to kubectl. */
  readonly apiVersion: ApiVersion | undefined;
  /** The files that the result depended on; a change to one of them invalidates the alias. */
  readonly files: readonly FileStamp[];
}

/** A token is not reused in its last two minutes, or in the last half of a lifetime below four minutes. */
const MARGIN_MS = 120_000;

/** How long a record with a refresh token is stored after the token expires: providers rarely say how long it works. */
const RENEWABLE_MS = 30 * 24 * 3_600_000;

/** How far the clock may have been set back since the token was received; beyond that the record is not used. */
const CLOCK_SLACK_MS = 60_000;

/** Serializes a record with its key, so that a file under another name is not accepted. */
export function serializeRecord(key: string, record: TokenRecord): string {
  const { token, receivedAt, expiresAt, endpoint, refresh } = record;
  return serializeWithChecksum({ key, token, receivedAt, expiresAt, endpoint, refresh });
}

/** Parses a record that {@link serializeRecord} wrote for `key`; undefined for anything else. */
export function parseRecord(key: string, text: string | undefined): TokenRecord | undefined {
  const content = parseWithChecksum(text);
  const token = textAt(content, 'token');
  const receivedAt = numberAt(content, 'receivedAt');
  const expiresAt = numberAt(content, 'expiresAt');
  if (textAt(content, 'key') !== key || token === undefined) return undefined;
  if (receivedAt === undefined || expiresAt === undefined) return undefined;
  const endpoint = textAt(content, 'endpoint');
  const refresh = textAt(content, 'refresh');
  return { token, receivedAt, expiresAt, endpoint, ...(refresh === undefined ? {} : { refresh }) };
}

/** Serializes an alias with its name, which is a fingerprint or a cache key. */
export function serializeAlias(fingerprint: string, alias: Alias): string {
  const { key, apiVersion, files } = alias;
  return serializeWithChecksum({ fingerprint, key, apiVersion, files: files.map((file) => [file.path, file.stamp]) });
}

/** Parses an alias that {@link serializeAlias} wrote for `fingerprint`; undefined for anything else. */
export function parseAlias(fingerprint: string, text: string | undefined): Alias | undefined {
  const content = parseWithChecksum(text);
  const key = textAt(content, 'key');
  if (textAt(content, 'fingerprint') !== fingerprint || key === undefined) return undefined;
  const files: FileStamp[] = [];
  for (const entry of listAt(content, 'files')) {
    const [path, stamp] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (typeof path !== 'string' || typeof stamp !== 'string') return undefined;
    files.push({ path, stamp });
  }
  // The checksum proves that the plugin wrote the version, which it had parsed before.
  return { key, apiVersion: textAt(content, 'apiVersion') as ApiVersion | undefined, files };
}

/** Computes when a record becomes useless, in ms since 1970, UTC. */
export function computeRetentionEnd({ expiresAt, refresh }: Pick<TokenRecord, 'expiresAt' | 'refresh'>): number {
  return refresh === undefined ? expiresAt : expiresAt + RENEWABLE_MS;
}

/** Whether the token of a record may still be used at `now` (ms since 1970, UTC). */
export function isFresh(record: TokenRecord, now: number): boolean {
  const lifetime = record.expiresAt - record.receivedAt;
  // Without `Math`: on Bun, its first use creates all of its functions.
  const margin = lifetime / 2 < MARGIN_MS ? lifetime / 2 : MARGIN_MS;
  return record.expiresAt - now > margin && now > record.receivedAt - CLOCK_SLACK_MS;
}
