/**
 * Validates Keystone tokens with as few requests to Keystone as is safe: recent verdicts are cached, and simultaneous
 * questions about one token share a request.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../../shared/base/clock.ts';
import type { Secret } from '../../shared/base/secret.ts';
import type { VerdictSource } from './authenticator.ts';
import type { Priority, RateLimiter } from './rate-limiter.ts';
import { SharedQuestions } from './shared-questions.ts';
import { classifyTokenShape, readUserId } from './token-shape.ts';
import type { TokenValidator, ValidationResult, ValidToken } from './validate-token.ts';
import { VerdictCache } from './verdict-cache.ts';
import type { CacheSizes } from './verdict-cache.ts';

export interface CachedValidatorSettings {
  readonly validate: TokenValidator;
  readonly rateLimiter: RateLimiter;
  /** How long a valid token counts without a request, in ms. */
  readonly cacheTtlMs: number;
  /** How long Keystone may take to answer all requests about a token, in ms. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** ms since 1970, UTC. */
  readonly now: () => number;
  /** Receives each token that Keystone has just found valid; its answer waits for that. */
  readonly onValidated: (token: ValidToken) => Promise<void>;
}

/** What Keystone says about a token, and how that was found out. */
export interface CheckedToken {
  readonly result: ValidationResult;
  readonly source: VerdictSource;
}

export interface CachedValidator {
  /** @param client who asks, if clients can be told apart */
  readonly check: (token: Secret, client?: string) => Promise<CheckedToken>;
  readonly readCacheSizes: () => CacheSizes;
}

const CONTRADICTION = 'Keystone, or a proxy in front of it, named another owner of the token before';

interface Question {
  readonly token: Secret;
  /** Of the cache. */
  readonly key: string;
  readonly priority: Priority;
  readonly client: string | undefined;
}

/** Makes a validator with caches of its own. */
export function makeCachedValidator(settings: CachedValidatorSettings): CachedValidator {
  const { validate, rateLimiter, cacheTtlMs, timeoutMs, clock, now, onValidated } = settings;
  // A random key, so that a memory dump shows neither tokens nor hashes that can be looked up elsewhere.
  const hmacKey = randomBytes(32);
  const hash = (token: string): string => createHmac('sha256', hmacKey).update(token).digest('base64');
  const cache = new VerdictCache({ validTtlMs: cacheTtlMs, now, monotonicMs: clock.monotonicMs });
  const questions = new SharedQuestions<CheckedToken>(clock, ({ result }) => result.kind !== 'unknown');

  async function askKeystone({ token, key, priority, client }: Question, onSent: () => void): Promise<CheckedToken> {
    const release = await rateLimiter.acquire(cache.wasValid(key) ? 'known' : priority, client);
    if (release === undefined) {
      return { result: { kind: 'unknown', reason: 'too many tokens are waiting for Keystone' }, source: 'gate' };
    }
    onSent();
    const askedAt = clock.monotonicMs();
    const result = await validate(token, {
      timeoutMs,
      probableUserId: cache.findUserId(key) ?? readUserId(token.reveal()),
    }).finally(release);
    if (result.kind === 'valid' && cache.contradicts(key, result)) {
      // Nobody knows which of the two responses is wrong.
      cache.forget(key);
      return { result: { kind: 'unknown', reason: CONTRADICTION }, source: 'keystone' };
    }
    cache.store(key, result, askedAt);
    if (result.kind === 'valid') await onValidated(result);
    return { result, source: 'keystone' };
  }

  function readCache({ token, key, client }: Omit<Question, 'priority'>): ValidationResult | undefined {
    const cached = cache.read(key);
    if (cached?.kind !== 'valid') return cached;
    if (cached.isRefreshDue) {
      cache.postponeRefresh(key);
      void questions
        .ask(key, (onSent) => askKeystone({ token, key, client, priority: 'known' }, onSent))
        .catch(() => undefined);
    }
    return cached.token;
  }

  return {
    readCacheSizes: () => cache.sizes,
    async check(token, client) {
      const text = token.reveal();
      const key = hash(text);
      const cached = readCache({ token, key, client });
      if (cached !== undefined) return { result: cached, source: 'cache' };
      const priority = classifyTokenShape(text, now()) === 'likely' ? 'new' : 'suspicious';
      return questions.ask(key, (onSent) => askKeystone({ token, key, client, priority }, onSent));
    },
  };
}
