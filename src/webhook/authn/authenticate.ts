/**
 * Tokens, judged with as few questions to Keystone as is safe: what cannot be a token is refused at once, what was judged
 * lately is remembered, and what many ask for at the same time is asked once.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { Secret } from '../../shared/base/secret.ts';
import type { Authenticator } from './authenticator-chain.ts';
import type { Gate, Lane } from './rate-limiter.ts';
import { nameOwner } from './identity.ts';
import type { Naming, Owner } from './identity.ts';
import { Lru } from './lru.ts';
import type { TokenVerdict } from '../review/review.ts';
import { judgeShape } from './token-shape.ts';
import type { Judgement, Validate } from './validate-token.ts';

/** How a verdict came about, for the metrics. */
export type Source = 'shape' | 'cache' | 'keystone' | 'gate' | 'oidc';

export interface Answered {
  readonly verdict: TokenVerdict;
  readonly source: Source;
}

export type Authenticate = (token: Secret) => Promise<Answered>;

export interface AuthenticatorSettings {
  readonly validate: Validate;
  readonly gate: Gate;
  /** As of now: role mappings can change. */
  readonly naming: () => Naming;
  /** Whether it is asked about a token that it cannot have made. */
  readonly asksAnyway: (token: string) => boolean;
  /** How long a good token counts without asking, in ms. */
  readonly goodMs: number;
  /** That Keystone has, in ms. */
  readonly timeoutMs: number;
  readonly now: () => number;
  /** Takes what a user's names lost. */
  readonly onDropped: (uid: string, names: readonly string[]) => void;
  /** Takes everybody whom Keystone has just confirmed. */
  readonly onConfirmed: (owner: Owner, username: string) => Promise<void>;
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
  readonly judgement: Extract<Judgement, { kind: 'valid' }>;
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
export interface Memory {
  readonly good: number;
  readonly bad: number;
}

/** Makes what answers for Keystone's tokens. */
export function makeAuthenticator(settings: AuthenticatorSettings): Authenticator & { readonly memory: () => Memory } {
  const { validate, gate, naming, asksAnyway, goodMs, timeoutMs, now, onDropped, onConfirmed } = settings;
  // A memory dump shows neither tokens nor anything that a token could be looked up by elsewhere.
  const hmacKey = randomBytes(32);
  const good = new Lru<Good>(MOST_GOOD);
  const bad = new Lru<Bad>(MOST_BAD);
  const flights = new Map<string, Promise<Answered>>();

  const keyOf = (token: string): string => createHmac('sha256', hmacKey).update(token).digest('base64');

  function accept(judgement: Extract<Judgement, { kind: 'valid' }>): TokenVerdict {
    const named = nameOwner(judgement.owner, judgement.groups, naming());
    if ('reason' in named) return { kind: 'refused', reason: named.reason };
    return { kind: 'accepted', identity: named.identity };
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

  function remember(key: string, judgement: Judgement): void {
    const at = now();
    if (judgement.kind === 'valid') {
      const until = Math.min(at + goodMs, judgement.expiresAt);
      good.set(key, { judgement, until, refreshAt: at + (until - at) * REFRESH_AFTER });
      bad.delete(key);
    } else if (judgement.kind === 'refused') {
      good.delete(key);
      bad.set(key, { reason: judgement.reason, until: at + BAD_MS });
    }
  }

  async function confirm({ owner, groups }: Extract<Judgement, { kind: 'valid' }>): Promise<TokenVerdict> {
    const named = nameOwner(owner, groups, naming());
    if ('reason' in named) return { kind: 'refused', reason: named.reason };
    if (named.dropped.length > 0) onDropped(owner.user.id, named.dropped);
    await onConfirmed(owner, named.identity.username);
    return { kind: 'accepted', identity: named.identity };
  }

  async function ask(token: Secret, key: string, stranger: Lane): Promise<Answered> {
    const until = now() + ANSWER_MS;
    // Whoever was good the last time is still in the memory, if no longer fresh.
    const leave = await gate.enter(good.get(key) === undefined ? stranger : 'known');
    if (leave === undefined) {
      return { verdict: { kind: 'unknown', reason: 'too many tokens are waiting for Keystone' }, source: 'gate' };
    }
    let judgement: Judgement;
    try {
      judgement = await validate(token, Math.min(timeoutMs, until - now()));
    } finally {
      leave();
    }
    remember(key, judgement);
    return { verdict: judgement.kind === 'valid' ? await confirm(judgement) : judgement, source: 'keystone' };
  }

  /** Many who ask for one token at the same time are one question. */
  function fly(token: Secret, key: string, lane: Lane): Promise<Answered> {
    const flight = ask(token, key, lane).finally(() => flights.delete(key));
    flights.set(key, flight);
    return flight;
  }

  return {
    memory: () => ({ good: good.size, bad: bad.size }),
    recognises: (token) => judgeShape(token, now()) !== 'impossible' || asksAnyway(token),
    async authenticate(token) {
      const text = token.reveal();
      const key = keyOf(text);
      const remembered = recall(token, key);
      if (remembered !== undefined) return { verdict: remembered, source: 'cache' };
      const running = flights.get(key);
      if (running !== undefined) return running;
      const lane = judgeShape(text, now()) === 'likely' ? 'new' : 'odd';
      return fly(token, key, lane);
    },
  };
}
