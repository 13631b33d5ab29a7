/** A JWT of another issuer (RFC 7519), which Keystone will check: read here to be shown, and to tell whose it is. */
import { getErrorCode, ConfigError } from '../../shared/base/errors.ts';
import { readStampedFile } from '../../shared/base/file-stamp.ts';
import { numberAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { decodeJwtPayload } from '../../shared/oidc/jwt.ts';
import { Secret } from '../../shared/base/secret.ts';

/** A JWT with what it says of itself, which nobody has checked. */
export interface PresentedJwt {
  readonly text: Secret;
  readonly claims: JsonObject;
}

/** Where a JWT comes from, and what to do if it is of no use, in the words of a message. */
export interface JwtSource {
  readonly label: string;
  readonly hint: string;
}

const LARGEST_BYTES = 64 * 1024;

/** Signed, in the compact form (RFC 7515, section 3.1): nothing that could not stand in a header. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** What says when a JWT was made and how long it lives: the next one for the same holder differs in nothing else. */
const TIMES = ['exp', 'iat', 'nbf', 'jti', 'auth_time'];

/** @throws ConfigError when it is no signed JWT */
export function parseJwt(text: string, { label, hint }: JwtSource): PresentedJwt {
  const secret = new Secret(text.trim());
  const claims = COMPACT.test(secret.reveal()) ? decodeJwtPayload(secret.reveal()) : undefined;
  if (claims === undefined) throw new ConfigError(`${label} is no JWT`, { hint });
  return { text: secret, claims };
}

/**
 * Reads a JWT from its file.
 *
 * @throws ConfigError when the file cannot be read, is larger than 64 KiB, or holds none
 */
export function readJwtFile(path: string, { label, hint }: JwtSource): PresentedJwt {
  const inFile = { label: `${label} in ${path}`, hint };
  let bytes: Buffer;
  try {
    ({ bytes } = readStampedFile(path, LARGEST_BYTES + 1));
  } catch (error) {
    throw new ConfigError(`${label} cannot be read from ${path} (${getErrorCode(error)})`, { hint });
  }
  if (bytes.length > LARGEST_BYTES) throw new ConfigError(`${inFile.label} is larger than 64 KiB`, { hint });
  return parseJwt(bytes.toString(), inFile);
}

/**
 * Whose JWT it is, for a cache key: everything it says but the times. A mapping may look at any claim, so two that differ
 * in one are two identities; and its successor for the same holder is the same.
 */
export function identifyJwt({ claims }: PresentedJwt): string {
  const lasting = Object.entries(claims).sort(([one], [other]) => (one < other ? -1 : 1));
  return JSON.stringify(
    lasting.filter(([name]) => !TIMES.includes(name)),
    (name, value: unknown) =>
      // Kubernetes says below `kubernetes.io` when the next one is due.
      name === 'warnafter' ? undefined : value,
  );
}

/** The one a JWT is about (RFC 7519, `sub`); a service account by its namespace and name. */
export function describeJwtSubject({ claims }: PresentedJwt): string {
  const subject = textAt(claims, 'sub') ?? 'the holder of the JWT';
  return subject.replace(/^system:serviceaccount:([^:]+):([^:]+)$/, 'service account $1/$2');
}

/**
 * Keystone would only say that it refuses an expired one.
 *
 * @param now ms since 1970, UTC
 * @throws ConfigError when it has expired
 */
export function requireUnexpiredJwt({ claims }: PresentedJwt, now: number, { label, hint }: JwtSource): void {
  const expiry = numberAt(claims, 'exp');
  if (expiry === undefined || expiry * 1000 > now) return;
  const ended = new Date(Math.min(expiry * 1000, 8.64e15)).toISOString();
  throw new ConfigError(`${label} expired at ${ended}`, { hint });
}
