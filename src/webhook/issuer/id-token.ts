/** What the tokens say about a user. */
import { randomUUID } from 'node:crypto';
import type { TokenOwner } from '../authn/token-owner.ts';
import type { UserInfo } from '../review/review.ts';
import type { Audience } from './audience.ts';

/** The claim for what only OpenStack knows, so that its members cannot be taken for those of a standard. */
const OPENSTACK_CLAIM = 'openstack';

export interface TokenSubject {
  readonly owner: TokenOwner;
  /** The same user as the webhook would name them. */
  readonly userInfo: UserInfo;
}

export interface TokenTimes {
  /** ms since 1970, UTC. */
  readonly now: number;
  /** When the Keystone token ends by our clock, ms since 1970, UTC. The new one must not outlive it. */
  readonly expiresAt: number;
  /** The same by Keystone's clock, ms since 1970, UTC. Whoever verifies the new one has a third clock. */
  readonly keystoneExpiresAt: number;
}

/** The claims of a token. */
export interface TokenClaims {
  readonly sub: string;
  readonly iss: string;
  readonly aud: string;
  /** In seconds since 1970, UTC; this and the next two. */
  readonly iat: number;
  readonly nbf: number;
  readonly exp: number;
  readonly jti: string;
  readonly [name: string]: unknown;
}

/** How late Keystone's end of a token may seem, in ms: its clock is compared in whole seconds. */
const ROUNDING_MS = 1_000;

/**
 * How long before it is issued a token is valid, in seconds. A verifier whose clock is behind ours refuses a token that is
 * not valid yet: kube-apiserver if it is more than a minute behind.
 */
const START_MARGIN_SECONDS = 300;

/** Makes the claims of a token. `exp` is not after `iat` if the Keystone token is about to end. */
export function makeClaims(
  issuer: string,
  { name, lifetimeMs, claims }: Audience,
  { owner, userInfo }: TokenSubject,
  { now, expiresAt, keystoneExpiresAt }: TokenTimes,
): TokenClaims {
  const issuedAt = Math.floor(now / 1_000);
  const openstack = {
    ...(claims.has('domain') ? { domain: { id: owner.userDomain.id, name: owner.userDomain.name } } : {}),
    ...(claims.has('project')
      ? {
          project: {
            id: owner.project.id,
            name: owner.project.name,
            domain: { id: owner.projectDomain.id, name: owner.projectDomain.name },
          },
        }
      : {}),
    ...(claims.has('roles') ? { roles: owner.roles } : {}),
  };
  return {
    iss: issuer,
    sub: owner.user.id,
    aud: name,
    iat: issuedAt,
    nbf: issuedAt - START_MARGIN_SECONDS,
    exp: Math.floor(Math.min(now + lifetimeMs, expiresAt - ROUNDING_MS, keystoneExpiresAt - ROUNDING_MS) / 1_000),
    jti: randomUUID(),
    ...(claims.has('preferred_username') ? { preferred_username: userInfo.username } : {}),
    ...(claims.has('groups') ? { groups: userInfo.groups } : {}),
    ...(Object.keys(openstack).length === 0 ? {} : { [OPENSTACK_CLAIM]: openstack }),
  };
}
