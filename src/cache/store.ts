import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../host.ts';
import { cacheFolder } from './folder.ts';
import { readPrivate, writePrivate } from './private-file.ts';
import { sealAlias, sealRecord, unsealAlias, unsealRecord } from './record.ts';
import type { Alias, TokenRecord } from './record.ts';

/** Where tokens are kept between runs. Reading never fails: what cannot be read is not there. */
export interface TokenStore {
  readRecord(key: string): TokenRecord | undefined;
  readAlias(fingerprint: string): Alias | undefined;
  /** @throws CacheError */
  writeRecord(key: string, record: TokenRecord): void;
  /** @throws CacheError */
  writeAlias(fingerprint: string, alias: Alias): void;
  forgetRecord(key: string): void;
}

const tokenFile = (key: string): string => `${key}.token`;
const aliasFile = (fingerprint: string): string => `${fingerprint}.alias`;

/** The store of 0600 files in the user's cache folder; undefined where the user has no such folder. */
export function openFileStore(host: Host): TokenStore | undefined {
  const folder = cacheFolder(host);
  if (folder === undefined) return undefined;
  const { uid } = host;
  return {
    readRecord(key) {
      const sealed = readPrivate(join(folder, tokenFile(key)), uid);
      return sealed === undefined ? undefined : unsealRecord(key, sealed);
    },
    readAlias(fingerprint) {
      const sealed = readPrivate(join(folder, aliasFile(fingerprint)), uid);
      return sealed === undefined ? undefined : unsealAlias(fingerprint, sealed);
    },
    writeRecord(key, record) {
      writePrivate(folder, tokenFile(key), sealRecord(key, record), uid);
    },
    writeAlias(fingerprint, alias) {
      writePrivate(folder, aliasFile(fingerprint), sealAlias(fingerprint, alias), uid);
    },
    forgetRecord(key) {
      rmSync(join(folder, tokenFile(key)), { force: true });
    },
  };
}
