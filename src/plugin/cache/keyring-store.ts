import type { Host } from '../../shared/base/host.ts';
import { openKeyring } from './keyring.ts';
import { serializeRecord, parseRecord } from './token-record.ts';
import type { TokenStore } from './token-store.ts';

/** Opens the store of the records in the user's keyring. */
export function openKeyringStore(host: Host): TokenStore {
  const keyring = openKeyring(host);
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
