import { createLocalJWKSet, decodeJwt, errors, jwtVerify } from 'jose';
import type { FlattenedJWSInput, JWSHeaderParameters, JSONWebKeySet } from 'jose';
import { numberAt, textAt } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';

/**
 * What a JWT says of itself (RFC 7519, 4.1). Nobody has checked its signature: it serves for messages and lifetimes.
 */
export interface Claims {
  readonly issuer: string | undefined;
  readonly subject: string | undefined;
  readonly audiences: readonly string[];
  /** Of an ID token: of the login that it was made for (OpenID Connect Core, 2). */
  readonly nonce: string | undefined;
  /** ms since 1970, UTC, by the clock of whoever made it. */
  readonly expiresAt: number | undefined;
}

/** The last instant that a Date can name. */
const MAX_EXP_SECONDS = 8_640_000_000_000;

/** Everything that a JWT says; undefined where it is none. */
export function decodeJwtPayload(token: string): JsonObject | undefined {
  try {
    return decodeJwt(token);
  } catch {
    return undefined;
  }
}

/** The claims of a token; undefined where it is no JWT, as an access token need not be. */
export function readUnverifiedClaims(token: string): Claims | undefined {
  const claims = decodeJwtPayload(token);
  if (claims === undefined) return undefined;
  const audience = Object.hasOwn(claims, 'aud') ? claims['aud'] : undefined;
  const audiences: readonly unknown[] = Array.isArray(audience) ? audience : [audience];
  const exp = numberAt(claims, 'exp');
  return {
    issuer: textAt(claims, 'iss'),
    subject: textAt(claims, 'sub'),
    nonce: textAt(claims, 'nonce'),
    audiences: audiences.filter((one) => typeof one === 'string'),
    expiresAt: exp === undefined || exp < 0 || exp > MAX_EXP_SECONDS ? undefined : exp * 1000,
  };
}

/** What a JWT must say, beside a signature that is right. */
export interface ExpectedJwt {
  readonly issuer: string;
  readonly audience: string;
  /** Of JWS (RFC 7518, 3.1); those with shared secrets and `none` must not be among them. */
  readonly algorithms: readonly string[];
  /** How far clocks may differ, in seconds. */
  readonly leewaySeconds: number;
  /** ms since 1970, UTC. */
  readonly now: number;
}

/** What became of a JWT; reasons quote nothing of it. */
export type JwtVerdict =
  | { readonly kind: 'valid'; readonly claims: JsonObject }
  /** Signed with a key that is not in the set: forged, or the set is old. */
  | { readonly kind: 'no-key' }
  | { readonly kind: 'refused'; readonly reason: string };

export type JwtVerifier = (token: string, expected: ExpectedJwt) => Promise<JwtVerdict>;

function explain(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'the token has expired';
  if (error instanceof errors.JWTClaimValidationFailed) return `its claim "${error.claim}" is missing or wrong`;
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'its signature is wrong';
  if (error instanceof errors.JOSEAlgNotAllowed) return 'its algorithm is not allowed';
  return 'it is no JWT that can be read';
}

/** Where a token names no key and several fit, each is tried. */
const MAX_TRIED_KEYS = 16;

/**
 * Makes what checks JWTs against the keys of an issuer (RFC 7517, 5).
 *
 * @throws where the text is no key set
 */
export function makeJwtVerifier(keySet: JsonObject): JwtVerifier {
  const findKey = createLocalJWKSet(keySet as unknown as JSONWebKeySet);
  return async (token, { issuer, audience, algorithms, leewaySeconds, now }) => {
    const rules = {
      issuer,
      audience,
      algorithms: [...algorithms],
      requiredClaims: ['exp'],
      clockTolerance: leewaySeconds,
      currentDate: new Date(now),
    };
    type Key = Awaited<ReturnType<typeof findKey>>;
    const check = async (key: Key | typeof findKey): Promise<JwtVerdict> => {
      const { payload } = await jwtVerify(
        token,
        key as (header: JWSHeaderParameters, input: FlattenedJWSInput) => Promise<Key>,
        rules,
      );
      return { kind: 'valid', claims: payload };
    };
    try {
      return await check(findKey);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) return { kind: 'no-key' };
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return { kind: 'refused', reason: explain(error) };
      let tried = 0;
      for await (const key of error) {
        tried += 1;
        if (tried > MAX_TRIED_KEYS) break;
        try {
          return await check(key);
        } catch (failure) {
          // The key was right, and the rest is not.
          if (!(failure instanceof errors.JWSSignatureVerificationFailed))
            return { kind: 'refused', reason: explain(failure) };
        }
      }
      return { kind: 'no-key' };
    }
  };
}
