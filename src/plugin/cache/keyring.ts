/**
 * The user's keyring: Secret Service, Keychain or Credential Manager. It can be absent, locked or unresponsive, so each
 * request waits at most three seconds.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { CacheError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { waitSilently } from '../../shared/base/long-wait.ts';
import { makeKeyringEnvironment } from '../programs/environment.ts';
import { findSessionBus } from '../programs/session-bus.ts';
import { resolveCacheFolder } from './cache-folder.ts';
import type { KeyringRequest } from './keyring-process.ts';

/** The plugin's entries by their keys. Each method throws a CacheError if the keyring cannot be used. */
export interface Keyring {
  /** Reads an entry; the empty string if there is none. */
  read(key: string): Promise<string>;
  write(key: string, text: string): Promise<void>;
  /** Removes an entry; an absent entry counts as removed. */
  remove(key: string): Promise<void>;
}

const MAX_REQUEST_MS = 3_000;

/** The bundle of keyring-process.ts, which the build puts next to the bundle of this file. */
const HELPER = fileURLToPath(new URL('./keyring.cjs', import.meta.url));

/** The size of a Windows credential (wincred.h, CRED_MAX_CREDENTIAL_BLOB_SIZE), in UTF-16 characters. */
const MAX_CHARACTERS: Partial<Record<NodeJS.Platform, number>> = { win32: 1_280 };

const UNUSABLE = 'the keyring cannot be used';

/** @throws CacheError if the person has no session bus, without which the library could start one by itself */
function makeEnvironment(host: Host): Record<string, string> {
  const bus = host.platform === 'linux' ? findSessionBus(host) : undefined;
  if (host.platform === 'linux' && bus === undefined) throw new CacheError(UNUSABLE);
  return makeKeyringEnvironment(host, { bus, cacheFolder: resolveCacheFolder(host)?.path });
}

async function sendRequest(host: Host, request: KeyringRequest): Promise<string> {
  const env = makeEnvironment(host);
  const options = { env, timeout: MAX_REQUEST_MS, killSignal: 'SIGKILL', windowsHide: true } as const;
  return new Promise((resolve, reject) => {
    const child = execFile(host.execPath, [HELPER], options, (error, stdout) => {
      if (error === null) resolve(stdout);
      else if (error.killed === true)
        reject(new CacheError(`the keyring did not answer within ${MAX_REQUEST_MS / 1000} s`));
      else reject(new CacheError(UNUSABLE, { cause: error }));
    });
    // A helper that exits early does not read stdin; its exit status is the error to report.
    child.stdin?.on('error', () => undefined).end(JSON.stringify(request));
  });
}

/** @throws CacheError if the helper did not answer with a text */
function parseSecret(answer: string): string {
  try {
    const secret: unknown = JSON.parse(answer);
    if (typeof secret === 'string') return secret;
  } catch {
    // Not the helper of this version.
  }
  throw new CacheError(UNUSABLE);
}

/**
 * Opens the keyring of the user; the first request shows whether it works.
 *
 * @param waitFor waits for each answer
 */
export function openKeyring(host: Host, waitFor = waitSilently): Keyring {
  const send = (request: KeyringRequest): Promise<string> =>
    waitFor('the system keyring', () => sendRequest(host, request));
  return {
    read: async (key) => parseSecret(await send({ key })),
    async write(key, secret) {
      if (secret.length > (MAX_CHARACTERS[host.platform] ?? Number.POSITIVE_INFINITY)) {
        throw new CacheError('the token is too large for the Windows Credential Manager');
      }
      await send({ key, secret });
    },
    async remove(key) {
      await send({ key, remove: true });
    },
  };
}
