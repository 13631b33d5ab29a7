import { ConfigError } from '../../../shared/base/errors.ts';
import type { Host } from '../../../shared/base/host.ts';
import { VERSION } from '../../../shared/base/program.ts';
import { makeProxyRule } from '../../../shared/http/choose-proxy.ts';
import { readAuthUrl } from '../../../shared/keystone/auth-url.ts';
import { makeConfig } from '../../../shared/options/config.ts';
import type { Config } from '../../../shared/options/config.ts';
import { readEnvironment } from '../../../shared/options/environment.ts';
import { mergeLayers } from '../../../shared/options/layer.ts';
import type { Layer } from '../../../shared/options/layer.ts';
import { readAllowedNames } from '../../authn/allowed-names.ts';
import type { NamingRules } from '../../authn/user-info.ts';
import { MAX_CACHE_MS } from '../../issuer/key-schedule.ts';
import type { RotationSettings } from '../../issuer/key-schedule.ts';
import { SIGNING_ALGORITHMS } from '../../issuer/signing-algorithms.ts';
import type { MetricsAccess } from '../../server/metrics-access.ts';
import type { SecretName } from '../../sources/cluster.ts';
import type { NamedFile } from '../../sources/read-text-file.ts';
import { PROGRAM_NAME } from '../options.ts';
import type { WebhookOptionName } from '../options.ts';
import { readSharedSettings } from '../shared-settings.ts';
import type { SharedSettings } from '../shared-settings.ts';
import { findNamedFile, readCount, readFormat, readSeconds, requireSetting } from '../setting-readers.ts';
import type { IssuerOption, IssuerOptionName } from './issuer-options.ts';

export type IssuerConfig = Config<WebhookOptionName | IssuerOptionName>;

/** Where the signing keys are. */
export type KeyPlace =
  { readonly file: NamedFile } | { readonly secret: SecretName; readonly kubeconfig: NamedFile | undefined };

/** The settings of an issuer, checked. */
export interface IssuerSettings extends SharedSettings {
  /** Without a slash at its end. */
  readonly issuer: string;
  readonly clientCaFile: undefined;
  readonly audiencesFile: NamedFile;
  readonly keyPlace: KeyPlace;
  readonly rotation: RotationSettings;
  readonly namingRules: NamingRules;
}

const HOUR_MS = 3_600_000;
const DEFAULT_ROTATION_HOURS = 720;
const DEFAULT_MAX_AGE_SECONDS = 300;
const MAX_MAX_AGE_SECONDS = MAX_CACHE_MS / 1_000;
const DEFAULT_TIMEOUT_SECONDS = 10;
const MAX_TIMEOUT_SECONDS = 30;

/** Combines flags and variables; a flag takes precedence. */
export function resolveIssuerConfig(host: Host, flags: Layer<string>, options: readonly IssuerOption[]): IssuerConfig {
  return makeConfig(mergeLayers([flags as Layer<IssuerOption['name']>, readEnvironment(host.env, options)], options));
}

function readIssuerUrl(config: IssuerConfig): string {
  const text = requireSetting(config.text('issuer-url'), 'issuer-url', 'KEYSTONE_ISSUER_URL');
  const url = URL.parse(text) ?? undefined;
  // Verifiers compare it letter by letter, so there must be one way to write it.
  const isClean =
    url?.protocol === 'https:' && (url.href === text || url.href === `${text}/`) && !/[?#@]|\/$/.test(text);
  if (isClean) return text;
  throw new ConfigError(`${config.origin('issuer-url')} must be an https:// URL in its usual form`, {
    hint:
      'write the host in lower case, without user, default port, query, fragment and slash at the end, such as ' +
      'https://tokens.example.com or https://example.com/tokens',
  });
}

const SECRET_NAME = /^([a-z\d](?:[a-z\d-]{0,61}[a-z\d])?)\/([a-z\d](?:[a-z\d.-]{0,251}[a-z\d])?)$/;

/**
 * Reads where the signing keys are.
 *
 * @throws ConfigError unless exactly one place is set
 */
export function readKeyPlace(config: IssuerConfig, cwd: string): KeyPlace {
  const file = findNamedFile(config, 'signing-keys-file', cwd);
  const text = config.text('signing-keys-secret');
  if ((file === undefined) === (text === undefined)) {
    throw new ConfigError('either --signing-keys-file or --signing-keys-secret must be set', {
      hint: 'set one of them (KEYSTONE_SIGNING_KEYS_FILE or KEYSTONE_SIGNING_KEYS_SECRET)',
    });
  }
  if (file !== undefined) return { file };
  const [, namespace = '', name = ''] = SECRET_NAME.exec(text ?? '') ?? [];
  if (name === '') {
    throw new ConfigError(`${config.origin('signing-keys-secret')} must be NAMESPACE/NAME, not "${text ?? ''}"`);
  }
  return { secret: { namespace, name }, kubeconfig: findNamedFile(config, 'kubeconfig', cwd) };
}

/** Reads the settings of the rotation. */
export function readRotation(config: IssuerConfig): RotationSettings {
  return {
    algorithm: SIGNING_ALGORITHMS.find((name) => name === config.text('signing-alg')) ?? SIGNING_ALGORITHMS[0],
    rotationMs: readCount(config, 'rotation-hours', DEFAULT_ROTATION_HOURS) * HOUR_MS,
    maxAgeMs: readSeconds(config, 'jwks-max-age', DEFAULT_MAX_AGE_SECONDS, MAX_MAX_AGE_SECONDS),
  };
}

function readMetricsAccess(config: IssuerConfig): MetricsAccess {
  if (config.text('metrics') === 'clients') {
    throw new ConfigError(
      `${config.origin('metrics')} must be everyone or off, because the issuer asks for no client certificate`,
    );
  }
  return config.text('metrics') === 'off' ? 'off' : 'everyone';
}

/**
 * Reads the settings of an issuer from flags and variables.
 *
 * @throws ConfigError if a setting is missing or invalid
 */
export function readIssuerSettings(host: Host, config: IssuerConfig): IssuerSettings {
  const authUrl = requireSetting(readAuthUrl(config), 'keystone-url', 'OS_AUTH_URL');
  const chooseProxy = makeProxyRule(host);
  // A proxy that cannot be used should end the issuer now, not each exchange.
  chooseProxy(new URL(authUrl));
  return {
    issuer: readIssuerUrl(config),
    ...readSharedSettings(config, host.cwd),
    clientCaFile: undefined,
    metricsAccess: readMetricsAccess(config),
    audiencesFile: requireSetting(
      findNamedFile(config, 'audiences-file', host.cwd),
      'audiences-file',
      'KEYSTONE_AUDIENCES_FILE',
    ),
    keyPlace: readKeyPlace(config, host.cwd),
    rotation: readRotation(config),
    authUrl,
    chooseProxy,
    keystoneTimeoutMs: readSeconds(config, 'keystone-timeout', DEFAULT_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS),
    namingRules: {
      usernameFormat: readFormat(config, 'username-format', 'niDd'),
      groupFormat: readFormat(config, 'group-format', 'nid'),
      allowedNames: readAllowedNames(config),
      roleMappings: [],
      allowsMappedSystemNames: false,
    },
    userAgent: `${PROGRAM_NAME}/${VERSION}`,
  };
}
