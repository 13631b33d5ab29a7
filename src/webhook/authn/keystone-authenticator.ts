/**
 * Authenticates Keystone tokens with as few requests to Keystone as is safe: tokens of an impossible shape are refused
 * without a request, recent verdicts are cached, and simultaneous reviews of one token share a request.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../../shared/base/clock.ts';
import type { Secret } from '../../shared/base/secret.ts';
import type { TokenVerdict } from '../review/review.ts';
import type { AuthenticationResult, Authenticator } from './authenticator.ts';
import type { Priority, RateLimiter } from './rate-limiter.ts';
import { SharedQuestions } from './shared-questions.ts';
import type { TokenOwner } from './token-owner.ts';
import { classifyTokenShape, readUserId } from './token-shape.ts';
import { makeVerdict, mapOwnerToUserInfo } from './user-info.ts';
import type { NamingRules } from './user-info.ts';
import type { TokenValidator, ValidToken } from './validate-token.ts';
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
  /** How long Keystone may take to answer all requests about a token, in ms. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** ms since 1970, UTC. */
  readonly now: () => number;
  /** Receives the names that were dropped from a user. */
  readonly onNamesDropped: (uid: string, names: readonly string[]) => void;
  /** Receives each user whose token Keystone has just validated. */
  readonly onAuthenticated: (owner: TokenOwner, username: string) => Promise<void>;
}

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
  const { validate, rateLimiter, namingRules, skipsShapeCheck, cacheTtlMs, timeoutMs, clock, now } = settings;
  // A random key, so that a memory dump shows neither tokens nor hashes that can be looked up elsewhere.
  const hmacKey = randomBytes(32);
  const hash = (token: string): string => createHmac('sha256', hmacKey).update(token).digest('base64');
  const cache = new VerdictCache({ validTtlMs: cacheTtlMs, now });
  const questions = new SharedQuestions<AuthenticationResult>(clock, ({ verdict }) => verdict.kind !== 'unknown');
  const mapToken = makeCachedMapping(namingRules);

  async function askKeystone(
    { token, key, priority }: { readonly token: Secret; readonly key: string; readonly priority: Priority },
    onSent: () => void,
  ): Promise<AuthenticationResult> {
    const release = await rateLimiter.acquire(cache.wasValid(key) ? 'known' : priority);
    if (release === undefined) {
      return { verdict: { kind: 'unknown', reason: 'too many tokens are waiting for Keystone' }, source: 'gate' };
    }
    onSent();
    const askedAt = now();
    const result = await validate(token, {
      timeoutMs,
      probableUserId: cache.findUserId(key) ?? readUserId(token.reveal()),
    }).finally(release);
    cache.store(key, result, askedAt);
    return { verdict: result.kind === 'valid' ? await admit(result, settings) : result, source: 'keystone' };
  }

  function readCache(token: Secret, key: string): TokenVerdict | undefined {
    const cached = cache.read(key);
    if (cached?.kind !== 'valid') return cached;
    if (cached.isRefreshDue) {
      cache.postponeRefresh(key);
      void questions
        .ask(key, (onSent) => askKeystone({ token, key, priority: 'known' }, onSent))
        .catch(() => undefined);
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
      return questions.ask(key, (onSent) => askKeystone({ token, key, priority }, onSent));
    },
  };
}
