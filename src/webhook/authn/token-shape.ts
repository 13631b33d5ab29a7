/** Tells tokens that Keystone can have made from those that it cannot, without a request to Keystone. */
import { numberAt, parseJsonObject, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';

/** Version, time, IV and MAC of a Fernet token in bytes (Fernet specification, "Token Format"). */
const FERNET_FRAME = 57;
const FERNET_BLOCK = 16;
const FERNET = /^gAAAA[A-Za-z0-9_-]+={0,2}$/;
const JWS = /^[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/;

/** A UUID, or the hash of one from a directory or a federation. */
const USER_ID = /^(?:[0-9a-f]{32}|[0-9a-f]{64})$/;

/** A longer token does not fit into Keystone's limit for request headers. */
const MAX_LENGTH = 8_192;

/** How far Keystone's clock may be behind ours before its tokens look expired, in ms. */
const SKEW_MS = 300_000;

/** Keystone tokens are valid for hours; no deployment lets them be valid for longer than this. */
const MAX_LIFETIME_MS = 30 * 24 * 3_600_000;

/**
 * Whether a text of any shape can be a token: it fits into the header in which it is sent to Keystone. Another one would
 * fail there like a question without an answer.
 */
export const fitsIntoHeader = (token: string): boolean =>
  token.length <= MAX_LENGTH && token.trim() === token && /^[\x20-\x7e]+$/.test(token);

function isFernet(token: string): boolean {
  if (!FERNET.test(token)) return false;
  const byteCount = Math.floor((token.replace(/=+$/, '').length * 3) / 4);
  const ciphertextLength = byteCount - FERNET_FRAME;
  return ciphertextLength > 0 && ciphertextLength % FERNET_BLOCK === 0;
}

function readJwsClaims(token: string): JsonObject | undefined {
  const [, payload = ''] = JWS.exec(token) ?? [];
  return payload === '' ? undefined : parseJsonObject(Buffer.from(payload, 'base64url').toString('utf8'));
}

/** Keystone's JWS tokens have the claim `openstack_methods`; those of service accounts do not. */
function isKeystoneJws(token: string, now: number): boolean {
  const claims = readJwsClaims(token);
  if (claims === undefined || !Object.hasOwn(claims, 'openstack_methods')) return false;
  const expiry = numberAt(claims, 'exp');
  return expiry === undefined || expiry * 1000 > now - SKEW_MS;
}

/** The creation time inside a Fernet token, in ms since 1970, UTC. */
function readFernetTime(token: string): number {
  return Number(Buffer.from(token.slice(0, 12), 'base64url').readBigUInt64BE(1)) * 1000;
}

/**
 * Classifies a token by its shape: Keystone makes Fernet and JWS tokens. A `suspicious` token has the right shape but
 * was made in the future or long ago, as random bytes nearly always claim. Clients can forge that time, so this
 * decides only the order in which Keystone is asked about tokens.
 *
 * @param now ms since 1970, UTC
 */
export function classifyTokenShape(token: string, now: number): 'likely' | 'suspicious' | 'impossible' {
  if (token.length > MAX_LENGTH) return 'impossible';
  if (isKeystoneJws(token, now)) return 'likely';
  if (!isFernet(token)) return 'impossible';
  const createdAt = readFernetTime(token);
  return createdAt < now + SKEW_MS && createdAt > now - MAX_LIFETIME_MS ? 'likely' : 'suspicious';
}

/** The user that a JWS token claims to belong to, if it is an ID that Keystone makes; proves nothing. */
export function readUserId(token: string): string | undefined {
  const userId = textAt(readJwsClaims(token), 'sub');
  return userId !== undefined && USER_ID.test(userId) ? userId : undefined;
}
