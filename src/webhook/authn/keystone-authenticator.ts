/**
 * Authenticates Keystone tokens with as few requests to Keystone as is safe: tokens of an impossible shape are refused
 * without a request, recent verdicts are cached, and simultaneous reviews of one token share a request.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { Secret } from '../../shared/base/secret.ts';
import { SingleFlight } from '../../shared/base/single-flight.ts';
import type { TokenVerdict } from '../review/review.ts';
import type { AuthenticationResult, Authenticator } from './authenticator.ts';
import type { Priority, RateLimiter } from './rate-limiter.ts';
import type { TokenOwner } from './token-owner.ts';
import { classifyTokenShape } from './token-shape.ts';
import { makeVerdict, mapOwnerToUserInfo } from './user-info.ts';
import type { NamingRules } from './user-info.ts';
import type { TokenValidator, ValidationResult, ValidToken } from './validate-token.ts';
import { VerdictCache } from './verdict-cache.ts';
import type { CacheSizes } from './verdict-cache.ts';

export interface KeystoneAuthenticatorSettings {
  readonly validate: TokenValidator;
  readonly rateLimiter: RateLimiter;
  /** The current rules, the same object until a role mapping changes. */
  readonly namingRules: () => NamingRules;
  /** Whether Keystone is asked about this token even if it has an impossible shape. */
  readonly skipsShapeCheck: (token: string) => boolean;
  /** How long a valid token counts without a request, in ms. */
  readonly cacheTtlMs: number;
  /** How long Keystone may take, in ms. */
  readonly timeoutMs: number;
  /** ms since 1970, UTC. */
  readonly now: () => number;
  /** Receives the names that were dropped from a user. */
  readonly onNamesDropped: (uid: string, names: readonly string[]) => void;
  /** Receives each user whose token Keystone has just validated. */
  readonly onAuthenticated: (owner: TokenOwner, username: string) => Promise<void>;
}

/** The time for a whole review, in ms; kube-apiserver waits no longer than 5 s. */
const REVIEW_MS = 4_500;

/** Maps the owner of a token that Keystone has just validated to a user, and reports that user. */
async function admit(
  { owner, groups }: ValidToken,
  { namingRules, onNamesDropped, onAuthenticated }: KeystoneAuthenticatorSettings,
): Promise<TokenVerdict> {
  const result = mapOwnerToUserInfo(owner, groups, namingRules());
  if ('userInfo' in result) {
    if (result.droppedNames.length > 0) onNamesDropped(owner.user.id, result.droppedNames);
    await onAuthenticated(owner, result.userInfo.username);
  }
  return makeVerdict(result);
}

/**
 * Makes the function that maps cached tokens to users. It gives the same object for a token until the rules change, so
 * that the response is written once.
 */
function makeCachedMapping(namingRules: () => NamingRules): (token: ValidToken) => TokenVerdict {
  const mapped = new WeakMap<ValidToken, { readonly rules: NamingRules; readonly verdict: TokenVerdict }>();
  return (token) => {
    const rules = namingRules();
    const known = mapped.get(token);
    if (known?.rules === rules) return known.verdict;
    const verdict = makeVerdict(mapOwnerToUserInfo(token.owner, token.groups, rules));
    mapped.set(token, { rules, verdict });
    return verdict;
  };
}

/** Makes the authenticator for Keystone tokens. */
export function makeKeystoneAuthenticator(
  settings: KeystoneAuthenticatorSettings,
): Authenticator & { readonly readCacheSizes: () => CacheSizes } {
  const { validate, rateLimiter, namingRules, skipsShapeCheck, cacheTtlMs, timeoutMs, now } = settings;
  // A random key, so that a memory dump shows neither tokens nor hashes that can be looked up elsewhere.
  const hmacKey = randomBytes(32);
  const hash = (token: string): string => createHmac('sha256', hmacKey).update(token).digest('base64');
  const cache = new VerdictCache({ validTtlMs: cacheTtlMs, now });
  const flights = new SingleFlight<AuthenticationResult>();
  const mapToken = makeCachedMapping(namingRules);

  async function askKeystone(token: Secret, key: string, priority: Priority): Promise<AuthenticationResult> {
    const deadline = now() + REVIEW_MS;
    const release = await rateLimiter.acquire(cache.wasValid(key) ? 'known' : priority);
    if (release === undefined) {
      return { verdict: { kind: 'unknown', reason: 'too many tokens are waiting for Keystone' }, source: 'gate' };
    }
    let result: ValidationResult;
    try {
      result = await validate(token, Math.min(timeoutMs, deadline - now()));
    } finally {
      release();
    }
    cache.store(key, result);
    return { verdict: result.kind === 'valid' ? await admit(result, settings) : result, source: 'keystone' };
  }

  function readCache(token: Secret, key: string): TokenVerdict | undefined {
    const cached = cache.read(key);
    if (cached?.kind !== 'valid') return cached;
    if (cached.isRefreshDue && !flights.isRunning(key)) {
      cache.postponeRefresh(key);
      void flights.run(key, () => askKeystone(token, key, 'known')).catch(() => undefined);
    }
    return mapToken(cached.token);
  }

  return {
    readCacheSizes: () => cache.sizes,
    recognizes: (token) => classifyTokenShape(token, now()) !== 'impossible' || skipsShapeCheck(token),
    async authenticate(token) {
      const text = token.reveal();
      const key = hash(text);
      const cached = readCache(token, key);
      if (cached !== undefined) return { verdict: cached, source: 'cache' };
      const priority = classifyTokenShape(text, now()) === 'likely' ? 'new' : 'suspicious';
      return flights.run(key, () => askKeystone(token, key, priority));
    },
  };
}
