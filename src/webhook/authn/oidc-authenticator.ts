/**
 * Authenticates tokens of an OpenID Connect issuer such as Dex or Keycloak: JWTs, verified with the public keys of the
 * issuer. The settings mean the same as the `--oidc-*` flags of kube-apiserver.
 */
import { isTextList } from '../../shared/base/json-members.ts';
import { decodeJwtPayload } from '../../shared/oidc/jwt.ts';
import { textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import type { TokenVerdict } from '../review/review.ts';
import type { Authenticator } from './authenticator.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import type { OidcSettings } from './oidc-settings.ts';
import { looksLikeProjectId, prefixName } from './kubernetes-name.ts';
import { makeVerdict } from './user-info.ts';
import type { UserInfoResult } from './user-info.ts';

/** How far the clock of the issuer may differ from ours. */
const LEEWAY_SECONDS = 30;

/** A longer token does not fit into the request headers that kube-apiserver accepts. */
const MAX_LENGTH = 32_768;

const JWS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/;

/** Reads a list of strings or a single string; undefined for anything else. */
function readGroups(claims: JsonObject, name: string): readonly string[] | undefined {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
  if (value === undefined || value === null) return [];
  if (typeof value === 'string') return [value];
  return isTextList(value) ? value : undefined;
}

/** Makes the Kubernetes user for the claims of a token with a verified signature. */
export function mapClaimsToUserInfo(claims: JsonObject, settings: OidcSettings): UserInfoResult {
  const { usernameClaim, usernamePrefix, groupsClaim, groupsPrefix, requiredClaims, allowedNames } = settings;
  for (const [name, value] of requiredClaims) {
    if (textAt(claims, name) !== value)
      return { cause: 'claims', reason: `its claim "${name}" does not have the required value` };
  }
  const issuerUsername = textAt(claims, usernameClaim) ?? '';
  if (issuerUsername === '') return { cause: 'claims', reason: `it has no user name in the claim "${usernameClaim}"` };
  // A user who can enter any address into an account could otherwise impersonate its owner.
  if (usernameClaim === 'email' && Object.hasOwn(claims, 'email_verified') && claims['email_verified'] !== true) {
    return { cause: 'claims', reason: 'its email address is not verified' };
  }
  const { name: username, problem } = prefixName(usernamePrefix, issuerUsername, allowedNames);
  if (problem !== undefined) return { cause: 'user-name', reason: `its user name ${problem}` };
  const issuerGroups = groupsClaim === undefined ? [] : readGroups(claims, groupsClaim);
  if (issuerGroups === undefined)
    return { cause: 'claims', reason: `its claim "${groupsClaim ?? ''}" is not a list of groups` };
  const usable: string[] = [];
  const dropped: string[] = [];
  for (const name of new Set(issuerGroups.filter((group) => group !== ''))) {
    const group = prefixName(groupsPrefix, name, allowedNames);
    // The ID of a Keystone project is a group, which an issuer must not give.
    const isUsable = group.problem === undefined && !looksLikeProjectId(group.name);
    (isUsable ? usable : dropped).push(group.name);
  }
  return { userInfo: { username, uid: '', groups: usable, extra: {} }, droppedNames: dropped };
}

/** Whether a token claims to be from this issuer; proves nothing. */
export function hasIssuerClaim(issuer: string, token: string): boolean {
  return token.length <= MAX_LENGTH && JWS.test(token) && textAt(decodeJwtPayload(token), 'iss') === issuer;
}

/** Makes the authenticator for the tokens of one issuer. */
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
    /** Receives the names that were dropped from a user. */
    readonly onNamesDropped: (username: string, names: readonly string[]) => void;
  },
): Authenticator {
  const { issuer, clientId, algorithms } = settings;

  async function verify(token: string): Promise<TokenVerdict> {
    const expected = { issuer, audience: clientId, algorithms, leewaySeconds: LEEWAY_SECONDS, now: now() };
    const verdict = await keys.verify(token, expected);
    if (verdict.kind !== 'valid') return verdict;
    const result = mapClaimsToUserInfo(verdict.claims, settings);
    if ('userInfo' in result && result.droppedNames.length > 0) {
      onNamesDropped(result.userInfo.username, result.droppedNames);
    }
    return makeVerdict(result);
  }

  return {
    recognizes: (token) => hasIssuerClaim(issuer, token),
    authenticate: async (token) => ({ verdict: await verify(token.reveal()), source: 'oidc' }),
  };
}
