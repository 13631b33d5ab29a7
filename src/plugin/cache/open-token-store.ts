import type { Host } from '../../shared/base/host.ts';
import { waitSilently } from '../../shared/base/long-wait.ts';
import type { WaitFor } from '../../shared/base/long-wait.ts';
import type { CacheFolder } from './cache-folder.ts';
import { openFileStore } from './file-store.ts';
import type { TokenStore } from './token-store.ts';

type Open = (folder: CacheFolder | undefined, host: Host, waitFor: WaitFor) => Promise<TokenStore | undefined>;

/** The stores by their names, which `--cache-storage` accepts. */
const STORES: ReadonlyMap<string, Open> = new Map<string, Open>([
  ['file', (folder) => Promise.resolve(folder === undefined ? undefined : openFileStore(folder))],
  [
    'keyring',
    async (_folder, host, waitFor) => {
      const { openKeyringStore } = await import('./keyring-store.ts');
      return openKeyringStore(host, waitFor);
    },
  ],
  ['none', () => Promise.resolve(undefined)],
]);

/**
 * Opens a store by its name; undefined for `none`, and for `file` without a folder.
 *
 * @param waitFor waits for a store that can be slow
 */
export async function openTokenStore(
  name: string,
  folder: CacheFolder | undefined,
  host: Host,
  waitFor = waitSilently,
): Promise<TokenStore | undefined> {
  return STORES.get(name)?.(folder, host, waitFor);
}
