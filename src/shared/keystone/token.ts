import { KeystoneProtocolError } from '../base/errors.ts';
import { parseHeaderToken } from '../base/secret.ts';
import { isJsonObject, listAt, objectAt, textAt } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import type { Secret } from '../base/secret.ts';

/** A token and its details (Keystone API v3, "token"). */
export interface Token {
  readonly id: Secret;
  /** ms since 1970, UTC, by Keystone's clock. */
  readonly expiresAt: number;
  /** The member `token` of the response's body. */
  readonly details: JsonObject;
  /** Whether it is for a project, a domain, the system or a trust. */
  readonly isScoped: boolean;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

const TIMESTAMP = /^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:?\d{2})?$/;

/** Parses an offset to ms; undefined if it is out of range. */
function parseOffset(zone: string): number | undefined {
  if (zone === 'Z') return 0;
  const digits = zone.replace(':', '');
  const [hours, minutes] = [Number(digits.slice(1, 3)), Number(digits.slice(3, 5))];
  if (hours > 23 || minutes > 59) return undefined;
  return (hours * 60 + minutes) * (digits.startsWith('-') ? -MINUTE_MS : MINUTE_MS);
}

/** Computes the start of a day in ms since 1970, UTC; undefined if the day does not exist. */
function findMidnight(year: number, month: number, day: number): number | undefined {
  // Not Date.UTC, which takes the years 0 to 99 for 1900 to 1999.
  const midnight = new Date(0).setUTCFullYear(year, month - 1, day);
  const date = new Date(midnight);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? midnight : undefined;
}

/** Whether a month in UTC starts at this time: a leap second can only come directly before it. */
function isStartOfMonth(time: number): boolean {
  const date = new Date(time);
  return date.getUTCDate() === 1 && time % DAY_MS === 0;
}

/**
 * Parses Keystone's timestamps to ms since 1970: RFC 3339 with or without fractions; without a zone it is UTC; a leap
 * second counts as the second after it.
 *
 * @returns undefined for any other text
 */
export function parseTimestamp(text: string): number | undefined {
  const [, ...parts] = TIMESTAMP.exec(text.trim()) ?? [];
  const [year = NaN, month = NaN, day = NaN, hour = NaN, minute = NaN, second = NaN] = parts.slice(0, 6).map(Number);
  const midnight = findMidnight(year, month, day);
  const [fraction = '', zone = 'Z'] = parts.slice(6);
  const offset = parseOffset(zone);
  if (midnight === undefined || offset === undefined || hour > 23 || minute > 59 || second > 60) return undefined;
  const time = midnight + (hour * 60 + minute) * MINUTE_MS + second * 1000 - offset;
  if (second === 60 && !isStartOfMonth(time)) return undefined;
  return time + Number(fraction.padEnd(3, '0').slice(0, 3));
}

/**
 * Checks that an HTTP header can carry a token.
 *
 * @throws KeystoneProtocolError if it cannot
 */
export function parseTokenId(text: string): Secret {
  const id = parseHeaderToken(text);
  if (id !== undefined) return id;
  throw new KeystoneProtocolError('protocol', 'Keystone sent a token that is not valid in an HTTP header', {
    hint: 'ask its operator; up to 16384 printable ASCII characters are valid',
  });
}

function isScoped(token: JsonObject): boolean {
  return ['project', 'domain', 'system', 'OS-TRUST:trust'].some((name) => isJsonObject(token[name]));
}

/**
 * Parses the body of a response with a token.
 *
 * @throws KeystoneProtocolError if the token or its expiry is missing
 */
export function parseToken(id: Secret, body: JsonObject | undefined): Token {
  const token = objectAt(body, 'token');
  if (token === undefined) {
    throw new KeystoneProtocolError('not-keystone', 'the response does not contain a token: this is not Keystone', {
      hint: 'check OS_AUTH_URL',
    });
  }
  const expiresAt = parseTimestamp(textAt(token, 'expires_at') ?? '');
  if (expiresAt === undefined) {
    throw new KeystoneProtocolError('protocol', 'Keystone sent a token without a readable expires_at', {
      hint: 'ask its operator',
    });
  }
  return { id, expiresAt, details: token, isScoped: isScoped(token) };
}

/** The name of an entity; undefined if Keystone does not know it: Rust Keystone then sends an empty one. */
export function nameAt(entity: JsonObject | undefined): string | undefined {
  const name = textAt(entity, 'name');
  return name === '' ? undefined : name;
}

/** Lists the auth methods that a rejection names (`error.identity.methods`). */
export function listOfferedMethods(body: JsonObject | undefined): string[] {
  const methods = listAt(objectAt(objectAt(body, 'error'), 'identity'), 'methods');
  return methods.filter((method) => typeof method === 'string');
}
