/** A JWT of another issuer (RFC 7519) that Keystone verifies. The plugin only reads who it is for. */
import { isUtf8 } from 'node:buffer';
import { ConfigError } from '../../shared/base/errors.ts';
import { isJsonObject, numberAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { describeReadFailure, readRegularFile } from '../../shared/base/read-file.ts';
import { decodeJwtPayload } from '../../shared/oidc/jwt.ts';
import { Secret } from '../../shared/base/secret.ts';
import type { ExplainStatus, StatusExplanation, StatusExplanations } from '../../shared/keystone/auth-request.ts';
import { describeScope } from '../../shared/keystone/scope.ts';
import type { Scope } from '../../shared/keystone/scope.ts';

/** A JWT and its claims, which the plugin does not verify. */
export interface PresentedJwt {
  readonly text: Secret;
  readonly claims: JsonObject;
}

/** Where a JWT comes from and how to provide another one, as text for messages. */
export interface JwtSource {
  readonly label: string;
  readonly hint: string;
}

const MAX_BYTES = 64 * 1024;

/** A signed JWT in compact form (RFC 7515, section 3.1); every character is valid in an HTTP header. */
const COMPACT = /^[\w-]+\.([\w-]+)\.[\w-]+$/;

/** Claims in which successive JWTs for the same subject differ. */
const VOLATILE_CLAIMS = ['exp', 'iat', 'nbf', 'jti', 'auth_time'];

/**
 * Parses a JWT.
 *
 * @throws ConfigError when the text is not a signed JWT
 */
export function parseJwt(text: string, { label, hint }: JwtSource): PresentedJwt {
  const secret = new Secret(text.trim());
  const [, payload] = COMPACT.exec(secret.reveal()) ?? [];
  // Bytes that are not UTF-8 would all become the same character.
  const isText = payload !== undefined && isUtf8(Buffer.from(payload, 'base64url'));
  const claims = isText ? decodeJwtPayload(secret.reveal()) : undefined;
  if (claims === undefined) throw new ConfigError(`${label} is not a JWT`, { hint });
  return { text: secret, claims };
}

/**
 * Reads a JWT from its file.
 *
 * @throws ConfigError when the file cannot be read, is larger than 64 KiB, or does not contain a JWT
 */
export function readJwtFile(path: string, { label, hint }: JwtSource): PresentedJwt {
  const source = { label: `${label} in ${path}`, hint };
  let bytes: Buffer;
  try {
    ({ bytes } = readRegularFile(path, MAX_BYTES));
  } catch (error) {
    throw new ConfigError(`cannot read ${label} from ${path} (${describeReadFailure(error)})`, { hint });
  }
  return parseJwt(bytes.toString(), source);
}

/** Parses the claims, with each number as its own text: a large ID is not the number that JavaScript rounds it to. */
function parseExactClaims(text: string): JsonObject {
  const keepDigits = (_: string, value: unknown, { source = '' }: { readonly source?: string } = {}): unknown => {
    if (typeof value === 'number') return source;
    // The quotation mark distinguishes a text from a number.
    return typeof value === 'string' ? `"${value}` : value;
  };
  const [, payload = ''] = text.split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString(), keepDigits) as JsonObject;
}

function omit(claims: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => !names.includes(name)));
}

/**
 * Returns the identity of a JWT for a cache key: all claims except the volatile ones. A mapping of Keystone can use any
 * claim, so JWTs with different claims are different identities, but a renewed JWT keeps its identity.
 */
export function identifyJwt({ text }: PresentedJwt): string {
  const claims = Object.entries(omit(parseExactClaims(text.reveal()), VOLATILE_CLAIMS));
  return JSON.stringify(
    claims
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => [
        name,
        // Kubernetes adds a renewal time to its claim.
        name === 'kubernetes.io' && isJsonObject(value) ? omit(value, ['warnafter']) : value,
      ]),
  );
}

/** Describes the subject of a JWT (RFC 7519, `sub`); a service account by its namespace and name. */
export function describeJwtSubject({ claims }: PresentedJwt): string {
  const subject = textAt(claims, 'sub') ?? 'the holder of the JWT';
  return subject.replace(/^system:serviceaccount:([^:]+):([^:]+)$/, 'service account $1/$2');
}

/**
 * Checks the expiry, because Keystone does not tell why it refuses a JWT.
 *
 * @param now ms since 1970, UTC
 * @throws ConfigError when the JWT has expired
 */
export function requireUnexpiredJwt({ claims }: PresentedJwt, now: number, { label, hint }: JwtSource): void {
  const expiry = numberAt(claims, 'exp');
  if (expiry === undefined || expiry * 1000 > now) return;
  const expiredAt = new Date(Math.min(expiry * 1000, 8.64e15)).toISOString();
  throw new ConfigError(`${label} expired at ${expiredAt}`, { hint });
}

/** Describes a login with a JWT for messages: "service account ns/name on project demo". */
export function describeJwtLogin(jwt: PresentedJwt, scope: Scope): string {
  const subject = describeJwtSubject(jwt);
  return scope.kind === 'default' ? subject : `${subject} ${describeScope(scope)}`;
}

interface ReasonedExplanations {
  readonly 400: ExplainStatus;
  readonly 500: ExplainStatus;
}

/** What Rust Keystone's mapping engine says with status 500. */
const NO_RULE = /\bno matching rule found\b|\bmapping rule .* was not found\b/;

/**
 * Makes the explanations of a refusal whose reason Rust Keystone tells, unlike with 401 and 403: 400 for a bad JWT or a
 * disabled provider, and 500 where no mapping rule matches.
 */
export function explainReasonedStatuses(refusal: Pick<StatusExplanation, 'message' | 'hint'>): ReasonedExplanations {
  const addReason: ExplainStatus = ({ text }) => ({
    code: 'auth-rejected',
    message: `${refusal.message}: ${text}`,
    hint: refusal.hint,
  });
  return { 400: addReason, 500: (message) => (NO_RULE.test(message.text) ? addReason(message) : undefined) };
}

/** Explains the statuses of Rust Keystone: 401 and 403 for a refused JWT, 404 for an unknown provider or cluster. */
export function explainJwtStatuses(
  refusal: Pick<StatusExplanation, 'message' | 'hint'>,
  unknown: ExplainStatus,
): StatusExplanations & ReasonedExplanations {
  const rejection: StatusExplanation = { code: 'auth-rejected', ...refusal };
  return { ...explainReasonedStatuses(refusal), 401: rejection, 403: rejection, 404: unknown };
}
