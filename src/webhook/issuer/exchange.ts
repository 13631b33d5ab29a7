/** Exchanges a Keystone token for a token of this issuer. */
import type { CheckedToken } from '../authn/cached-validator.ts';
import { hasIssuerClaim } from '../authn/oidc-authenticator.ts';
import { classifyTokenShape, fitsIntoHeader } from '../authn/token-shape.ts';
import { mapOwnerToUserInfo } from '../authn/user-info.ts';
import type { NamingRules } from '../authn/user-info.ts';
import type { ValidToken } from '../authn/validate-token.ts';
import type { RefusalCause, UserInfo } from '../review/review.ts';
import type { Secret } from '../../shared/base/secret.ts';
import { signJwt } from '../../shared/oidc/jwt.ts';
import { isAllowed } from './audience.ts';
import type { Audience, Audiences } from './audience.ts';
import type { ExchangeRequest } from './exchange-request.ts';
import { makeClaims } from './id-token.ts';
import type { TokenClaims } from './id-token.ts';
import { OAuthError } from './oauth-error.ts';
import type { SigningKey } from './signing-key.ts';

export interface ExchangeSettings {
  readonly issuer: string;
  readonly audiences: () => Audiences;
  /** Asks Keystone, or remembers what it said moments ago. */
  readonly check: (token: Secret, client: string) => Promise<CheckedToken>;
  readonly namingRules: NamingRules;
  /** Whether Keystone is asked about tokens of an impossible shape too. */
  readonly allowsAnyTokenShape: boolean;
  readonly currentKey: () => SigningKey;
  /** ms since 1970, UTC. */
  readonly now: () => number;
  /** Receives the names that were dropped from a user. */
  readonly onNamesDropped: (uid: string, names: readonly string[]) => void;
}

/** A token, and what the audit log says about it. */
export interface IssuedToken {
  readonly token: string;
  readonly claims: TokenClaims;
  readonly kid: string;
  readonly username: string;
  readonly projectId: string;
  /** Whether it was issued moments ago, for the same Keystone token. */
  readonly isRepeated: boolean;
}

/** What was found out before an exchange was refused, for the audit log. */
export interface ExchangeTrace {
  audience?: string;
  uid?: string;
  projectId?: string;
}

/** Exchanges a token for a client, of whom only the address is known. */
export type Exchange = (request: ExchangeRequest, client: string, trace: ExchangeTrace) => Promise<IssuedToken>;

/** A longer token does not fit into the header in which the plugin's user sends it. */
const MAX_TOKEN_LENGTH = 16_384;

const RETRY_SECONDS = 5;

/** The refusals after which another login gets another token, and so another answer. */
const HELPED_BY_LOGIN: readonly RefusalCause[] = ['not-accepted', 'expired', 'unrecognized'];

function makeRefusal(cause: RefusalCause, reason: string): OAuthError {
  return new OAuthError(HELPED_BY_LOGIN.includes(cause) ? 'invalid_grant' : 'access_denied', reason, { cause });
}

const describeShortage = ({ source }: CheckedToken): OAuthError =>
  source === 'gate'
    ? new OAuthError('temporarily_unavailable', 'too many tokens are waiting for Keystone', {
        status: 429,
        cause: 'rate',
        retryAfterSeconds: RETRY_SECONDS,
      })
    : new OAuthError('temporarily_unavailable', 'Keystone does not say at the moment whether the token is valid', {
        retryAfterSeconds: RETRY_SECONDS,
      });

/**
 * The tokens that were issued for what Keystone said about a token, and by which rules. That is remembered for some seconds
 * only, so a token is repeated for as long.
 */
class IssuedTokens {
  readonly #tokens = new WeakMap<ValidToken, Map<Audience, IssuedToken>>();

  /** Finds a token that this key has signed and that has not expired. */
  find(valid: ValidToken, audience: Audience, { kid }: SigningKey, now: number): IssuedToken | undefined {
    const issued = this.#tokens.get(valid)?.get(audience);
    return issued?.kid === kid && issued.claims.exp * 1_000 > now ? { ...issued, isRepeated: true } : undefined;
  }

  store(valid: ValidToken, audience: Audience, issued: IssuedToken): void {
    const known = this.#tokens.get(valid) ?? new Map<Audience, IssuedToken>();
    this.#tokens.set(valid, known.set(audience, issued));
  }
}

/** Makes the function that exchanges tokens. It throws OAuthError. */
export function makeExchange(settings: ExchangeSettings): Exchange {
  const { issuer, audiences, check, namingRules, allowsAnyTokenShape, currentKey, now, onNamesDropped } = settings;

  const issuedTokens = new IssuedTokens();

  /** Finds an audience, and notes its name: the log contains no text that a client makes up. */
  function findAudience(name: string, trace: ExchangeTrace): Audience | undefined {
    const audience = audiences().get(name);
    if (audience !== undefined) trace.audience = audience.name;
    return audience;
  }

  async function validate(token: Secret, client: string): Promise<ValidToken> {
    const text = token.reveal();
    if (hasIssuerClaim(issuer, text)) {
      throw new OAuthError('invalid_grant', 'a token of this issuer cannot be exchanged', { cause: 'own-token' });
    }
    const isPossible = allowsAnyTokenShape ? fitsIntoHeader(text) : classifyTokenShape(text, now()) !== 'impossible';
    if (!isPossible) {
      throw makeRefusal('unrecognized', 'the subject token is not a Keystone token');
    }
    const checked = await check(token, client);
    const { result } = checked;
    if (result.kind === 'unknown') throw describeShortage(checked);
    if (result.kind === 'refused') throw makeRefusal(result.cause, result.reason);
    return result;
  }

  function mapUser({ owner, groups }: ValidToken): UserInfo {
    const result = mapOwnerToUserInfo(owner, groups, namingRules);
    if (!('userInfo' in result)) throw makeRefusal(result.cause, result.reason);
    if (result.droppedNames.length > 0) onNamesDropped(owner.user.id, result.droppedNames);
    return result.userInfo;
  }

  return async ({ subjectToken, audience: audienceName }, client, trace) => {
    findAudience(audienceName, trace);
    const valid = await validate(subjectToken, client);
    const { owner } = valid;
    trace.uid = owner.user.id;
    trace.projectId = owner.project.id;
    // The rules may have changed while Keystone was asked. Without a valid token, nobody learns which audiences there are.
    const audience = findAudience(audienceName, trace);
    if (audience === undefined) throw new OAuthError('invalid_target', 'the audience is unknown');
    if (!isAllowed(owner, audience))
      throw new OAuthError('access_denied', 'the audience is not for this user and project');
    const key = currentKey();
    const known = issuedTokens.find(valid, audience, key, now());
    if (known !== undefined) return known;
    const userInfo = mapUser(valid);
    const claims = makeClaims(
      issuer,
      audience,
      { owner, userInfo },
      { now: now(), expiresAt: valid.expiresAt, keystoneExpiresAt: valid.keystoneExpiresAt },
    );
    if (claims.exp <= claims.iat) throw makeRefusal('expired', 'the subject token has expired');
    const token = await signJwt(claims, key);
    if (token.length > MAX_TOKEN_LENGTH) {
      throw new OAuthError('access_denied', `a token with ${userInfo.groups.length} groups is too large`, {
        cause: 'too-large',
      });
    }
    const { username } = userInfo;
    const issued = { token, claims, kid: key.kid, username, projectId: owner.project.id, isRepeated: false };
    issuedTokens.store(valid, audience, issued);
    return issued;
  };
}
