/**
 * Secrets that a user wants kept for later logins, in the keyring, each for one identity at one Keystone. A note in the
 * cache's folder says that there is one, and holds no secret: without it, no run that lacks a password would have to wait
 * for a keyring that may be absent or hung, and nobody could list what is kept.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CacheError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { textAt } from '../../shared/base/json.ts';
import { Secret } from '../../shared/base/secret.ts';
import type { CacheFolder } from './file-store.ts';
import { resolveCacheFolder, ensureCacheFolder } from './cache-folder.ts';
import { openKeyring } from './keyring.ts';
import { readPrivateFile, removeQuietly, writePrivateFile } from './private-file.ts';
import { serializeWithChecksum, parseWithChecksum } from './checksum.ts';

/** Whose secret it is. */
export interface SavedSecretIdentity {
  /** A digest of Keystone, how it is reached, and the identity. */
  readonly key: string;
  /** Name of the option that the secret is for. */
  readonly option: string;
  /** For people: "the password of alice (domain Default) at https://keystone.example.com". */
  readonly description: string;
}

interface Note extends SavedSecretIdentity {
  /** Keystone has refused it, and the keyring would not let go of it. */
  readonly refused: boolean;
}

const SUFFIX = '.kept';

/** A note has no end of its own, and its folder takes the time of modification for the end. */
const FOREVER_MS = 10 * 365 * 24 * 3_600_000;

const noteFile = (key: string): string => `${key}${SUFFIX}`;

/** Reading never fails: what cannot be read, or is not what was written, is not there. */
export function readSavedSecretNote({ path, uid }: CacheFolder, key: string): Note | undefined {
  const content = parseWithChecksum(readPrivateFile(join(path, noteFile(key)), uid));
  const option = textAt(content, 'option');
  const description = textAt(content, 'about');
  if (textAt(content, 'key') !== key || option === undefined || description === undefined) return undefined;
  return { key, option, description, refused: textAt(content, 'refused') !== undefined };
}

function writeNote(
  host: Host,
  folder: string,
  { key, option, description }: SavedSecretIdentity,
  refused: boolean,
): void {
  const content = serializeWithChecksum({ key, option, about: description, ...(refused ? { refused: 'yes' } : {}) });
  writePrivateFile(folder, noteFile(key), content, host.now() + FOREVER_MS);
}

/** @throws CacheError where the user has no folder, or one that others can write */
function ownFolder(host: Host): string {
  const folder = resolveCacheFolder(host);
  if (folder === undefined) throw new CacheError('there is no home folder to note in what the keyring holds');
  ensureCacheFolder(folder, host.uid);
  return folder;
}

/**
 * Keeps a secret, or nothing at all.
 *
 * @throws CacheError
 */
export async function saveSecret(host: Host, identity: SavedSecretIdentity, secret: Secret): Promise<void> {
  const folder = ownFolder(host);
  const keyring = openKeyring(host);
  const { key, option } = identity;
  const sealed = serializeWithChecksum({ key, option, secret: secret.reveal() });
  await keyring.write(key, sealed);
  try {
    // Some keyrings take what they do not keep.
    if ((await keyring.read(key)) !== sealed) throw new CacheError('the keyring does not give back what it was given');
    writeNote(host, folder, identity, false);
  } catch (error) {
    await keyring.remove(key).catch(() => undefined);
    throw error;
  }
}

/** Whether a secret is kept for exactly this identity, as far as that can be told without the keyring. */
export function isSecretSaved(host: Host, { key, option }: SavedSecretIdentity): boolean {
  const folder = resolveCacheFolder(host);
  const note = folder === undefined ? undefined : readSavedSecretNote({ path: folder, uid: host.uid }, key);
  return note !== undefined && !note.refused && note.option === option;
}

/**
 * Gives the secret that is kept for exactly this identity; the keyring is not asked where none is.
 *
 * @throws CacheError when the keyring cannot be used
 */
export async function readSavedSecret(host: Host, identity: SavedSecretIdentity): Promise<Secret | undefined> {
  const { key, option } = identity;
  if (!isSecretSaved(host, identity)) return undefined;
  const content = parseWithChecksum(await openKeyring(host).read(key));
  const secret = textAt(content, 'secret');
  if (textAt(content, 'key') !== key || textAt(content, 'option') !== option) return undefined;
  return secret === undefined ? undefined : new Secret(secret);
}

/**
 * Forgets what is kept for an identity. Where the keyring does not let go of it, it is at least never used again.
 *
 * @returns whether anything was kept
 * @throws CacheError when the keyring cannot be used; the note then stays, so that it can be tried again
 */
export async function forgetSavedSecret(host: Host, identity: SavedSecretIdentity): Promise<boolean> {
  const folder = resolveCacheFolder(host);
  if (folder === undefined || readSavedSecretNote({ path: folder, uid: host.uid }, identity.key) === undefined)
    return false;
  try {
    await openKeyring(host).remove(identity.key);
  } catch (error) {
    writeNote(host, folder, identity, true);
    throw error;
  }
  removeQuietly(join(folder, noteFile(identity.key)));
  return true;
}

/** Everything that is kept, in the order of what is said about it. */
export function listSavedSecrets(host: Host): readonly SavedSecretIdentity[] {
  const folder = resolveCacheFolder(host);
  if (folder === undefined) return [];
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith(SUFFIX));
  } catch {
    return [];
  }
  const notes = names.flatMap(
    (name) => readSavedSecretNote({ path: folder, uid: host.uid }, name.slice(0, -SUFFIX.length)) ?? [],
  );
  return notes
    .map(({ key, option, description }) => ({ key, option, description }))
    .toSorted((one, other) => one.description.localeCompare(other.description, 'en'));
}

const PROBE = 'probe';

/**
 * Sees that the keyring takes and gives up an entry, before anything is done that counts on it.
 *
 * @throws CacheError when it does not
 */
export async function probeKeyring(host: Host): Promise<void> {
  ownFolder(host);
  const keyring = openKeyring(host);
  await keyring.write(PROBE, PROBE);
  await keyring.remove(PROBE);
}
