import { resolve } from 'node:path';
import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import { readEnvironment } from '../../shared/options/environment.ts';
import { mergeLayers } from '../../shared/options/layer.ts';
import type { Layer } from '../../shared/options/layer.ts';
import { readProxyEnv } from '../../shared/http/proxy.ts';
import { makeConfig } from '../../shared/options/config.ts';
import type { Config } from '../../shared/options/config.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { readOidcSettings } from '../authn/oidc-settings.ts';
import type { OidcSettings } from '../authn/oidc-authenticator.ts';
import { WEBHOOK_OPTIONS } from './options.ts';
import type { WebhookOptionName } from './options.ts';
import { COMPATIBILITIES } from '../authz/policy/finding.ts';
import type { Compatibilities, Compatibility } from '../authz/policy/finding.ts';

/** Everything a running webhook needs to know, read and checked. Files are absolute paths. */
export interface WebhookSettings {
  readonly listen: { readonly host: string; readonly port: number };
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile: string | undefined;
  readonly shutdownGraceMs: number;
  /** In the order in which they are asked; never empty. */
  readonly authenticatorNames: readonly AuthenticatorName[];
  /** Empty where Keystone is not among them. */
  readonly authUrl: string;
  readonly keystoneCaFile: string | undefined;
  readonly proxy: Readonly<Record<string, string | undefined>>;
  readonly keystoneTimeoutMs: number;
  readonly keystoneConcurrency: number;
  readonly keystoneRate: number;
  readonly usernameFormat: string;
  readonly groupFormat: string;
  readonly cacheTtlMs: number;
  readonly oidc: OidcSettings | undefined;
  readonly refusesAccessRules: boolean;
  readonly allowsAnyTokenShape: boolean;
  readonly policyFile: string | undefined;
  readonly policyConfigMapName: string | undefined;
  readonly deniesUnmatched: boolean;
  readonly compatibilities: Compatibilities;
  readonly syncFile: string | undefined;
  readonly syncConfigMapName: string | undefined;
  readonly kubeconfigFile: string | undefined;
  readonly logLevel: string;
}

/** Whose tokens can be accepted. */
const AUTHENTICATORS = ['keystone', 'oidc'] as const;

export type AuthenticatorName = (typeof AUTHENTICATORS)[number];

const DEFAULT_LISTEN = '0.0.0.0:8443';
const LONGEST_GOOD_SECONDS = 30;

/** Leaves kube-apiserver its answer within five seconds. */
const LONGEST_TIMEOUT_SECONDS = 4;

