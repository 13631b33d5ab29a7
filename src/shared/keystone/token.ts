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

const TIMESTAMP = /^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:?\d{2})?$/;

function offsetMinutes(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0;
  const digits = zone.replace(':', '');
  const minutes = Number(digits.slice(1, 3)) * 60 + Number(digits.slice(3, 5));
  return digits.startsWith('-') ? -minutes : minutes;
}

/**
 * Parses Keystone's timestamps to ms since 1970: RFC 3339 with or without fractions; without a zone it is UTC; a leap
 * second counts as the second after it.
 *
 * @returns undefined for any other text
 */
export function parseTimestamp(text: string): number | undefined {
  const match = TIMESTAMP.exec(text.trim());
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  if (year === undefined || month === undefined || day === undefined) return undefined;
  if (hour === undefined || minute === undefined || second === undefined) return undefined;
  const midnight = new Date(Date.UTC(year, month - 1, day));
  const exists = midnight.getUTCMonth() === month - 1 && midnight.getUTCDate() === day;
  if (!exists || hour > 24 || minute > 59 || second > 60) return undefined;
  const fraction = Math.floor(Number(`0.${match[7] ?? '0'}`) * 1000);
  return midnight.getTime() + ((hour * 60 + minute - offsetMinutes(match[8])) * 60 + second) * 1000 + fraction;
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

/** Lists the auth methods that a rejection names (`error.identity.methods`). */
export function listOfferedMethods(body: JsonObject | undefined): string[] {
  const methods = listAt(objectAt(objectAt(body, 'error'), 'identity'), 'methods');
  return methods.filter((method) => typeof method === 'string');
}
