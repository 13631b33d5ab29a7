/**
 * Tokens, judged with as few questions to Keystone as is safe: what cannot be a token is refused at once, what was judged
 * lately is remembered, and what many ask for at the same time is asked once.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { Secret } from '../../shared/base/secret.ts';
import type { Authenticator } from './authenticator-chain.ts';
import type { RateLimiter, Priority } from './rate-limiter.ts';
import { mapOwnerToUserInfo } from './user-info.ts';
import type { NamingRules, TokenOwner } from './user-info.ts';
import { Lru } from './lru.ts';
import type { TokenVerdict } from '../review/review.ts';
import { classifyTokenShape } from './token-shape.ts';
import type { ValidationResult, TokenValidator } from './validate-token.ts';

/** How a verdict came about, for the metrics. */
export type VerdictSource = 'shape' | 'cache' | 'keystone' | 'gate' | 'oidc';

export interface AuthenticationResult {
  readonly verdict: TokenVerdict;
  readonly source: VerdictSource;
}

export type AuthenticateFunction = (token: Secret) => Promise<AuthenticationResult>;

export interface KeystoneAuthenticatorSettings {
  readonly validate: TokenValidator;
  readonly rateLimiter: RateLimiter;
  /** As of now: role mappings can change. */
  readonly namingRules: () => NamingRules;
  /** Whether it is asked about a token that it cannot have made. */
  readonly skipsShapeCheck: (token: string) => boolean;
  /** How long a good token counts without asking, in ms. */
  readonly cacheTtlMs: number;
  /** That Keystone has, in ms. */
  readonly timeoutMs: number;
  readonly now: () => number;
  /** Takes what a user's names lost. */
  readonly onNamesDropped: (uid: string, names: readonly string[]) => void;
  /** Takes everybody whom Keystone has just confirmed. */
  readonly onAuthenticated: (owner: TokenOwner, username: string) => Promise<void>;
}

/** A token that Keystone refuses will not become good; forgetting it bounds a mistake of Keystone's own. */
const BAD_MS = 60_000;
const MOST_GOOD = 10_000;
const MOST_BAD = 20_000;

/** The part of its time after which a token in use is asked about again, so that nobody has to wait, or fails, when that is over. */
const REFRESH_AFTER = 2 / 3;

/** Between two tries of that. */
const REFRESH_AGAIN_MS = 3_000;

/** What an answer may take in all; kube-apiserver is not kept waiting longer. */
const ANSWER_MS = 4_500;

interface Good {
  readonly judgement: Extract<ValidationResult, { kind: 'valid' }>;
  /** Until when it counts without asking, ms since 1970, UTC. */
  readonly until: number;
  /** From when on it is asked about again beside the answers; a later one after a try. */
  refreshAt: number;
}

interface Bad {
  readonly reason: string;
  readonly until: number;
}

/** The two memories, for the metrics. */
export interface CacheSizes {
  readonly valid: number;
  readonly refused: number;
}

/** Makes what answers for Keystone's tokens. */
export function makeKeystoneAuthenticator(
  settings: KeystoneAuthenticatorSettings,
): Authenticator & { readonly readCacheSizes: () => CacheSizes } {
  const {
    validate,
    rateLimiter,
    namingRules,
    skipsShapeCheck,
    cacheTtlMs,
    timeoutMs,
    now,
    onNamesDropped,
    onAuthenticated,
  } = settings;
  // A memory dump shows neither tokens nor anything that a token could be looked up by elsewhere.
  const hmacKey = randomBytes(32);
  const good = new Lru<Good>(MOST_GOOD);
  const bad = new Lru<Bad>(MOST_BAD);
  const flights = new Map<string, Promise<AuthenticationResult>>();

  const keyOf = (token: string): string => createHmac('sha256', hmacKey).update(token).digest('base64');

  function accept(judgement: Extract<ValidationResult, { kind: 'valid' }>): TokenVerdict {
    const named = mapOwnerToUserInfo(judgement.owner, judgement.groups, namingRules());
    if ('reason' in named) return { kind: 'refused', reason: named.reason };
    return { kind: 'accepted', userInfo: named.userInfo };
  }

  function recall(token: Secret, key: string): TokenVerdict | undefined {
    const at = now();
    const known = good.get(key);
    if (known !== undefined && known.until > at) {
      if (known.refreshAt <= at && !flights.has(key)) {
        known.refreshAt = at + REFRESH_AGAIN_MS;
        void fly(token, key, 'known').catch(() => undefined);
      }
      return accept(known.judgement);
    }
    if (known !== undefined && known.judgement.expiresAt <= at) {
      good.delete(key);
      return { kind: 'refused', reason: 'the token has expired' };
    }
    const refused = known === undefined ? bad.get(key) : undefined;
    return refused !== undefined && refused.until > at ? { kind: 'refused', reason: refused.reason } : undefined;
  }

  function remember(key: string, judgement: ValidationResult): void {
    const at = now();
    if (judgement.kind === 'valid') {
      const until = Math.min(at + cacheTtlMs, judgement.expiresAt);
      good.set(key, { judgement, until, refreshAt: at + (until - at) * REFRESH_AFTER });
      bad.delete(key);
    } else if (judgement.kind === 'refused') {
      good.delete(key);
      bad.set(key, { reason: judgement.reason, until: at + BAD_MS });
    }
  }

  async function confirm({ owner, groups }: Extract<ValidationResult, { kind: 'valid' }>): Promise<TokenVerdict> {
    const named = mapOwnerToUserInfo(owner, groups, namingRules());
    if ('reason' in named) return { kind: 'refused', reason: named.reason };
    if (named.droppedNames.length > 0) onNamesDropped(owner.user.id, named.droppedNames);
    await onAuthenticated(owner, named.userInfo.username);
    return { kind: 'accepted', userInfo: named.userInfo };
  }

  async function ask(token: Secret, key: string, stranger: Priority): Promise<AuthenticationResult> {
    const until = now() + ANSWER_MS;
    // Whoever was good the last time is still in the memory, if no longer fresh.
    const leave = await rateLimiter.acquire(good.get(key) === undefined ? stranger : 'known');
    if (leave === undefined) {
      return { verdict: { kind: 'unknown', reason: 'too many tokens are waiting for Keystone' }, source: 'gate' };
    }
    let judgement: ValidationResult;
    try {
      judgement = await validate(token, Math.min(timeoutMs, until - now()));
    } finally {
      leave();
    }
    remember(key, judgement);
    return { verdict: judgement.kind === 'valid' ? await confirm(judgement) : judgement, source: 'keystone' };
  }

  /** Many who ask for one token at the same time are one question. */
  function fly(token: Secret, key: string, lane: Priority): Promise<AuthenticationResult> {
    const flight = ask(token, key, lane).finally(() => flights.delete(key));
    flights.set(key, flight);
    return flight;
  }

  return {
    readCacheSizes: () => ({ valid: good.size, refused: bad.size }),
    recognizes: (token) => classifyTokenShape(token, now()) !== 'impossible' || skipsShapeCheck(token),
    async authenticate(token) {
      const text = token.reveal();
      const key = keyOf(text);
      const remembered = recall(token, key);
      if (remembered !== undefined) return { verdict: remembered, source: 'cache' };
      const running = flights.get(key);
      if (running !== undefined) return running;
      const lane = classifyTokenShape(text, now()) === 'likely' ? 'new' : 'odd';
      return fly(token, key, lane);
    },
  };
}
