import type { Host } from '../../shared/base/host.ts';
import type { WaitFor } from '../../shared/base/long-wait.ts';
import { openKeyring } from './keyring.ts';
import { serializeRecord, parseRecord } from './token-record.ts';
import type { TokenStore } from './token-store.ts';

/**
 * Opens the store of the records in the user's keyring.
 *
 * @param waitFor waits for each answer of the keyring
 */
export function openKeyringStore(host: Host, waitFor: WaitFor): TokenStore {
  const keyring = openKeyring(host, waitFor);
  return {
    onFastPath: false,
    async read(key) {
      return parseRecord(key, await keyring.read(key));
    },
    async write(key, record) {
      await keyring.write(key, serializeRecord(key, record));
    },
    remove: (key) => keyring.remove(key),
  };
}
