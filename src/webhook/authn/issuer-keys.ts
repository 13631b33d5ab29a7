/**
 * The public keys of an issuer, fetched on demand and cached. Issuers replace keys without notice, so a token with an
 * unknown key triggers a new fetch, but at a limited rate: clients can name any key.
 */
import { PluginError } from '../../shared/base/errors.ts';
import type { ExpectedJwt, JwtVerdict, JwtVerifier } from '../../shared/oidc/jwt.ts';
import { fetchKeySet } from './fetch-key-set.ts';
import type { KeySetSource } from './fetch-key-set.ts';
import { SharedQuestions } from './shared-questions.ts';

/** A {@link JwtVerdict}, or `unknown` if the keys are not available now. */
export type IssuerVerdict =
  Exclude<JwtVerdict, { kind: 'no-key' }> | { readonly kind: 'unknown'; readonly reason: string };

export interface IssuerKeys {
  readonly verify: (token: string, expected: ExpectedJwt) => Promise<IssuerVerdict>;
  /** Fetches the keys now, so that the first token need not wait; never fails. */
  readonly preload: () => Promise<void>;
}

export interface IssuerKeysSettings extends KeySetSource {
  /** Receives the outcome of each fetch. */
  readonly onRead: (result: 'ok' | 'failed', reason?: string) => void;
}

/** Older keys are fetched again in the background, so that a key that the issuer withdraws does not count for long. */
const FRESH_MS = 600_000;

/** Older keys no longer count: how long an issuer may be down. */
const MAX_AGE_MS = 3_600_000;

/** Time between two fetches for unknown keys, in ms. */
const REFETCH_MS = 10_000;
const RETRY_MS = 1_000;

/** Makes the cache for the keys of one issuer. */
export function makeIssuerKeys(settings: IssuerKeysSettings): IssuerKeys {
  const { issuer, clock, onRead } = settings;
  const now = clock.monotonicMs;
  const questions = new SharedQuestions<void>(clock);
  let keys: { readonly verify: JwtVerifier; readonly requestedAt: number; readonly fetchedAt: number } | undefined;
  let lastFetch: { readonly at: number; readonly failure: string | undefined } | undefined;

  async function fetchKeys(onSent: () => void): Promise<void> {
    onSent();
    const startedAt = now();
    try {
      const verify = await fetchKeySet(settings);
      // A later fetch may have been faster.
      if (keys === undefined || keys.requestedAt <= startedAt) {
        keys = { verify, requestedAt: startedAt, fetchedAt: now() };
      }
      lastFetch = { at: now(), failure: undefined };
      onRead('ok');
    } catch (error) {
      const failure = error instanceof PluginError ? error.message : 'internal error';
      lastFetch = { at: now(), failure };
      onRead('failed', failure);
    }
  }

  const refresh = (): Promise<void> => questions.ask(issuer, fetchKeys);

  /** Whether a fetch is running that can be joined, or the last one is long enough ago. */
  function mayRefresh(): boolean {
    if (questions.isRunning(issuer) || lastFetch === undefined) return true;
    return now() - lastFetch.at >= (lastFetch.failure === undefined ? REFETCH_MS : RETRY_MS);
  }

  const isYoungerThan = (ms: number): boolean => keys !== undefined && now() - keys.fetchedAt < ms;
  const unavailable = (): IssuerVerdict => ({ kind: 'unknown', reason: lastFetch?.failure ?? '' });

  return {
    preload: refresh,
    async verify(token, expected) {
      if (!isYoungerThan(MAX_AGE_MS) && mayRefresh()) await refresh();
      if (keys === undefined || !isYoungerThan(MAX_AGE_MS)) return unavailable();
      if (!isYoungerThan(FRESH_MS) && mayRefresh()) void refresh();
      const usedKeys = keys;
      const verdict = await usedKeys.verify(token, expected);
      if (verdict.kind !== 'no-key') return verdict;
      // Not refused: kube-apiserver would cache that, and the key may be new.
      if (!mayRefresh()) return { kind: 'unknown', reason: 'its key is unknown, and the keys were read a moment ago' };
      await refresh();
      if (keys === usedKeys) return unavailable();
      const secondVerdict = await keys.verify(token, expected);
      return secondVerdict.kind === 'no-key'
        ? { kind: 'refused', cause: 'signature', reason: 'its issuer has no such key' }
        : secondVerdict;
    },
  };
}
