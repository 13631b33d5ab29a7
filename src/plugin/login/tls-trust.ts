/** How Keystone was believed when a token came, for the day on which the token is given back. */
import { digestFields } from '../cache/sha256.ts';
import type { TlsTrust } from '../cache/token-metadata.ts';
import type { Setting } from '../../shared/options/layer.ts';
import { resolveConfig } from '../../shared/options/resolve-config.ts';
import { readTlsSettings } from '../../shared/http/tls-settings.ts';
import type { TlsSettings } from '../../shared/http/tls-settings.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import { listTlsFields } from './cache-key.ts';

const PURPOSE = 'client-keystone-auth trust 1';

const digestOf = (tls: TlsSettings): string => digestFields(PURPOSE, listTlsFields(tls));

/** What is written down of a run's trust: where its files are, and a digest of what was in them. */
export function describeTlsTrust(tls: TlsSettings): TlsTrust {
  const { insecure, paths } = tls;
  return { insecure, ...paths, digest: digestOf(tls) };
}

/** The same trust again; undefined where it was none, or its files are not what they were. */
export function restoreTlsSettings(trust: TlsTrust, host: Host): TlsSettings | undefined {
  if (trust.insecure) return undefined;
  const files = { cacert: trust.ca, cert: trust.cert, key: trust.key };
  const layer = new Map<string, Setting>();
  for (const [name, path] of Object.entries(files)) {
    if (path !== undefined) layer.set(name, { value: path, origin: path });
  }
  try {
    const tls = readTlsSettings(resolveConfig([layer], OPTIONS), host);
    return digestOf(tls) === trust.digest ? tls : undefined;
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}
