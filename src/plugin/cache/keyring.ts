/**
 * The user's keyring: Secret Service, Keychain, Credential Manager. It may be absent, locked or hung, so nothing waits for
 * it longer than three seconds.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { CacheError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import type { KeyringRequest } from './keyring-process.ts';

/** Entries of ours, by their keys. Each method throws a CacheError where the keyring cannot be used. */
export interface Keyring {
  /** The empty string where nothing is kept. */
  read(key: string): Promise<string>;
  write(key: string, text: string): Promise<void>;
  /** What is not there counts as removed. */
  remove(key: string): Promise<void>;
}

const LONGEST_MS = 3_000;

/** As built, beside the bundle that this is part of. */
const HELPER = fileURLToPath(new URL('./keyring.cjs', import.meta.url));

/** What a Windows credential holds (wincred.h, CRED_MAX_CREDENTIAL_BLOB_SIZE), in UTF-16 characters. */
const LARGEST_CHARACTERS: Partial<Record<NodeJS.Platform, number>> = { win32: 1_280 };

function ask(program: string, request: KeyringRequest): Promise<string> {
  const options = { timeout: LONGEST_MS, killSignal: 'SIGKILL', windowsHide: true } as const;
  return new Promise((resolve, reject) => {
    const child = execFile(program, [HELPER], options, (error, stdout) => {
      if (error === null) resolve(stdout);
      else if (error.killed === true)
        reject(new CacheError(`the keyring did not answer within ${LONGEST_MS / 1000} s`));
      else reject(new CacheError('the keyring cannot be used', { cause: error }));
    });
    // One that ends early does not read; how it ended is what counts.
    child.stdin?.on('error', () => undefined).end(JSON.stringify(request));
  });
}

/** Opens the keyring of this run's user; whether there is one shows at the first use. */
export function openKeyring({ execPath, platform }: Pick<Host, 'execPath' | 'platform'>): Keyring {
  return {
    read: (key) => ask(execPath, { key }),
    async write(key, secret) {
      if (secret.length > (LARGEST_CHARACTERS[platform] ?? Number.POSITIVE_INFINITY)) {
        throw new CacheError('the token is too large for a credential of Windows');
      }
      await ask(execPath, { key, secret });
    },
    async remove(key) {
      await ask(execPath, { key, remove: true });
    },
  };
}
