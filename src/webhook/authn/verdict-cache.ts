import { LRUCache } from 'lru-cache';
import type { Refusal } from '../review/review.ts';
import type { ValidationResult, ValidToken } from './validate-token.ts';

/**
 * Keystone never accepts a refused token later; forgetting the refusal limits the effect of a mistake of Keystone's.
 */
const REFUSED_TTL_MS = 60_000;

/** After this part of its time in the cache a token is validated again in the background, so that no review waits. */
const REFRESH_AFTER = 2 / 3;

/** Time between two such attempts, in ms. */
const REFRESH_RETRY_MS = 3_000;

/** Its times are those of the monotonic clock: a clock that is set back must not make a verdict count for longer. */
interface Entry {
  /** When Keystone was asked, in ms. */
  readonly askedAt: number;
}

interface ValidEntry extends Entry {
  readonly token: ValidToken;
  /** When it must be validated again, in ms. */
  readonly until: number;
  /** When it may be validated again in the background, in ms. */
  refreshAt: number;
}

interface RefusedEntry extends Entry {
  readonly refusal: Refusal;
  /** In ms. */
  readonly until: number;
}

/** Numbers of cached tokens. */
export interface CacheSizes {
  readonly valid: number;
  readonly refused: number;
}

export type CachedVerdict =
  { readonly kind: 'valid'; readonly token: ValidToken; readonly isRefreshDue: boolean } | Refusal;

export interface VerdictCacheSettings {
  /** How long a valid token counts without a request, in ms. */
  readonly validTtlMs: number;
  /** ms since 1970, UTC. */
  readonly now: () => number;
  /** The monotonic clock, in ms. */
  readonly monotonicMs: () => number;
  /** How many tokens of each kind are cached; the least recently used ones are removed first. */
  readonly maxSizes?: CacheSizes;
}

/** Keystone's recent verdicts on tokens, by a hash of the token. */
export class VerdictCache {
  readonly #validTtlMs: number;
  readonly #now: () => number;
  readonly #monotonicMs: () => number;
  readonly #valid: LRUCache<string, ValidEntry>;
  readonly #refused: LRUCache<string, RefusedEntry>;

  constructor(settings: VerdictCacheSettings) {
    const { validTtlMs, now, monotonicMs, maxSizes = { valid: 10_000, refused: 20_000 } } = settings;
    this.#validTtlMs = validTtlMs;
    this.#now = now;
    this.#monotonicMs = monotonicMs;
    this.#valid = new LRUCache({ max: maxSizes.valid });
    this.#refused = new LRUCache({ max: maxSizes.refused });
  }

  get sizes(): CacheSizes {
    return { valid: this.#valid.size, refused: this.#refused.size };
  }

  /** Whether the token was valid the last time, even if that verdict has expired. */
  wasValid(key: string): boolean {
    return this.#valid.get(key) !== undefined;
  }

  /** The user of the token in the last verdict, even if that has expired. */
  findUserId(key: string): string | undefined {
    return this.#valid.get(key)?.token.owner.user.id;
  }

  /** Whether the last verdict, even if it has expired, names another user or project. A token never changes them. */
  contradicts(key: string, { owner }: ValidToken): boolean {
    const known = this.#valid.get(key)?.token.owner;
    return known !== undefined && (known.user.id !== owner.user.id || known.project.id !== owner.project.id);
  }

  /** Forgets what was said about a token. */
  forget(key: string): void {
    this.#valid.delete(key);
    this.#refused.delete(key);
  }

  /** The verdict, unless Keystone must be asked. */
  read(key: string): CachedVerdict | undefined {
    const at = this.#monotonicMs();
    const entry = this.#valid.get(key);
    if (entry === undefined) return this.#readRefused(key, at);
    if (entry.token.expiresAt > this.#now()) {
      return entry.until > at ? { kind: 'valid', token: entry.token, isRefreshDue: entry.refreshAt <= at } : undefined;
    }
    this.#valid.delete(key);
    return { kind: 'refused', cause: 'expired', reason: 'the token has expired' };
  }

  /** Notes that a refresh has started, so that the next one waits. */
  postponeRefresh(key: string): void {
    const entry = this.#valid.get(key);
    if (entry !== undefined) entry.refreshAt = this.#monotonicMs() + REFRESH_RETRY_MS;
  }

  /**
   * Stores a verdict; an unknown one changes nothing, nor does one on an earlier question than the stored verdict.
   *
   * @param askedAt when Keystone was asked, in ms of the monotonic clock
   */
  store(key: string, result: ValidationResult, askedAt: number): void {
    const at = this.#monotonicMs();
    const stored = this.#valid.get(key) ?? this.#refused.get(key);
    if (stored !== undefined && stored.askedAt > askedAt) return;
    if (result.kind === 'valid') {
      const until = at + Math.min(this.#validTtlMs, result.expiresAt - this.#now());
      this.#valid.set(key, { askedAt, token: result, until, refreshAt: at + (until - at) * REFRESH_AFTER });
      this.#refused.delete(key);
    } else if (result.kind === 'refused') {
      this.#valid.delete(key);
      this.#refused.set(key, { askedAt, refusal: result, until: at + REFUSED_TTL_MS });
    }
  }

  #readRefused(key: string, at: number): CachedVerdict | undefined {
    const entry = this.#refused.get(key);
    return entry !== undefined && entry.until > at ? entry.refusal : undefined;
  }
}
