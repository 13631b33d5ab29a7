import { join } from 'node:path';
import { CacheError } from '../../shared/base/errors.ts';
import { readPrivate, removePrivate, writePrivate } from './private-file.ts';
import { endOf, sealAlias, sealRecord, unsealAlias, unsealRecord } from './cached-token.ts';
import type { Alias, TokenRecord } from './cached-token.ts';

/** A folder of private files, and whose it is. */
export interface Folder {
  readonly path: string;
  readonly uid: number | undefined;
}

const tokenFile = (key: string): string => `${key}.token`;
const aliasFile = (name: string): string => `${name}.alias`;

/** Reading never fails: what cannot be read, or is not what was written, is not there. */
export function readRecordFile({ path, uid }: Folder, key: string): TokenRecord | undefined {
  return unsealRecord(key, readPrivate(join(path, tokenFile(key)), uid));
}

/** @throws CacheError */
export function writeRecordFile({ path }: Folder, key: string, record: TokenRecord): void {
  writePrivate(path, tokenFile(key), sealRecord(key, record), endOf(record));
}

/** @throws CacheError when it is there and does not go */
export function removeRecordFile({ path, uid }: Folder, key: string): void {
  const file = join(path, tokenFile(key));
  if (!removePrivate(file, uid)) throw new CacheError(`${file} is not ours to remove`);
}

/** Reading never fails; see {@link readRecordFile}. */
export function readAliasFile({ path, uid }: Folder, name: string): Alias | undefined {
  return unsealAlias(name, readPrivate(join(path, aliasFile(name)), uid));
}

/**
 * @param until when the token that it leads to ends, ms since 1970, UTC
 * @throws CacheError
 */
export function writeAliasFile({ path }: Folder, name: string, alias: Alias, until: number): void {
  writePrivate(path, aliasFile(name), sealAlias(name, alias), until);
}
