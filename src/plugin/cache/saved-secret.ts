/**
 * Secrets that a user saved for later logins. Each is in the keyring, for one identity at one Keystone. A note in the
 * cache folder says that the secret exists, without the secret itself. The notes can be listed, and without a note a
 * run that lacks a password does not ask the keyring, which can be absent or unresponsive.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CacheError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import type { WaitFor } from '../../shared/base/long-wait.ts';
import { textAt } from '../../shared/base/json.ts';
import { Secret } from '../../shared/base/secret.ts';
import { resolveCacheFolder, ensureCacheFolder } from './cache-folder.ts';
import type { CacheFolder } from './cache-folder.ts';
import { serializeWithChecksum, parseWithChecksum } from './checksum.ts';
import { parseFileName, savedSecretFileName } from './file-names.ts';
import { openKeyring } from './keyring.ts';
import { removeQuietly } from '../../shared/base/write-private-file.ts';
import { readPrivateFile, writePrivateFile } from './private-file.ts';

/** The identity that a saved secret belongs to. */
export interface SavedSecretIdentity {
  /** A digest of the Keystone URL, its TLS settings, and the identity. */
  readonly key: string;
  /** The option that the secret is the value of. */
  readonly option: string;
  /** For the user: "the password of alice (domain Default) at https://keystone.example.com". */
  readonly description: string;
}

interface SavedSecretNote extends SavedSecretIdentity {
  /** Whether the secret must not be used again: it was to be forgotten, and the keyring did not remove it. */
  readonly isDisabled: boolean;
}

/** The modification time of a cache file is its time of expiry, and a note does not expire. */
const FOREVER_MS = 10 * 365 * 24 * 3_600_000;

/** Reads a note. Never throws: a file that is unreadable or damaged counts as absent. */
export function readSavedSecretNote({ path, uid }: CacheFolder, key: string): SavedSecretNote | undefined {
  const content = parseWithChecksum(readPrivateFile(join(path, savedSecretFileName(key)), uid));
  const option = textAt(content, 'option');
  const description = textAt(content, 'about');
  if (textAt(content, 'key') !== key || option === undefined || description === undefined) return undefined;
  return { key, option, description, isDisabled: textAt(content, 'refused') !== undefined };
}

function writeNote(host: Host, folder: CacheFolder, { key, option, description, isDisabled }: SavedSecretNote): void {
  const flags = isDisabled ? { refused: 'yes' } : {};
  const content = serializeWithChecksum({ key, option, about: description, ...flags });
  writePrivateFile(folder.path, savedSecretFileName(key), content, host.now() + FOREVER_MS);
}

/** @throws CacheError if the user has no folder, or the folder is not safe */
function requireCacheFolder(host: Host): CacheFolder {
  const folder = resolveCacheFolder(host);
  if (folder === undefined) throw new CacheError('there is no home folder for the list of saved secrets');
  ensureCacheFolder(folder);
  return folder;
}

/**
 * Saves a secret in the keyring and writes its note. After a failure neither of them stays.
 *
 * @throws CacheError
 */
export async function saveSecret(
  host: Host,
  identity: SavedSecretIdentity,
  secret: Secret,
  waitFor?: WaitFor,
): Promise<void> {
  const folder = requireCacheFolder(host);
  const keyring = openKeyring(host, waitFor);
  const { key, option } = identity;
  const entry = serializeWithChecksum({ key, option, secret: secret.reveal() });
  await keyring.write(key, entry);
  try {
    // Some keyrings accept an entry and do not store it.
    if ((await keyring.read(key)) !== entry) throw new CacheError('the keyring did not store the secret');
    writeNote(host, folder, { ...identity, isDisabled: false });
  } catch (error) {
    await keyring.remove(key).catch(() => undefined);
    throw error;
  }
}

/** Whether a secret is saved for exactly this identity, as far as the notes show: the keyring is not asked. */
export function isSecretSaved(host: Host, { key, option }: SavedSecretIdentity): boolean {
  const folder = resolveCacheFolder(host);
  const note = folder === undefined ? undefined : readSavedSecretNote(folder, key);
  return note !== undefined && !note.isDisabled && note.option === option;
}

/**
 * Reads the secret that is saved for exactly this identity. The keyring is asked only if there is a note.
 *
 * @throws CacheError if the keyring cannot be used
 */
export async function readSavedSecret(
  host: Host,
  identity: SavedSecretIdentity,
  waitFor?: WaitFor,
): Promise<Secret | undefined> {
  const { key, option } = identity;
  if (!isSecretSaved(host, identity)) return undefined;
  const content = parseWithChecksum(await openKeyring(host, waitFor).read(key));
  const secret = textAt(content, 'secret');
  if (textAt(content, 'key') !== key || textAt(content, 'option') !== option) return undefined;
  return secret === undefined ? undefined : new Secret(secret);
}

/**
 * Forgets the secret of an identity. If the keyring does not remove it, its note disables it.
 *
 * @returns whether there was a note
 * @throws CacheError if the keyring cannot be used; the note stays, so that the user can try again
 */
export async function forgetSavedSecret(
  host: Host,
  identity: SavedSecretIdentity,
  waitFor?: WaitFor,
): Promise<boolean> {
  const folder = resolveCacheFolder(host);
  if (folder === undefined || readSavedSecretNote(folder, identity.key) === undefined) return false;
  try {
    await openKeyring(host, waitFor).remove(identity.key);
  } catch (error) {
    writeNote(host, folder, { ...identity, isDisabled: true });
    throw error;
  }
  removeQuietly(join(folder.path, savedSecretFileName(identity.key)));
  return true;
}

/** Lists the saved secrets, sorted by their descriptions. */
export function listSavedSecrets(host: Host): readonly SavedSecretIdentity[] {
  const folder = resolveCacheFolder(host);
  if (folder === undefined) return [];
  let names: string[];
  try {
    names = readdirSync(folder.path);
  } catch {
    return [];
  }
  return names
    .flatMap((name) => {
      const file = parseFileName(name);
      return file?.kind === 'saved-secret' ? (readSavedSecretNote(folder, file.key) ?? []) : [];
    })
    .map(({ key, option, description }) => ({ key, option, description }))
    .toSorted((a, b) => a.description.localeCompare(b.description, 'en'));
}

const PROBE = 'probe';

/**
 * Checks that the keyring can store and remove an entry, before the caller does anything that depends on it.
 *
 * @throws CacheError if it cannot
 */
export async function probeKeyring(host: Host, waitFor?: WaitFor): Promise<void> {
  requireCacheFolder(host);
  const keyring = openKeyring(host, waitFor);
  await keyring.write(PROBE, PROBE);
  await keyring.remove(PROBE);
}
