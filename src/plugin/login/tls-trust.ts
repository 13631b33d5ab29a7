/** Records how the Keystone of a token was trusted, so that the token can be revoked under the same conditions. */
import { ConfigError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { readTlsSettings } from '../../shared/http/tls-settings.ts';
import type { TlsOptionName, TlsSettings } from '../../shared/http/tls-settings.ts';
import type { Setting } from '../../shared/options/layer.ts';
import { makeConfig } from '../../shared/options/config.ts';
import { digestFields } from '../cache/sha256.ts';
import type { TlsTrust } from '../cache/token-metadata.ts';
import { listTlsFields } from './cache-key.ts';

const PURPOSE = 'client-keystone-auth trust 2';

const digestOf = (tls: TlsSettings): string => digestFields(PURPOSE, listTlsFields(tls));

/** Describes the trust of a run: the paths of its files, and a digest of their content. */
export function describeTlsTrust(tls: TlsSettings): TlsTrust {
  const { insecure, paths } = tls;
  return { insecure, ...paths, digest: digestOf(tls) };
}

/** Restores the same trust; undefined if the certificate was not checked or the files have changed. */
export function restoreTlsSettings(trust: TlsTrust, host: Host): TlsSettings | undefined {
  if (trust.insecure) return undefined;
  const files = [
    ['cacert', trust.ca],
    ['cert', trust.cert],
    ['key', trust.key],
  ] as const;
  const layer = new Map<TlsOptionName, Setting>();
  for (const [name, path] of files) {
    if (path !== undefined) layer.set(name, { value: path, origin: path });
  }
  try {
    const tls = readTlsSettings(makeConfig(layer), host);
    return digestOf(tls) === trust.digest ? tls : undefined;
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}
