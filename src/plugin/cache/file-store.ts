/** Token records and aliases in files of the cache folder. */
import { join } from 'node:path';
import { CacheError } from '../../shared/base/errors.ts';
import type { CacheFolder } from './cache-folder.ts';
import { aliasFileName, tokenFileName } from './file-names.ts';
import { readPrivateFile, removePrivateFile, writePrivateFile } from './private-file.ts';
import { computeRetentionEnd, serializeAlias, serializeRecord, parseAlias, parseRecord } from './token-record.ts';
import type { Alias, TokenRecord } from './token-record.ts';
import type { TokenStore } from './token-store.ts';

/** Reads a record. Never throws: a file that is unreadable or damaged counts as absent. */
export function readRecordFile({ path, uid }: CacheFolder, key: string): TokenRecord | undefined {
  return parseRecord(key, readPrivateFile(join(path, tokenFileName(key)), uid));
}

/** @throws CacheError */
export function writeRecordFile({ path }: CacheFolder, key: string, record: TokenRecord): void {
  // Without its refresh token, the user would have to log in again.
  const mayBeLost = record.refresh === undefined;
  writePrivateFile(path, tokenFileName(key), serializeRecord(key, record), computeRetentionEnd(record), { mayBeLost });
}

/** @throws CacheError if the file exists and cannot be removed */
function removeRecordFile({ path, uid }: CacheFolder, key: string): void {
  const file = join(path, tokenFileName(key));
  if (!removePrivateFile(file, uid)) throw new CacheError(`${file} is not a file of yours, so it is not removed`);
}

/** Reads an alias. Never throws, see {@link readRecordFile}. */
export function readAliasFile({ path, uid }: CacheFolder, name: string): Alias | undefined {
  return parseAlias(name, readPrivateFile(join(path, aliasFileName(name)), uid));
}

/**
 * @param expiresAt when the token that it leads to expires, ms since 1970, UTC
 * @throws CacheError
 */
export function writeAliasFile({ path }: CacheFolder, name: string, alias: Alias, expiresAt: number): void {
  writePrivateFile(path, aliasFileName(name), serializeAlias(name, alias), expiresAt, { mayBeLost: true });
}

/** Opens the store of the record files. */
export function openFileStore(folder: CacheFolder): TokenStore {
  return {
    onFastPath: true,
    read: (key) => Promise.resolve(readRecordFile(folder, key)),
    async write(key, record) {
      writeRecordFile(folder, key, record);
      return Promise.resolve();
    },
    async remove(key) {
      removeRecordFile(folder, key);
      return Promise.resolve();
    },
  };
}
