import type { Host } from '../../shared/base/host.ts';
import { readTlsSettings } from '../../shared/http/tls-settings.ts';
import type { TlsSettings } from '../../shared/http/tls-settings.ts';
import { readTrustedOrigins, rejectWeakerTls, restrictTls } from '../../shared/http/trusted-origins.ts';
import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';

/**
 * Reads the TLS settings for Keystone, which a list of trusted servers restricts.
 *
 * @throws ConfigError if a file cannot be used, or a setting would weaken the checks of a trusted server
 */
export function readKeystoneTls(config: ResolvedConfig, host: Host): TlsSettings {
  const authUrl = readAuthUrl(config);
  const trusted = readTrustedOrigins(host);
  const isPlaintext = authUrl?.startsWith('http:') === true;
  if (trusted === undefined) return readTlsSettings(config, host, { ambient: host.env, isPlaintext });
  // With a list, variables decide nothing about the certificates of its servers.
  const tls = readTlsSettings(config, host, { isPlaintext });
  const origin = authUrl === undefined ? '' : new URL(authUrl).origin;
  rejectWeakerTls(tls, config, origin, trusted);
  return restrictTls(tls, origin, trusted);
}