function readListen(config: WebhookConfig): { host: string; port: number } {
  const text = config.text('listen') ?? DEFAULT_LISTEN;
  const [, host = '', port = ''] = /^(.*):(\d{1,5})$/.exec(text) ?? [];
  if (port === '' || Number(port) > 65_535) {
    throw new ConfigError(`--listen must be an address and a port, not "${text}"`, { hint: `write ${DEFAULT_LISTEN}` });
  }
  // As in Go, no address means all of them.
  return { host: host === '' ? '::' : host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}

function readCount(config: WebhookConfig, name: WebhookOptionName, preset: number): number {
  const text = config.text(name);
  if (text === undefined) return preset;
  if (/^\d{1,4}$/.test(text) && Number(text) > 0) return Number(text);
  throw new ConfigError(`--${name} must be a number from 1 to 9999, not "${text}"`);
}

function readSeconds(config: WebhookConfig, name: WebhookOptionName, preset: number, most: number): number {
  const seconds = Number(config.text(name) ?? preset);
  if (seconds > most) throw new ConfigError(`--${name} must be ${most} at most, not ${seconds}`);
  return seconds * 1000;
}

function readFormat(config: WebhookConfig, name: WebhookOptionName, letters: string): string {
  const format = config.text(name) ?? '%n';
  const strange = [...format.matchAll(/%(.?)/g)].find(([, letter = '']) => letter === '' || !letters.includes(letter));
  // Without either of these, all users would be one.
  if (strange !== undefined || !/%[ni]/.test(format)) {
    const known = Array.from(letters, (letter) => `%${letter}`).join(', ');
    throw new ConfigError(`${config.origin(name)} must hold %n or %i, and of % only ${known}`, { hint: 'see --help' });
  }
  return format;
}

function readAuthenticators(config: WebhookConfig): readonly AuthenticatorName[] {
  const hasIssuer = config.has('oidc-issuer-url');
  const text = config.text('authenticators');
  if (text === undefined) return hasIssuer ? AUTHENTICATORS : ['keystone'];
  const names = text.split(',').map((name) => name.trim());
  const known = AUTHENTICATORS.filter((name) => names.includes(name));
  const origin = config.origin('authenticators');
  if (known.length !== names.length) {
    throw new ConfigError(`${origin} must name each of ${AUTHENTICATORS.join(' and ')} once at most, not "${text}"`);
  }
  if (known.includes('oidc') && !hasIssuer) {
    throw new ConfigError(`${origin} names oidc, but no issuer is set`, { hint: 'set --oidc-issuer-url' });
  }
  return known.toSorted((one, other) => names.indexOf(one) - names.indexOf(other));
}

const isCompatibility = (name: string): name is Compatibility => Object.hasOwn(COMPATIBILITIES, name);

/**
 * Reads names with commas between them.
 *
 * @throws ConfigError for one that is unknown
 */
export function readCompatibilities(config: WebhookConfig): Compatibilities {
  const names = (config.text('compatibility') ?? '').split(',').map((name) => name.trim());
  const wanted = names.filter((name) => name !== '');
  const unknown = wanted.find((name) => !isCompatibility(name));
  if (unknown === undefined) return new Set(wanted.filter(isCompatibility));
  throw new ConfigError(`${config.origin('compatibility')} knows no "${unknown}"`, {
    hint: `it knows ${Object.keys(COMPATIBILITIES).join(', ')}`,
  });
}

/** The webhook's settings by option. */
export type WebhookConfig = Config<WebhookOptionName>;

/** Flags over variables. */
export function resolveWebhookConfig(host: Host, flags: Layer<string>): WebhookConfig {
  return makeConfig(mergeLayers([flags, readEnvironment(host.env, WEBHOOK_OPTIONS)], WEBHOOK_OPTIONS));
}

function require(config: WebhookConfig, name: WebhookOptionName, variable: string): string {
  const text = config.text(name);
  if (text !== undefined) return text;
  throw new ConfigError(`--${name} is missing`, { hint: `set --${name} or ${variable}` });
}

/**
 * Reads what the server is told.
 *
 * @throws ConfigError
 */
export function readWebhookSettings(host: Host, flags: Layer<WebhookOptionName>): WebhookSettings {
  const config = resolveWebhookConfig(host, flags);
  const path = (file: string): string => resolve(host.cwd, file);
  const file = (name: WebhookOptionName): string | undefined => {
    const text = config.text(name);
    return text === undefined ? undefined : path(text);
  };
  const authenticatorNames = readAuthenticators(config);
  if (authenticatorNames.includes('keystone')) require(config, 'keystone-url', 'OS_AUTH_URL');
  return {
    listen: readListen(config),
    certFile: path(require(config, 'tls-cert-file', 'TLS_CERT_FILE')),
    keyFile: path(require(config, 'tls-private-key-file', 'TLS_PRIVATE_KEY_FILE')),
    clientCaFile: file('client-ca-file'),
    shutdownGraceMs: readSeconds(config, 'shutdown-grace', 1, 600),
    authenticatorNames,
    authUrl: readAuthUrl(config) ?? '',
    keystoneCaFile: file('keystone-ca-file'),
    proxy: readProxyEnv(host.env),
    keystoneTimeoutMs: readSeconds(config, 'keystone-timeout', 3, LONGEST_TIMEOUT_SECONDS),
    keystoneConcurrency: readCount(config, 'keystone-concurrency', 16),
    keystoneRate: readCount(config, 'keystone-rate', 15),
    usernameFormat: readFormat(config, 'username-format', 'niDd'),
    groupFormat: readFormat(config, 'group-format', 'nid'),
    cacheTtlMs: readSeconds(config, 'cache-ttl', LONGEST_GOOD_SECONDS, LONGEST_GOOD_SECONDS),
    oidc: authenticatorNames.includes('oidc') ? readOidcSettings(config, file) : undefined,
    refusesAccessRules: config.text('access-rules') !== 'accept',
    allowsAnyTokenShape: config.isOn('any-token-shape'),
    policyFile: file('keystone-policy-file'),
    policyConfigMapName: config.text('policy-configmap-name'),
    deniesUnmatched: config.isOn('deny-unmatched'),
    compatibilities: readCompatibilities(config),
    syncFile: file('sync-config-file'),
    syncConfigMapName: config.text('sync-configmap-name'),
    kubeconfigFile: file('kubeconfig'),
    logLevel: config.text('log-level') ?? 'info',
  };
}
