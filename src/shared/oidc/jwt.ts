import type { KeyObject } from 'node:crypto';
import {
  calculateJwkThumbprint,
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  jwtVerify,
  SignJWT,
} from 'jose';
import type { FlattenedJWSInput, JWSHeaderParameters, JSONWebKeySet } from 'jose';
import { listAt, numberAt, textAt } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';

/** Claims of a JWT (RFC 7519, section 4.1). The signature is not verified: use them for messages and lifetimes only. */
export interface Claims {
  readonly issuer: string | undefined;
  readonly subject: string | undefined;
  /** OpenID Connect Core, section 5.1. */
  readonly userName: string | undefined;
  readonly audiences: readonly string[];
  /** Undefined if there is no such claim. */
  readonly groups: readonly string[] | undefined;
  /** Of an ID token: identifies the login that requested it (OpenID Connect Core, section 2). */
  readonly nonce: string | undefined;
  /** ms since 1970, UTC, by the issuer's clock. */
  readonly expiresAt: number | undefined;
}

/** The last time that a Date can represent. */
const MAX_EXP_SECONDS = 8_640_000_000_000;

/** Decodes all claims; undefined if the text is not a JWT. */
export function decodeJwtPayload(token: string): JsonObject | undefined {
  try {
    return decodeJwt(token);
  } catch {
    return undefined;
  }
}

/** Reads the claims of a token; undefined if it is not a JWT: access tokens may have any format. */
export function readUnverifiedClaims(token: string): Claims | undefined {
  const claims = decodeJwtPayload(token);
  if (claims === undefined) return undefined;
  const audience = Object.hasOwn(claims, 'aud') ? claims['aud'] : undefined;
  const audiences: readonly unknown[] = Array.isArray(audience) ? audience : [audience];
  const exp = numberAt(claims, 'exp');
  const groups = Object.hasOwn(claims, 'groups') ? listAt(claims, 'groups') : undefined;
  return {
    issuer: textAt(claims, 'iss'),
    subject: textAt(claims, 'sub'),
    userName: textAt(claims, 'preferred_username'),
    groups: groups?.filter((value) => typeof value === 'string'),
    nonce: textAt(claims, 'nonce'),
    audiences: audiences.filter((value) => typeof value === 'string'),
    expiresAt: exp === undefined || exp < 0 || exp > MAX_EXP_SECONDS ? undefined : exp * 1000,
  };
}

/** The header of a signed JWT (RFC 7515, section 4.1). */
export interface JwsHeader {
  readonly algorithm: string;
  readonly keyId: string | undefined;
}

const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** Reads the header of a JWT in compact form that has a signature; undefined for anything else. */
export function readJwsHeader(token: string): JwsHeader | undefined {
  if (!COMPACT_JWS.test(token)) return undefined;
  try {
    const { alg: algorithm, kid: keyId } = decodeProtectedHeader(token);
    if (typeof algorithm !== 'string') return undefined;
    return { algorithm, keyId: typeof keyId === 'string' ? keyId : undefined };
  } catch {
    return undefined;
  }
}

/** What a JWT must contain, besides a valid signature. */
export interface ExpectedJwt {
  readonly issuer: string;
  readonly audience: string;
  /** JWS algorithms (RFC 7518, section 3.1); must not include `none` and those with shared secrets. */
  readonly algorithms: readonly string[];
  /** How much clocks may differ, in seconds. */
  readonly leewaySeconds: number;
  /** ms since 1970, UTC. */
  readonly now: number;
}

/** The result of a verification; reasons quote nothing of the JWT. */
export type JwtVerdict =
  | { readonly kind: 'valid'; readonly claims: JsonObject }
  /** Signed with a key that is not in the set: the JWT is forged, or the set is outdated. */
  | { readonly kind: 'no-key' }
  | JwtRefusal;

export interface JwtRefusal {
  readonly kind: 'refused';
  /** `signature`: it cannot be checked, or is wrong. */
  readonly cause: 'expired' | 'claims' | 'signature';
  readonly reason: string;
}

export type JwtVerifier = (token: string, expected: ExpectedJwt) => Promise<JwtVerdict>;

function refuse(error: unknown): JwtRefusal {
  const make = (cause: JwtRefusal['cause'], reason: string): JwtRefusal => ({ kind: 'refused', cause, reason });
  if (error instanceof errors.JWTExpired) return make('expired', 'the token has expired');
  if (error instanceof errors.JWTClaimValidationFailed)
    return make('claims', `its claim "${error.claim}" is missing or wrong`);
  if (error instanceof errors.JWSSignatureVerificationFailed) return make('signature', 'its signature is wrong');
  if (error instanceof errors.JOSEAlgNotAllowed) return make('signature', 'its algorithm is not allowed');
  return make('signature', 'it is not a readable JWT');
}

/** If a token names no key and several fit, each is tried. */
const MAX_TRIED_KEYS = 16;

/**
 * Makes a verifier of JWTs with the keys of an issuer (RFC 7517, section 5).
 *
 * @throws if `keySet` is not a key set
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
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return refuse(error);
      let keyCount = 0;
      for await (const key of error) {
        keyCount += 1;
        if (keyCount > MAX_TRIED_KEYS) break;
        try {
          return await check(key);
        } catch (failure) {
          // The signature is valid, but something else is not.
          if (!(failure instanceof errors.JWSSignatureVerificationFailed)) return refuse(failure);
        }
      }
      return { kind: 'no-key' };
    }
  };
}

/** Computes the ID of a public key: its thumbprint (RFC 7638). */
export const computeKeyId = (publicJwk: JsonObject): Promise<string> => calculateJwkThumbprint(publicJwk);

/** What signs a JWT. */
export interface JwtSigner {
  readonly kid: string;
  /** A JWS algorithm (RFC 7518, section 3.1). */
  readonly algorithm: string;
  readonly privateKey: KeyObject;
}

/** Signs a JWT (RFC 7519). */
export function signJwt(claims: JsonObject, { kid, algorithm, privateKey }: JwtSigner): Promise<string> {
  return new SignJWT({ ...claims }).setProtectedHeader({ alg: algorithm, kid, typ: 'JWT' }).sign(privateKey);
}
