import { decodeJwt } from 'jose';
import { numberAt, textAt } from '../json.ts';
import type { JsonObject } from '../json.ts';

/** What a JWT says of itself (RFC 7519, 4.1). Nobody has checked its signature: it serves for messages and lifetimes. */
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
const LAST_SECOND = 8_640_000_000_000;

/** Everything that a JWT says; undefined where it is none. */
export function decodeClaims(token: string): JsonObject | undefined {
  try {
    return decodeJwt(token);
  } catch {
    return undefined;
  }
}

/** The claims of a token; undefined where it is no JWT, as an access token need not be. */
export function readClaims(token: string): Claims | undefined {
  const claims = decodeClaims(token);
  if (claims === undefined) return undefined;
  const audience = Object.hasOwn(claims, 'aud') ? claims['aud'] : undefined;
  const audiences: readonly unknown[] = Array.isArray(audience) ? audience : [audience];
  const exp = numberAt(claims, 'exp');
  return {
    issuer: textAt(claims, 'iss'),
    subject: textAt(claims, 'sub'),
    nonce: textAt(claims, 'nonce'),
    audiences: audiences.filter((one) => typeof one === 'string'),
    expiresAt: exp === undefined || exp < 0 || exp > LAST_SECOND ? undefined : exp * 1000,
  };
}
