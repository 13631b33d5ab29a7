import { createHash } from 'node:crypto';
import { PluginError } from '../../shared/base/errors.ts';
import { isReliableStamp } from '../../shared/base/file-stamp.ts';
import type { Host } from '../../shared/base/host.ts';
import type { TlsSettings } from '../../shared/http/tls-settings.ts';
import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import type { AuthMethod } from '../auth-methods/auth-method.ts';
import { digestFields } from '../cache/sha256.ts';
import type { DigestField } from '../cache/sha256.ts';
import type { NamedAlias } from '../cache/token-cache.ts';
import { computeFingerprint } from '../fast-path/fingerprint.ts';
import type { LoginContext } from './login-context.ts';
import type { TokenExchange } from './token-exchange.ts';

const KEY_PURPOSE = 'client-keystone-auth key 2';
const EXCHANGE_PURPOSE = 'client-keystone-auth exchange 1';

/** A CA file may be large, and the slow path can afford to load Node's native hash. */
function digest(text: string | undefined): string | undefined {
  return text === undefined ? undefined : createHash('sha256').update(text).digest('hex');
}

/** Lists the TLS settings as fields of a key. */
export function listTlsFields({ insecure, ca, systemAuthorities, cert }: TlsSettings): DigestField[] {
  return [String(insecure), digest(ca), digest(cert), ...systemAuthorities];
}

/** Computes the cache key from everything that decides the owner and the scope of a token, except guessable secrets. */
export function computeCacheKey(config: ResolvedConfig, method: AuthMethod, tls: TlsSettings, host: Host): string {
  return digestFields(KEY_PURPOSE, [
    host.uid === undefined ? undefined : String(host.uid),
    readAuthUrl(config),
    ...listTlsFields(tls),
    String(config.isOn('allow-http')),
    method.name,
    ...method.identify(config, host),
  ]);
}

/**
 * Computes the key of a JWT from the key of the Keystone token that it is made of.
 *
 * @param keystoneKey see {@link computeCacheKey}
 */
export function computeExchangeKey(keystoneKey: string, { issuer, audience, tls }: TokenExchange): string {
  return digestFields(EXCHANGE_PURPOSE, [keystoneKey, issuer.url, audience, ...listTlsFields(tls)]);
}

/**
 * Whether the settings still lead to the key that they led to at the start of the run. If a token file or a ticket was
 * replaced in the meantime, it is unknown which of the two identities the new token belongs to.
 */
export function isKeyUnchanged({ config, method, tls, host, cacheKey }: LoginContext): boolean {
  try {
    return computeCacheKey(config, method, tls, host) === cacheKey;
  } catch (error) {
    if (error instanceof PluginError) return false;
    throw error;
  }
}

const makePartialAlias = (name: string, key: string): NamedAlias[] =>
  name === key ? [] : [[name, { key, apiVersion: undefined, files: [] }]];

/** Makes the alias with which the fast path finds the token under `key`, if it may print it. */
function makeFingerprintAlias(
  { config, apiVersion, fileStamps, startedAt, tls, execInfo, host, cache, onFastPath }: LoginContext,
  key: string,
): NamedAlias[] {
  // The fast path prints no messages, so a run with messages must not take it.
  const isSilent = !tls.insecure && !config.has('verbose') && !config.isOn('force-refresh');
  if (!onFastPath || !isSilent || !cache.onFastPath || fileStamps === undefined) return [];
  // Otherwise a file could change without a change of its stamp. A run a moment later writes the alias.
  if (!fileStamps.every((file) => isReliableStamp(file, startedAt))) return [];
  const fingerprint = computeFingerprint(host, execInfo?.clusterJson ?? '');
  return fingerprint === undefined ? [] : [[fingerprint, { key, apiVersion, files: fileStamps }]];
}

/** Makes the aliases that lead from these settings to the Keystone token under `key`. */
export function makeAliases(login: LoginContext, key: string): NamedAlias[] {
  const partial = makePartialAlias(login.cacheKey, key);
  // With an exchange, the fast path must never find the Keystone token.
  return login.exchange === undefined ? [...partial, ...makeFingerprintAlias(login, key)] : partial;
}

/** Makes the aliases that lead from these settings to the JWT under `key`. */
export function makeExchangeAliases(login: LoginContext, exchange: TokenExchange, key: string): NamedAlias[] {
  return [...makePartialAlias(computeExchangeKey(login.cacheKey, exchange), key), ...makeFingerprintAlias(login, key)];
}
