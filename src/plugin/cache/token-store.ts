import type { TokenRecord } from './token-record.ts';

/** A place that holds token records between runs. */
export interface TokenStore {
  /** Whether the fast path can read it: the fast path reads files only. */
  readonly onFastPath: boolean;
  /** @throws CacheError if the store itself cannot be used; an invalid record counts as absent */
  read(key: string): Promise<TokenRecord | undefined>;
  /** @throws CacheError */
  write(key: string, record: TokenRecord): Promise<void>;
  /**
   * Removes a record; an absent record counts as removed.
   *
   * @throws CacheError
   */
  remove(key: string): Promise<void>;
}
