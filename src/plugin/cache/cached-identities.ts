/** Whose tokens are kept, as far as the cache's folder tells: no keyring is asked. */
import { lstatSync, readdirSync } from 'node:fs';
import type { Host } from '../../shared/base/host.ts';
import { readAbout } from './token-metadata.ts';
import type { About } from './token-metadata.ts';
import { readRecordFile } from './file-store.ts';
import type { Folder } from './file-store.ts';
import { cacheFolder, checkFolder } from './cache-folder.ts';
import { endOf } from './cached-token.ts';

/** A token that is kept. */
export interface Identity {
  /** The canonical cache key. */
  readonly key: string;
  /** A name of `STORES`. */
  readonly storage: string;
  /** ms since 1970, UTC. */
  readonly expiresAt: number;
  /** Whether something is kept that gets the next token. */
  readonly renewable: boolean;
  /** The v3 endpoint that the token is from; undefined where it is no Keystone's. */
  readonly keystone: string | undefined;
  /** Undefined where nothing is known of whose it is. */
  readonly about: About | undefined;
}

const KEPT = /^([0-9a-f]{64})\.(token|about)$/;

/**
 * The cache's folder; undefined where there is none, and so nothing in it.
 *
 * @throws CacheError when it is not safe to use
 */
export function findFolder(host: Host): Folder | undefined {
  const path = cacheFolder(host);
  if (path === undefined || lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  checkFolder(path, host.uid);
  return { path, uid: host.uid };
}

function readFileIdentity(folder: Folder, key: string, now: number): Identity[] {
  const record = readRecordFile(folder, key);
  if (record === undefined || endOf(record) <= now) return [];
  const { expiresAt, refresh, endpoint } = record;
  const about = readAbout(folder, key);
  return [{ key, storage: 'file', expiresAt, renewable: refresh !== undefined, keystone: endpoint, about }];
}

/** Of a token in a file the file itself tells more. */
function readKeyringIdentity(folder: Folder, key: string, now: number): Identity[] {
  const about = readAbout(folder, key);
  if (about === undefined || about.storage === 'file') return [];
  const { storage, expiresAt, renewable, keystone } = about;
  if (endOf({ expiresAt, refresh: renewable ? '' : undefined }) <= now) return [];
  return [{ key, storage, expiresAt, renewable, keystone, about }];
}

const READERS: Readonly<Record<string, (folder: Folder, key: string, now: number) => Identity[]>> = {
  token: readFileIdentity,
  about: readKeyringIdentity,
};

/**
 * Lists what is kept and not yet over, what ends first coming first.
 *
 * @param now ms since 1970, UTC
 */
export function listIdentities(folder: Folder, now: number): readonly Identity[] {
  const found = readdirSync(folder.path).flatMap((name) => {
    const [, key = '', kind = ''] = KEPT.exec(name) ?? [];
    return READERS[kind]?.(folder, key, now) ?? [];
  });
  return found.toSorted((one, other) => one.expiresAt - other.expiresAt || one.key.localeCompare(other.key, 'en'));
}
