import { join } from 'node:path';
import { CacheError } from '../../shared/base/errors.ts';
import { readPrivateFile, removePrivateFile, writePrivateFile } from './private-file.ts';
import { computeRetentionEnd, serializeAlias, serializeRecord, parseAlias, parseRecord } from './token-record.ts';
import type { Alias, TokenRecord } from './token-record.ts';

/** A folder of private files, and whose it is. */
export interface CacheFolder {
  readonly path: string;
  readonly uid: number | undefined;
}

const tokenFile = (key: string): string => `${key}.token`;
const aliasFile = (name: string): string => `${name}.alias`;

/** Reading never fails: what cannot be read, or is not what was written, is not there. */
export function readRecordFile({ path, uid }: CacheFolder, key: string): TokenRecord | undefined {
  return parseRecord(key, readPrivateFile(join(path, tokenFile(key)), uid));
}

/** @throws CacheError */
export function writeRecordFile({ path }: CacheFolder, key: string, record: TokenRecord): void {
  writePrivateFile(path, tokenFile(key), serializeRecord(key, record), computeRetentionEnd(record));
}

/** @throws CacheError when it is there and does not go */
export function removeRecordFile({ path, uid }: CacheFolder, key: string): void {
  const file = join(path, tokenFile(key));
  if (!removePrivateFile(file, uid)) throw new CacheError(`${file} is not ours to remove`);
}

/** Reading never fails; see {@link readRecordFile}. */
export function readAliasFile({ path, uid }: CacheFolder, name: string): Alias | undefined {
  return parseAlias(name, readPrivateFile(join(path, aliasFile(name)), uid));
}

/**
 * @param until when the token that it leads to ends, ms since 1970, UTC
 * @throws CacheError
 */
export function writeAliasFile({ path }: CacheFolder, name: string, alias: Alias, until: number): void {
  writePrivateFile(path, aliasFile(name), serializeAlias(name, alias), until);
}
