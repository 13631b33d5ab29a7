/**
 * Tokens in the user's keyring: Secret Service, Keychain, Credential Manager. A keyring may be absent, locked or hung, so
 * nothing waits for it longer than three seconds.
 */
import { AsyncEntry } from '@napi-rs/keyring';
import { setTimeout as sleep } from 'node:timers/promises';
import { CacheError } from '../errors.ts';
import { sealRecord, unsealRecord } from './record.ts';
import type { TokenStore } from './store.ts';

const SERVICE = 'client-keystone-auth';
const LONGEST_MS = 3_000;

/** Otherwise it would fall back, silently, to the kernel's keyutils, which forget. */
const OPTIONS = { linux: { store: 'secret-service' } } as const;

/** What a Windows credential holds (wincred.h, CRED_MAX_CREDENTIAL_BLOB_SIZE), in UTF-16 characters. */
const LARGEST_CHARACTERS: Partial<Record<NodeJS.Platform, number>> = { win32: 1_280 };

async function ask<T>(what: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const late = sleep(LONGEST_MS, undefined, { signal: stop.signal }).then(
    () => Promise.reject(new CacheError(`the keyring did not answer within ${LONGEST_MS / 1000} s`)),
    () => new Promise<never>(() => undefined),
  );
  try {
    return await Promise.race([what(stop.signal), late]);
  } catch (error) {
    if (error instanceof CacheError) throw error;
    throw new CacheError('the keyring cannot be used', { cause: error });
  } finally {
    stop.abort();
  }
}

/** Makes an entry, which also fails where there is no keyring. */
async function withEntry<T>(key: string, use: (entry: AsyncEntry, signal: AbortSignal) => Promise<T>): Promise<T> {
  return ask((signal) => use(new AsyncEntry(SERVICE, key, OPTIONS), signal));
}

/** The store of the user's keyring. */
export function openKeyringStore(platform: NodeJS.Platform): TokenStore {
  return {
    onHitPath: false,
    async read(key) {
      const sealed = await withEntry(key, (entry, signal) => entry.getPassword(signal));
      return sealed === null ? undefined : unsealRecord(key, sealed);
    },
    async write(key, record) {
      const sealed = sealRecord(key, record);
      if (sealed.length > (LARGEST_CHARACTERS[platform] ?? Number.POSITIVE_INFINITY)) {
        throw new CacheError('the token is too large for a credential of Windows');
      }
      await withEntry(key, (entry, signal) => entry.setPassword(sealed, signal));
    },
  };
}
