import type { Host } from '../../shared/base/host.ts';
import { readRecordFile, removeRecordFile, writeRecordFile } from './file-store.ts';
import type { CacheFolder } from './file-store.ts';
import type { TokenRecord } from './token-record.ts';

/** Where records are kept between runs. */
export interface TokenStore {
  /** Whether the hit path can read it: it reads files and nothing else. */
  readonly onFastPath: boolean;
  /** @throws CacheError when the store itself cannot be used; a record that is no record is not there */
  read(key: string): Promise<TokenRecord | undefined>;
  /** @throws CacheError */
  write(key: string, record: TokenRecord): Promise<void>;
  /**
   * Forgets a record; what is not there counts as forgotten.
   *
   * @throws CacheError
   */
  remove(key: string): Promise<void>;
}

function openFileStore(folder: CacheFolder): TokenStore {
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

type Open = (folder: CacheFolder, host: Host) => Promise<TokenStore | undefined>;

/** Kinds of storage by the names that `--cache-storage` takes. */
const STORES: ReadonlyMap<string, Open> = new Map<string, Open>([
  ['file', (folder) => Promise.resolve(openFileStore(folder))],
  [
    'keyring',
    async (_folder, host) => {
      const { openKeyringStore } = await import('./keyring-store.ts');
      return openKeyringStore(host);
    },
  ],
  ['none', () => Promise.resolve(undefined)],
]);

/** Opens a store by its name; undefined where nothing shall be kept. */
export async function openTokenStore(name: string, folder: CacheFolder, host: Host): Promise<TokenStore | undefined> {
  return STORES.get(name)?.(folder, host);
}
