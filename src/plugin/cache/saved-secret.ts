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
import type { Folder } from './file-store.ts';
import { cacheFolder, ensureFolder } from './cache-folder.ts';
import { openKeyring } from './keyring.ts';
import { readPrivate, removeQuietly, writePrivate } from './private-file.ts';
import { seal, unseal } from './checksum.ts';

/** Whose secret it is. */
export interface KeptIdentity {
  /** A digest of Keystone, how it is reached, and the identity. */
  readonly key: string;
  /** Name of the option that the secret is for. */
  readonly option: string;
  /** For people: "the password of alice (domain Default) at https://keystone.example.com". */
  readonly about: string;
}

interface Note extends KeptIdentity {
  /** Keystone has refused it, and the keyring would not let go of it. */
  readonly refused: boolean;
}

const SUFFIX = '.kept';

/** A note has no end of its own, and its folder takes the time of modification for the end. */
const FOREVER_MS = 10 * 365 * 24 * 3_600_000;

const noteFile = (key: string): string => `${key}${SUFFIX}`;

/** Reading never fails: what cannot be read, or is not what was written, is not there. */
export function readNote({ path, uid }: Folder, key: string): Note | undefined {
  const content = unseal(readPrivate(join(path, noteFile(key)), uid));
  const option = textAt(content, 'option');
  const about = textAt(content, 'about');
  if (textAt(content, 'key') !== key || option === undefined || about === undefined) return undefined;
  return { key, option, about, refused: textAt(content, 'refused') !== undefined };
}

function writeNote(host: Host, folder: string, { key, option, about }: KeptIdentity, refused: boolean): void {
  const content = seal({ key, option, about, ...(refused ? { refused: 'yes' } : {}) });
  writePrivate(folder, noteFile(key), content, host.now() + FOREVER_MS);
}

/** @throws CacheError where the user has no folder, or one that others can write */
function ownFolder(host: Host): string {
  const folder = cacheFolder(host);
  if (folder === undefined) throw new CacheError('there is no home folder to note in what the keyring holds');
  ensureFolder(folder, host.uid);
  return folder;
}

/**
 * Keeps a secret, or nothing at all.
 *
 * @throws CacheError
 */
export async function keepSecret(host: Host, identity: KeptIdentity, secret: Secret): Promise<void> {
  const folder = ownFolder(host);
  const keyring = openKeyring(host);
  const { key, option } = identity;
  const sealed = seal({ key, option, secret: secret.reveal() });
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
export function isKept(host: Host, { key, option }: KeptIdentity): boolean {
  const folder = cacheFolder(host);
  const note = folder === undefined ? undefined : readNote({ path: folder, uid: host.uid }, key);
  return note !== undefined && !note.refused && note.option === option;
}

/**
 * Gives the secret that is kept for exactly this identity; the keyring is not asked where none is.
 *
 * @throws CacheError when the keyring cannot be used
 */
export async function recallSecret(host: Host, identity: KeptIdentity): Promise<Secret | undefined> {
  const { key, option } = identity;
  if (!isKept(host, identity)) return undefined;
  const content = unseal(await openKeyring(host).read(key));
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
export async function forgetKept(host: Host, identity: KeptIdentity): Promise<boolean> {
  const folder = cacheFolder(host);
  if (folder === undefined || readNote({ path: folder, uid: host.uid }, identity.key) === undefined) return false;
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
export function listKept(host: Host): readonly KeptIdentity[] {
  const folder = cacheFolder(host);
  if (folder === undefined) return [];
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith(SUFFIX));
  } catch {
    return [];
  }
  const notes = names.flatMap((name) => readNote({ path: folder, uid: host.uid }, name.slice(0, -SUFFIX.length)) ?? []);
  return notes
    .map(({ key, option, about }) => ({ key, option, about }))
    .toSorted((one, other) => one.about.localeCompare(other.about, 'en'));
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
