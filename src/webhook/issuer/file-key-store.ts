/** Signing keys in a file that only its owner can access. Replicas on one machine share it; a kernel lock orders them. */
import { randomUUID } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, getErrorCode } from '../../shared/base/errors.ts';
import { describeLockFailure, openKernelLock } from '../../shared/base/kernel-lock.ts';
import { describeReadFailure, readRegularFile } from '../../shared/base/read-file.ts';
import { ensurePrivateFile, replacePrivateFile } from '../../shared/base/write-private-file.ts';
import { UntrackedSecret } from '../review/untracked-secret.ts';
import type { NamedFile } from '../sources/read-text-file.ts';
import { parseKeyDocument, renderKeyDocument } from './key-document.ts';
import type { KeyStore } from './key-store.ts';
import type { SigningKey } from './signing-key.ts';

const OTHERS = 0o077n;
const WRITABLE_BY_OTHERS = 0o022;
const ROOT = 0;
const MAX_BYTES = 256 * 1024;

/** How long to wait for another process that changes the keys, and between two attempts, in ms. */
const LOCK_WAIT_MS = 10_000;
const LOCK_PAUSE_MS = 50;

interface FileKeyStoreSettings {
  readonly file: NamedFile;
  /** The effective uid; undefined where there is none. */
  readonly uid: number | undefined;
}

/** @throws ConfigError if the folder is not there, or other users could replace files in it */
function checkFolder({ file: { path, origin }, uid }: FileKeyStoreSettings): void {
  const folder = dirname(path);
  let stats;
  try {
    stats = statSync(folder, { throwIfNoEntry: false });
  } catch (error) {
    throw new ConfigError(`${origin}: the folder ${folder} cannot be accessed (${getErrorCode(error)})`, {
      hint: 'the user of the issuer must be allowed to use the folders above it',
    });
  }
  if (stats?.isDirectory() !== true) {
    throw new ConfigError(`${origin}: the folder ${folder} does not exist`, { hint: 'create it with the mode 0700' });
  }
  if ((stats.mode & WRITABLE_BY_OTHERS) !== 0) {
    throw new ConfigError(`${origin}: other users can write to the folder ${folder}`, {
      hint: 'use a folder with the mode 0700 that contains nothing else',
    });
  }
  if (uid !== undefined && stats.uid !== uid && stats.uid !== ROOT) {
    throw new ConfigError(`${origin}: the folder ${folder} belongs to another user`, {
      hint: 'make the user of the issuer its owner, and set its mode to 0700',
    });
  }
}

async function readKeys({ file, uid }: FileKeyStoreSettings): Promise<readonly SigningKey[]> {
  const { path, origin } = file;
  let content;
  try {
    content = readRegularFile(path, MAX_BYTES);
  } catch (error) {
    throw new ConfigError(`${origin}: the signing keys in ${path} cannot be read (${describeReadFailure(error)})`, {
      hint: existsSync(path)
        ? `set ${origin} to a file that the program can read`
        : 'restore them from a backup, or make the first key with "issuer rotate --create"',
    });
  }
  const { bytes, stats } = content;
  if (uid !== undefined && ((stats.mode & OTHERS) !== 0n || Number(stats.uid) !== uid)) {
    throw new ConfigError(`${origin}: ${path} is not private: other users can access it, or own it`, {
      hint: 'make the user of the issuer its owner, and set its mode to 0600',
    });
  }
  return parseKeyDocument(new UntrackedSecret(bytes.toString()), `${origin}: ${path}`);
}

function writeKeys({ path, origin }: NamedFile, keys: readonly SigningKey[]): void {
  const name = basename(path);
  const content = renderKeyDocument(keys).reveal();
  try {
    replacePrivateFile({ folder: dirname(path), name, content, temporaryName: `.${name}.${randomUUID()}` });
  } catch (error) {
    throw new ConfigError(`${origin}: the signing keys cannot be written to ${path} (${getErrorCode(error)})`, {
      hint: 'the user of the issuer must be allowed to write to the folder',
    });
  }
}

/** Runs a task while no other process runs one for the same file. */
async function withLock<T>({ file }: FileKeyStoreSettings, task: () => Promise<T>): Promise<T> {
  const { path, origin } = file;
  const lockPath = `${path}.lock`;
  const fail = (reason: string): ConfigError =>
    new ConfigError(`${origin}: the lock ${lockPath} cannot be acquired (${reason})`, {
      hint: 'the user of the issuer must be allowed to write to the folder',
    });
  let lock;
  try {
    ensurePrivateFile(lockPath);
    lock = await openKernelLock(lockPath);
    for (let waitedMs = 0; !lock.tryAcquire(); waitedMs += LOCK_PAUSE_MS) {
      if (waitedMs >= LOCK_WAIT_MS) throw new Error('another process holds it');
      await sleep(LOCK_PAUSE_MS);
    }
  } catch (error) {
    lock?.close();
    throw fail(error instanceof Error && !('code' in error) ? error.message : describeLockFailure(error));
  }
  try {
    return await task();
  } finally {
    lock.close();
  }
}

/**
 * Makes the store of a file.
 *
 * @throws ConfigError if other users could replace the file
 */
export function openFileKeyStore(settings: FileKeyStoreSettings): KeyStore {
  const { file } = settings;
  checkFolder(settings);
  return {
    place: file.path,
    read: () => readKeys(settings),
    async update(change) {
      // A path without keys, perhaps a mistyped one, gets no lock beside it.
      await readKeys(settings);
      return withLock(settings, async () => {
        const keys = await readKeys(settings);
        const next = await change(keys);
        if (next === undefined) return keys;
        writeKeys(file, next);
        return next;
      });
    },
    create: (keys) =>
      withLock(settings, async () => {
        if (existsSync(file.path)) {
          throw new ConfigError(`${file.origin}: ${file.path} already exists`, { hint: 'leave out --create' });
        }
        writeKeys(file, keys);
        await Promise.resolve();
      }),
  };
}
