import type { Host } from '../../shared/base/host.ts';
import type { CacheFolder } from './cache-folder.ts';
import { openFileStore } from './file-store.ts';
import type { TokenStore } from './token-store.ts';

type Open = (folder: CacheFolder | undefined, host: Host) => Promise<TokenStore | undefined>;

/** The stores by their names, which `--cache-storage` accepts. */
const STORES: ReadonlyMap<string, Open> = new Map<string, Open>([
  ['file', (folder) => Promise.resolve(folder === undefined ? undefined : openFileStore(folder))],
  [
    'keyring',
    async (_folder, host) => {
      const { openKeyringStore } = await import('./keyring-store.ts');
      return openKeyringStore(host);
    },
  ],
  ['none', () => Promise.resolve(undefined)],
]);

/** Opens a store by its name; undefined for `none`, and for `file` without a folder. */
export async function openTokenStore(
  name: string,
  folder: CacheFolder | undefined,
  host: Host,
): Promise<TokenStore | undefined> {
  return STORES.get(name)?.(folder, host);
}
