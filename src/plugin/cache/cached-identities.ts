/** The cached tokens, as far as the cache folder shows them: the keyring is not asked. */
import { readdirSync } from 'node:fs';
import type { CacheFolder } from './cache-folder.ts';
import { parseFileName } from './file-names.ts';
import type { CacheFileKind } from './file-names.ts';
import { readRecordFile } from './file-store.ts';
import { readTokenMetadata } from './token-metadata.ts';
import type { TokenMetadata } from './token-metadata.ts';
import { computeRetentionEnd } from './token-record.ts';

/** A cached token with its metadata. */
export interface CachedIdentity {
  /** The cache key. */
  readonly key: string;
  /** The name of the token's store. */
  readonly storage: string;
  /** ms since 1970, UTC. */
  readonly expiresAt: number;
  /** Whether the cache holds a refresh token. */
  readonly isRenewable: boolean;
  /** Keystone's v3 endpoint that issued the token; undefined for a token of an identity provider. */
  readonly keystone: string | undefined;
  /** Undefined if the owner is unknown. */
  readonly metadata: TokenMetadata | undefined;
}

type ReadIdentity = (folder: CacheFolder, key: string, now: number) => CachedIdentity | undefined;

const readFileIdentity: ReadIdentity = (folder, key, now) => {
  const record = readRecordFile(folder, key);
  if (record === undefined || computeRetentionEnd(record) <= now) return undefined;
  const { expiresAt, refresh, endpoint } = record;
  const metadata = readTokenMetadata(folder, key);
  return { key, storage: 'file', expiresAt, isRenewable: refresh !== undefined, keystone: endpoint, metadata };
};

/** Metadata of a token in a file is skipped, because the record itself says more. */
const readKeyringIdentity: ReadIdentity = (folder, key, now) => {
  const metadata = readTokenMetadata(folder, key);
  if (metadata === undefined || metadata.storage === 'file') return undefined;
  const { storage, expiresAt, isRenewable, keystone } = metadata;
  if (computeRetentionEnd({ expiresAt, refresh: isRenewable ? '' : undefined }) <= now) return undefined;
  return { key, storage, expiresAt, isRenewable, keystone, metadata };
};

const READERS: Partial<Record<CacheFileKind, ReadIdentity>> = {
  token: readFileIdentity,
  metadata: readKeyringIdentity,
};

/**
 * Lists the cached tokens that have not expired or can be renewed, by time of expiry.
 *
 * @param now ms since 1970, UTC
 */
export function listCachedIdentities(folder: CacheFolder, now: number): readonly CachedIdentity[] {
  const identities = readdirSync(folder.path).flatMap((name) => {
    const file = parseFileName(name);
    return file?.key === undefined ? [] : (READERS[file.kind]?.(folder, file.key, now) ?? []);
  });
  return identities.toSorted((a, b) => a.expiresAt - b.expiresAt || a.key.localeCompare(b.key, 'en'));
}
