/** How commands name the owner of a cached token. */
import type { TokenMetadata } from '../cache/token-metadata.ts';

/** Stands in a table for what an earlier version did not store. */
export const UNKNOWN = 'unknown';

/** The owner of a token for `-o json`; null for what is not known. */
type OwnerData = Readonly<Record<'user' | 'domain' | 'scope' | 'method', string | null>>;

/** Lists the owner of a token as JSON. */
export function ownerToJson(metadata: TokenMetadata | undefined): OwnerData {
  return {
    user: metadata?.user ?? null,
    domain: metadata?.domain ?? null,
    scope: metadata?.scope ?? null,
    method: metadata?.method ?? null,
  };
}
