/**
 * Authenticates Keystone tokens: tokens of an impossible shape are refused without a request, and the owner of a valid
 * token becomes a Kubernetes user.
 */
import type { TokenVerdict } from '../review/review.ts';
import type { Authenticator } from './authenticator.ts';
import { makeCachedValidator } from './cached-validator.ts';
import type { CachedValidatorSettings } from './cached-validator.ts';
import type { TokenOwner } from './token-owner.ts';
import { classifyTokenShape } from './token-shape.ts';
import { makeVerdict, mapOwnerToUserInfo } from './user-info.ts';
import type { NamingRules, UserInfoResult } from './user-info.ts';
import type { ValidToken } from './validate-token.ts';
import type { CacheSizes } from './verdict-cache.ts';

export interface KeystoneAuthenticatorSettings extends Omit<CachedValidatorSettings, 'onValidated'> {
  /** The current rules, the same object until a role mapping changes. */
  readonly namingRules: () => NamingRules;
  /** Whether Keystone is asked about this token even if it has an impossible shape. */
  readonly skipsShapeCheck: (token: string) => boolean;
  /** Receives the names that were dropped from a user. */
  readonly onNamesDropped: (uid: string, names: readonly string[]) => void;
  /** Receives each user whose token Keystone has just validated. */
  readonly onAuthenticated: (owner: TokenOwner, username: string) => Promise<void>;
}

interface Mapped {
  readonly rules: NamingRules;
  readonly result: UserInfoResult;
  readonly verdict: TokenVerdict;
}

/**
 * Makes the function that maps tokens to users. It gives the same object for a token until the rules change, so that the
 * response is written once.
 */
function makeMapping(namingRules: () => NamingRules): (token: ValidToken) => Mapped {
  const mapped = new WeakMap<ValidToken, Mapped>();
  return (token) => {
    const rules = namingRules();
    const known = mapped.get(token);
    if (known?.rules === rules) return known;
    const result = mapOwnerToUserInfo(token.owner, token.groups, rules);
    const next = { rules, result, verdict: makeVerdict(result) };
    mapped.set(token, next);
    return next;
  };
}

/** Makes the authenticator for Keystone tokens. */
export function makeKeystoneAuthenticator(
  settings: KeystoneAuthenticatorSettings,
): Authenticator & { readonly readCacheSizes: () => CacheSizes } {
  const { namingRules, skipsShapeCheck, now, onNamesDropped, onAuthenticated } = settings;
  const mapToken = makeMapping(namingRules);
  const { check, readCacheSizes } = makeCachedValidator({
    ...settings,
    async onValidated(token) {
      const { result } = mapToken(token);
      if (!('userInfo' in result)) return;
      const { owner } = token;
      if (result.droppedNames.length > 0) onNamesDropped(owner.user.id, result.droppedNames);
      await onAuthenticated(owner, result.userInfo.username);
    },
  });
  return {
    readCacheSizes,
    recognizes: (token) => classifyTokenShape(token, now()) !== 'impossible' || skipsShapeCheck(token),
    async authenticate(token) {
      const { result, source } = await check(token);
      return { verdict: result.kind === 'valid' ? mapToken(result).verdict : result, source };
    },
  };
}
