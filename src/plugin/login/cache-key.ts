import { createHash, randomUUID } from 'node:crypto';
import { digestFields } from '../cache/sha256.ts';
import type { DigestField } from '../cache/sha256.ts';
import type { NamedAlias } from '../cache/token-cache.ts';
import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import type { ResolvedConfig } from '../../shared/options/resolve-config.ts';
import type { TlsSettings } from '../../shared/http/tls-settings.ts';
import { PluginError } from '../../shared/base/errors.ts';
import { computeFingerprint } from '../fast-path/fingerprint.ts';
import type { Host } from '../../shared/base/host.ts';
import type { AuthMethod } from '../auth-methods/auth-method.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import type { LoginContext } from './login-context.ts';

const KEY_PURPOSE = 'client-keystone-auth key 1';

/** An authorities file may be large; here, off the hit path, the fast hash is at hand. */
function digest(text: string | undefined): string | undefined {
  return text === undefined ? undefined : createHash('sha256').update(text).digest('hex');
}

/** How Keystone is reached and believed, as fields of a key. */
export function listTlsFields({ insecure, ca, cert }: TlsSettings): DigestField[] {
  return [String(insecure), digest(ca), digest(cert)];
}

/** The cache key: everything that decides whose token it is and what it is good for, and nothing that can be guessed. */
export function computeCacheKey(config: ResolvedConfig, method: AuthMethod, tls: TlsSettings, host: Host): string {
  return digestFields(KEY_PURPOSE, [
    host.uid === undefined ? undefined : String(host.uid),
    readAuthUrl(config),
    ...listTlsFields(tls),
    method.name,
    ...method.identify(config, host),
  ]);
}

/**
 * Whether the settings still stand for what they stood for when the run began. A file or a ticket may have been replaced by
 * another's meanwhile; then nobody knows which of them the token is for.
 */
export function isKeyUnchanged({ config, method, tls, host, cacheKey }: LoginContext): boolean {
  try {
    return computeCacheKey(config, method, tls, host) === cacheKey;
  } catch (error) {
    if (error instanceof PluginError) return false;
    throw error;
  }
}

/** What would have to be corrected after a refusal. */
export function listCredentialFields({
  config,
  method,
  fileStamps,
}: Pick<LoginContext, 'config' | 'method' | 'fileStamps'>): DigestField[] {
  const secrets = OPTIONS.filter((option) => option.secret).map((option) => config.secret(option.name)?.reveal());
  if (method.listIdentityFiles === undefined) return secrets;
  // A renewed file or ticket is another credential; one that cannot be watched may be another every time.
  return [...secrets, ...(fileStamps?.map(({ stamp }) => stamp) ?? [randomUUID()])];
}

/** Aliases that lead from these settings to `key`. */
export function makeAliases(
  { config, apiVersion, fileStamps, tls, execInfo, host, cache, cacheKey: first, onFastPath }: LoginContext,
  key: string,
): NamedAlias[] {
  const plain = { key, apiVersion: undefined, files: [] };
  const partial: NamedAlias[] = key === first ? [] : [[first, plain]];
  // The hit path says nothing, so a run that has something to say must not go there.
  const silent = onFastPath && !tls.insecure && !config.has('verbose') && !config.isOn('force-refresh');
  if (!silent || !cache.onFastPath || fileStamps === undefined) return partial;
  const alias = { key, apiVersion, files: fileStamps };
  return [...partial, [computeFingerprint(host, execInfo?.clusterJson ?? ''), alias]];
}
