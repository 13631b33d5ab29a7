/**
 * Tokens of an OpenID Connect issuer, such as Dex or Keycloak: JWTs, checked with the issuer's public keys. The settings and what
 * they mean are those of kube-apiserver's --oidc-... flags.
 */
import { decodeJwtPayload } from '../../shared/oidc/jwt.ts';
import { textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import type { Authenticator } from './authenticator-chain.ts';
import { isReserved } from './user-info.ts';
import type { UserInfoResult } from './user-info.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import type { TokenVerdict } from '../review/review.ts';

export interface OidcSettings {
  /** Exactly as its tokens say it. */
  readonly issuer: string;
  /** Must be among a token's audiences. */
  readonly clientId: string;
  readonly caFile: string | undefined;
  readonly usernameClaim: string;
  readonly usernamePrefix: string;
  readonly groupsClaim: string | undefined;
  readonly groupsPrefix: string;
  readonly requiredClaims: ReadonlyMap<string, string>;
  readonly algorithms: readonly string[];
}

/** How far the issuer's clock may be from ours. */
const LEEWAY_SECONDS = 30;

/** Longer ones would not fit into the headers that kube-apiserver gets them in. */
const LONGEST = 32_768;

const JWS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/;

/** A list of strings, or one string; undefined for anything else. */
function readGroups(claims: JsonObject, name: string): readonly string[] | undefined {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
  if (value === undefined || value === null) return [];
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) return undefined;
  return value;
}

/**
 * Makes the cluster's identity of a token's claims, whose signature has been checked.
 */
export function mapClaimsToUserInfo(claims: JsonObject, settings: OidcSettings): UserInfoResult {
  const { usernameClaim, usernamePrefix, groupsClaim, groupsPrefix, requiredClaims } = settings;
  for (const [name, value] of requiredClaims) {
    if (textAt(claims, name) !== value) return { reason: `its claim "${name}" is not what is required` };
  }
  const own = textAt(claims, usernameClaim) ?? '';
  if (own === '') return { reason: `it has no user name in the claim "${usernameClaim}"` };
  // Whoever may write any address into an account would be anybody.
  if (usernameClaim === 'email' && Object.hasOwn(claims, 'email_verified') && claims['email_verified'] !== true) {
    return { reason: 'its e-mail address is not verified' };
  }
  const username = usernamePrefix + own;
  if (isReserved(username)) return { reason: 'its user name begins with "system:"' };
  const groups = groupsClaim === undefined ? [] : readGroups(claims, groupsClaim);
  if (groups === undefined) return { reason: `its claim "${groupsClaim ?? ''}" is no list of groups` };
  const named = [...new Set(groups.filter((name) => name !== '').map((name) => groupsPrefix + name))];
  const kept = named.filter((name) => !isReserved(name));
  return {
    userInfo: { username, uid: '', groups: kept, extra: {} },
    droppedNames: named.filter((name) => !kept.includes(name)),
  };
}

/** Whether a token says that it is of this issuer. Nothing is proven by it. */
export function hasIssuerClaim(issuer: string, token: string): boolean {
  return token.length <= LONGEST && JWS.test(token) && textAt(decodeJwtPayload(token), 'iss') === issuer;
}

/** Makes what answers for the tokens of one issuer. */
export function makeOidcAuthenticator(
  settings: OidcSettings,
  {
    keys,
    now,
    onNamesDropped,
  }: {
    readonly keys: IssuerKeys;
    /** ms since 1970, UTC. */
    readonly now: () => number;
    /** Takes what a user's names lost. */
    readonly onNamesDropped: (username: string, names: readonly string[]) => void;
  },
): Authenticator {
  const { issuer, clientId, algorithms } = settings;

  async function judge(token: string): Promise<TokenVerdict> {
    const expected = { issuer, audience: clientId, algorithms, leewaySeconds: LEEWAY_SECONDS, now: now() };
    const verified = await keys.verify(token, expected);
    if (verified.kind !== 'valid') return verified;
    const named = mapClaimsToUserInfo(verified.claims, settings);
    if ('reason' in named) return { kind: 'refused', reason: named.reason };
    if (named.droppedNames.length > 0) onNamesDropped(named.userInfo.username, named.droppedNames);
    return { kind: 'accepted', userInfo: named.userInfo };
  }

  return {
    recognizes: (token) => hasIssuerClaim(issuer, token),
    authenticate: async (token) => ({ verdict: await judge(token.reveal()), source: 'oidc' }),
  };
}
