/** Whose tokens are kept, as far as the cache's folder tells: no keyring is asked. */
import { lstatSync, readdirSync } from 'node:fs';
import type { Host } from '../../shared/base/host.ts';
import { readTokenMetadata } from './token-metadata.ts';
import type { TokenMetadata } from './token-metadata.ts';
import { readRecordFile } from './file-store.ts';
import type { CacheFolder } from './file-store.ts';
import { resolveCacheFolder, checkCacheFolder } from './cache-folder.ts';
import { computeRetentionEnd } from './token-record.ts';

/** A token that is kept. */
export interface CachedIdentity {
  /** The canonical cache key. */
  readonly key: string;
  /** A name of `STORES`. */
  readonly storage: string;
  /** ms since 1970, UTC. */
  readonly expiresAt: number;
  /** Whether something is kept that gets the next token. */
  readonly isRenewable: boolean;
  /** The v3 endpoint that the token is from; undefined where it is no Keystone's. */
  readonly keystone: string | undefined;
  /** Undefined where nothing is known of whose it is. */
  readonly metadata: TokenMetadata | undefined;
}

const KEPT = /^([0-9a-f]{64})\.(token|about)$/;

/**
 * The cache's folder; undefined where there is none, and so nothing in it.
 *
 * @throws CacheError when it is not safe to use
 */
export function findCacheFolder(host: Host): CacheFolder | undefined {
  const path = resolveCacheFolder(host);
  if (path === undefined || lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  checkCacheFolder(path, host.uid);
  return { path, uid: host.uid };
}

function readFileIdentity(folder: CacheFolder, key: string, now: number): CachedIdentity[] {
  const record = readRecordFile(folder, key);
  if (record === undefined || computeRetentionEnd(record) <= now) return [];
  const { expiresAt, refresh, endpoint } = record;
  const metadata = readTokenMetadata(folder, key);
  return [{ key, storage: 'file', expiresAt, isRenewable: refresh !== undefined, keystone: endpoint, metadata }];
}

/** Of a token in a file the file itself tells more. */
function readKeyringIdentity(folder: CacheFolder, key: string, now: number): CachedIdentity[] {
  const metadata = readTokenMetadata(folder, key);
  if (metadata === undefined || metadata.storage === 'file') return [];
  const { storage, expiresAt, isRenewable, keystone } = metadata;
  if (computeRetentionEnd({ expiresAt, refresh: isRenewable ? '' : undefined }) <= now) return [];
  return [{ key, storage, expiresAt, isRenewable, keystone, metadata }];
}

const READERS: Readonly<Record<string, (folder: CacheFolder, key: string, now: number) => CachedIdentity[]>> = {
  token: readFileIdentity,
  about: readKeyringIdentity,
};

/**
 * Lists what is kept and not yet over, what ends first coming first.
 *
 * @param now ms since 1970, UTC
 */
export function listCachedIdentities(folder: CacheFolder, now: number): readonly CachedIdentity[] {
  const found = readdirSync(folder.path).flatMap((name) => {
    const [, key = '', kind = ''] = KEPT.exec(name) ?? [];
    return READERS[kind]?.(folder, key, now) ?? [];
  });
  return found.toSorted((one, other) => one.expiresAt - other.expiresAt || one.key.localeCompare(other.key, 'en'));
}
