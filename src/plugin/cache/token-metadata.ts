/**
 * Token metadata, in a file next to the token record. The fast path reads the record and needs no metadata, and a list
 * of tokens needs no request to the keyring. The file holds no secret.
 */
import { join } from 'node:path';
import { numberAt, objectAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import type { CacheFolder } from './cache-folder.ts';
import { serializeWithChecksum, parseWithChecksum } from './checksum.ts';
import { metadataFileName } from './file-names.ts';
import { readPrivateFile, writePrivateFile } from './private-file.ts';

/** How Keystone was trusted at login, so that the token can be revoked with the same trust. */
export interface TlsTrust {
  /** Whether its certificate was not checked. */
  readonly insecure: boolean;
  /** Absolute path of the CA file; undefined means the certificate authorities of the system. */
  readonly ca?: string | undefined;
  /** Absolute paths of the client certificate and its key. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Digest of the contents of these files. */
  readonly digest: string;
}

/**
 * Who a token belongs to and what it is valid for. Names are as Keystone sent them: not safe to print on a terminal.
 */
export interface TokenOwner {
  /** The user's name, or whatever else identifies the user. */
  readonly user: string;
  /** The user's domain. */
  readonly domain?: string | undefined;
  /** The scope of the token in words: "project demo (Default)". */
  readonly scope: string;
  /** Name of the auth method. */
  readonly method: string;
  /** Keystone's v3 endpoint that issued the token; undefined for a token of an identity provider. */
  readonly keystone?: string | undefined;
  /** Whether the user supplied the token itself, so that the plugin must not revoke it. */
  readonly isExistingToken?: boolean | undefined;
  readonly trust?: TlsTrust | undefined;
  /** Set for a JWT that an issuer exchanged a Keystone token for. */
  readonly exchange?: ExchangeOrigin | undefined;
}

/** Where a JWT comes from, and which cluster it is for. */
export interface ExchangeOrigin {
  /** The URL of the issuer. */
  readonly issuer: string;
  readonly audience: string;
  /** The cache key of the Keystone token. */
  readonly keystoneKey: string;
}

/** A token owner, and what the cache knows about the token. */
export interface TokenMetadata extends TokenOwner {
  /** ms since 1970, UTC, by this machine's clock. */
  readonly expiresAt: number;
  /** Whether the record holds a refresh token. */
  readonly isRenewable: boolean;
  /** The name of the token's store. */
  readonly storage: string;
}

/** A server can send names of any length, but a file that is too large counts as absent. */
const MAX_NAME_CHARACTERS = 300;

const clip = (text: string | undefined): string | undefined => text?.slice(0, MAX_NAME_CHARACTERS);

/**
 * Writes the metadata of the token under `key`.
 *
 * @param retentionEnd when the record of the token becomes useless, ms since 1970, UTC
 * @throws CacheError
 */
export function writeTokenMetadata(
  { path }: CacheFolder,
  key: string,
  metadata: TokenMetadata,
  retentionEnd: number,
): void {
  const { user, domain, scope, method, keystone, isExistingToken, trust, exchange } = metadata;
  const { expiresAt, isRenewable, storage } = metadata;
  const names = { user: clip(user), domain: clip(domain), scope: clip(scope) };
  const flags = { ...(isExistingToken ? { given: 'yes' } : {}), ...(isRenewable ? { renewable: 'yes' } : {}) };
  const { insecure, ...files } = trust ?? {};
  const tlsTrust = trust === undefined ? {} : { trust: { ...files, ...(insecure ? { insecure: 'yes' } : {}) } };
  const content = { key, ...names, method, keystone, expiresAt, storage, ...flags, ...tlsTrust, exchange };
  writePrivateFile(path, metadataFileName(key), serializeWithChecksum(content), retentionEnd, { mayBeLost: true });
}

function parseTlsTrust(content: JsonObject | undefined): TlsTrust | undefined {
  const trust = objectAt(content, 'trust');
  const digest = textAt(trust, 'digest');
  if (digest === undefined) return undefined;
  const [ca, cert, key] = [textAt(trust, 'ca'), textAt(trust, 'cert'), textAt(trust, 'key')];
  return { insecure: textAt(trust, 'insecure') === 'yes', ca, cert, key, digest };
}

function parseExchange(content: JsonObject | undefined): ExchangeOrigin | undefined {
  const exchange = objectAt(content, 'exchange');
  const [issuer, audience] = [textAt(exchange, 'issuer'), textAt(exchange, 'audience')];
  const keystoneKey = textAt(exchange, 'keystoneKey');
  if (issuer === undefined || audience === undefined || keystoneKey === undefined) return undefined;
  return { issuer, audience, keystoneKey };
}

/** Reads token metadata. Never throws: a file that is unreadable or damaged counts as absent. */
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
    isExistingToken: text('given') === 'yes',
    trust: parseTlsTrust(content),
    exchange: parseExchange(content),
    expiresAt,
    isRenewable: text('renewable') === 'yes',
    storage,
  };
}
