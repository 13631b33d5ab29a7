/** The settings that the webhook and the issuer have in common. */
import type { ProxyRule } from '../../shared/http/choose-proxy.ts';
import type { Config } from '../../shared/options/config.ts';
import type { ListenAddress } from '../server/listen.ts';
import type { MetricsAccess } from '../server/metrics-access.ts';
import type { NamedFile } from '../sources/read-text-file.ts';
import type { WebhookOptionName } from './options.ts';
import { findNamedFile, readCount, readListen, readSeconds, requireSetting } from './setting-readers.ts';

/** The settings of a server that asks Keystone about tokens, checked. */
export interface SharedSettings {
  readonly listen: ListenAddress;
  readonly certFile: NamedFile;
  readonly keyFile: NamedFile;
  readonly metricsAccess: MetricsAccess;
  readonly shutdownGraceMs: number;
  /** Empty if Keystone is not asked. */
  readonly authUrl: string;
  readonly keystoneCaFile: NamedFile | undefined;
  readonly chooseProxy: ProxyRule;
  readonly keystoneTimeoutMs: number;
  readonly keystoneConcurrency: number;
  /** New tokens per second. */
  readonly keystoneRate: number;
  readonly refusesAccessRules: boolean;
  readonly allowsAnyTokenShape: boolean;
  readonly logLevel: string;
  /** The `User-Agent` of requests to Keystone and to an issuer. */
  readonly userAgent: string;
}

/** Those that each server reads in its own way. */
type OwnSettings = 'authUrl' | 'chooseProxy' | 'keystoneTimeoutMs' | 'metricsAccess' | 'userAgent';

/**
 * Reads the settings that have the same meaning and the same default for both.
 *
 * @throws ConfigError if a setting is missing or invalid
 */
export function readSharedSettings(config: Config<WebhookOptionName>, cwd: string): Omit<SharedSettings, OwnSettings> {
  const findFile = (name: WebhookOptionName): NamedFile | undefined => findNamedFile(config, name, cwd);
  return {
    listen: readListen(config),
    certFile: requireSetting(findFile('tls-cert-file'), 'tls-cert-file', 'TLS_CERT_FILE'),
    keyFile: requireSetting(findFile('tls-private-key-file'), 'tls-private-key-file', 'TLS_PRIVATE_KEY_FILE'),
    shutdownGraceMs: readSeconds(config, 'shutdown-grace', 5, 600),
    keystoneCaFile: findFile('keystone-ca-file'),
    keystoneConcurrency: readCount(config, 'keystone-concurrency', 16),
    keystoneRate: readCount(config, 'keystone-rate', 15),
    refusesAccessRules: config.text('access-rules') !== 'accept',
    allowsAnyTokenShape: config.isOn('any-token-shape'),
    logLevel: config.text('log-level') ?? 'info',
  };
}
