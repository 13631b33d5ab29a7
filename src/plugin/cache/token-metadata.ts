/**
 * Whose a kept token is, in a file of its own beside it: the record itself is read by the hit path, which needs none of
 * this, and a keyring is asked for nothing that a list can do without. No secret is in it.
 */
import { join } from 'node:path';
import { numberAt, objectAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import type { CacheFolder } from './file-store.ts';
import { readPrivateFile, writePrivateFile } from './private-file.ts';
import { serializeWithChecksum, parseWithChecksum } from './checksum.ts';

/** How a Keystone was believed, so that the token can be given back to it in the same way. */
export interface TlsTrust {
  /** Whether its certificate went unchecked. */
  readonly insecure: boolean;
  /** Absolute path of the authorities; undefined means those of the system. */
  readonly ca?: string | undefined;
  /** Absolute paths of what was shown to it. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Of what stood in these files. */
  readonly digest: string;
}

/** Whose a token is and what it is good for. Names are as Keystone gave them: not yet fit for a terminal. */
export interface TokenOwner {
  /** The user's name, or whatever is known of who logged in. */
  readonly user: string;
  /** The user's domain. */
  readonly domain?: string | undefined;
  /** What the token is good for, in words: "project demo (Default)". */
  readonly scope: string;
  /** Canonical name of the way to log in. */
  readonly method: string;
  /** Where the token is from: Keystone's v3 endpoint, or undefined for a provider's own token. */
  readonly keystone?: string | undefined;
  /** It was given to us as it is, so it is not ours to revoke. */
  readonly given?: boolean | undefined;
  readonly trust?: TlsTrust | undefined;
}

/** The same with what the cache knows. */
export interface TokenMetadata extends TokenOwner {
  /** ms since 1970, UTC, by this machine's clock. */
  readonly expiresAt: number;
  /** Whether something is kept that gets the next token. */
  readonly isRenewable: boolean;
  /** A name of `STORES`. */
  readonly storage: string;
}

/** A server may send names of any length, and a file that is too large counts as absent. */
const LONGEST_NAME = 300;

/** Name of the file. */
export const metadataFileName = (key: string): string => `${key}.about`;

const clip = (text: string | undefined): string | undefined => text?.slice(0, LONGEST_NAME);

/**
 * Keeps what is said about the token under `key`.
 *
 * @param until when that token loses its last use, ms since 1970, UTC
 * @throws CacheError
 */
export function writeTokenMetadata({ path }: CacheFolder, key: string, about: TokenMetadata, until: number): void {
  const { user, domain, scope, method, keystone, given, trust, expiresAt, isRenewable, storage } = about;
  const names = { user: clip(user), domain: clip(domain), scope: clip(scope) };
  const flags = { ...(given ? { given: 'yes' } : {}), ...(isRenewable ? { renewable: 'yes' } : {}) };
  const { insecure, ...files } = trust ?? {};
  const trusted = trust === undefined ? {} : { trust: { ...files, ...(insecure ? { insecure: 'yes' } : {}) } };
  const content = { key, ...names, method, keystone, expiresAt, storage, ...flags, ...trusted };
  writePrivateFile(path, metadataFileName(key), serializeWithChecksum(content), until);
}

function readTrust(content: JsonObject | undefined): TlsTrust | undefined {
  const trust = objectAt(content, 'trust');
  const digest = textAt(trust, 'digest');
  if (digest === undefined) return undefined;
  const [ca, cert, key] = [textAt(trust, 'ca'), textAt(trust, 'cert'), textAt(trust, 'key')];
  return { insecure: textAt(trust, 'insecure') === 'yes', ca, cert, key, digest };
}

/** Reading never fails: what cannot be read, or is not what was written, is not there. */
export function readTokenMetadata({ path, uid }: CacheFolder, key: string): TokenMetadata | undefined {
  const content = parseWithChecksum(readPrivateFile(join(path, metadataFileName(key)), uid));
  const text = (name: string): string | undefined => textAt(content, name);
  const [user, scope, method, storage] = [text('user'), text('scope'), text('method'), text('storage')];
  const expiresAt = numberAt(content, 'expiresAt');
  if (text('key') !== key || user === undefined || scope === undefined || method === undefined) return undefined;
  if (storage === undefined || expiresAt === undefined) return undefined;
  return {
    user,
    domain: text('domain'),
    scope,
    method,
    keystone: text('keystone'),
    given: text('given') === 'yes',
    trust: readTrust(content),
    expiresAt,
    isRenewable: text('renewable') === 'yes',
    storage,
  };
}
