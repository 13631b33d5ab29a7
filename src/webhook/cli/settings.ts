import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import { splitAtCommas, parseCommaList } from '../../shared/options/comma-list.ts';
import { readEnvironment } from '../../shared/options/environment.ts';
import { mergeLayers } from '../../shared/options/layer.ts';
import type { Layer } from '../../shared/options/layer.ts';
import { makeProxyRule } from '../../shared/http/choose-proxy.ts';
import { makeConfig } from '../../shared/options/config.ts';
import type { Config } from '../../shared/options/config.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { VERSION } from '../../shared/base/program.ts';
import { readAllowedNames } from '../authn/allowed-names.ts';
import type { AllowedNames } from '../authn/kubernetes-name.ts';
import { readOidcSettings } from '../authn/oidc-settings.ts';
import type { OidcSettings } from '../authn/oidc-settings.ts';
import { COMPATIBILITIES } from '../authz/policy/compatibility.ts';
import type { Compatibilities, Compatibility } from '../authz/policy/compatibility.ts';
import type { NamedFile } from '../sources/read-text-file.ts';
import { METRICS_ACCESS } from '../server/metrics-access.ts';
import { PROGRAM_NAME, WEBHOOK_OPTIONS } from './options.ts';
import type { WebhookOptionName } from './options.ts';
import { readSharedSettings } from './shared-settings.ts';
import type { SharedSettings } from './shared-settings.ts';
import { findNamedFile, readFormat, readSeconds, requireSetting } from './setting-readers.ts';

/** The settings of a webhook, checked. */
export interface WebhookSettings extends SharedSettings {
  readonly clientCaFile: NamedFile | undefined;
  /** Common names of client certificates; empty if every certificate of the CA is accepted. */
  readonly allowedClientNames: readonly string[];
  /** How long a review waits for an answer about its token. */
  readonly reviewTimeoutMs: number;
  /** In the order in which they are tried; never empty. */
  readonly authenticatorNames: readonly AuthenticatorName[];
  readonly usernameFormat: string;
  readonly groupFormat: string;
  readonly allowedNames: AllowedNames;
  readonly cacheTtlMs: number;
  readonly oidc: OidcSettings | undefined;
  readonly policyFile: NamedFile | undefined;
  readonly policyConfigMapName: string | undefined;
  readonly deniesUnmatched: boolean;
  readonly compatibilities: Compatibilities;
  readonly syncFile: NamedFile | undefined;
  readonly syncConfigMapName: string | undefined;
  readonly kubeconfigFile: NamedFile | undefined;
}

const AUTHENTICATORS = ['keystone', 'oidc'] as const;

export type AuthenticatorName = (typeof AUTHENTICATORS)[number];

const MAX_CACHE_SECONDS = 30;

/** How long kube-apiserver waits for a review. */
const MAX_TIMEOUT_SECONDS = 30;

/** The time that an answer needs to get to kube-apiserver, in ms. */
const ANSWER_MS = 200;

/**
 * Reads which clients may send reviews and read the metrics.
 *
 * @throws ConfigError if they are restricted by certificates, but no CA is set
 */
function readClientAccess(config: WebhookConfig): Pick<WebhookSettings, 'allowedClientNames' | 'metricsAccess'> {
  const names = parseCommaList(config.text('allowed-client-names'));
  const metricsAccess = METRICS_ACCESS.find((access) => access === config.text('metrics')) ?? METRICS_ACCESS[0];
  const needsCa =
    metricsAccess === 'clients' ? 'metrics' : config.has('allowed-client-names') ? 'allowed-client-names' : '';
  if (needsCa !== '' && !config.has('client-ca-file')) {
    throw new ConfigError(`${config.origin(needsCa)} needs the CA of the client certificates`, {
      hint: 'set --client-ca-file',
    });
  }
  if (config.has('allowed-client-names') && names.length === 0) {
    throw new ConfigError(`${config.origin('allowed-client-names')} contains no name`, {
      hint: 'write the common names of the clients, separated by commas, or leave it out',
    });
  }
  return { allowedClientNames: names, metricsAccess };
}

function readAuthenticators(config: WebhookConfig): readonly AuthenticatorName[] {
  const hasIssuer = config.has('oidc-issuer-url');
  const text = config.text('authenticators');
  if (text === undefined) return hasIssuer ? AUTHENTICATORS : ['keystone'];
  const names = splitAtCommas(text);
  const authenticators = AUTHENTICATORS.filter((name) => names.includes(name));
  const origin = config.origin('authenticators');
  if (authenticators.length !== names.length) {
    throw new ConfigError(
      `${origin} must contain each of ${AUTHENTICATORS.join(' and ')} once at most and nothing else, not "${text}"`,
    );
  }
  if (authenticators.includes('oidc') && !hasIssuer) {
    throw new ConfigError(`${origin} contains oidc, but no issuer is set`, { hint: 'set --oidc-issuer-url' });
  }
  return authenticators.toSorted((a, b) => names.indexOf(a) - names.indexOf(b));
}

const isCompatibility = (name: string): name is Compatibility => Object.hasOwn(COMPATIBILITIES, name);

/**
 * Reads the names in `--compatibility`.
 *
 * @throws ConfigError for an unknown name
 */
export function readCompatibilities(config: WebhookConfig): Compatibilities {
  const names = parseCommaList(config.text('compatibility'));
  const unknown = names.find((name) => !isCompatibility(name));
  if (unknown === undefined) return new Set(names.filter(isCompatibility));
  throw new ConfigError(`${config.origin('compatibility')} does not support "${unknown}"`, {
    hint: `use ${Object.keys(COMPATIBILITIES).join(', ')}`,
  });
}

/** The values of the webhook's options. */
export type WebhookConfig = Config<WebhookOptionName>;

/** Combines flags and variables; a flag takes precedence. */
export function resolveWebhookConfig(host: Host, flags: Layer<string>): WebhookConfig {
  return makeConfig(mergeLayers([flags, readEnvironment(host.env, WEBHOOK_OPTIONS)], WEBHOOK_OPTIONS));
}

/**
 * Reads the settings of a webhook from flags and variables.
 *
 * @param userAgents what goes before our own name in the `User-Agent`, the last first
 * @throws ConfigError if a setting is missing or invalid
 */
export function readWebhookSettings(
  host: Host,
  flags: Layer<string>,
  userAgents: readonly string[] = [],
): WebhookSettings {
  const config = resolveWebhookConfig(host, flags);
  const findFile = (name: WebhookOptionName): NamedFile | undefined => findNamedFile(config, name, host.cwd);
  const authenticatorNames = readAuthenticators(config);
  const allowedNames = readAllowedNames(config);
  if (authenticatorNames.includes('keystone'))
    requireSetting(config.text('keystone-url'), 'keystone-url', 'OS_AUTH_URL');
  const authUrl = readAuthUrl(config) ?? '';
  const oidc = authenticatorNames.includes('oidc') ? readOidcSettings(config, findFile, allowedNames) : undefined;
  const chooseProxy = makeProxyRule(host);
  // A proxy that cannot be used should end the webhook now, not each review.
  const peers = [authenticatorNames.includes('keystone') ? authUrl : '', oidc?.issuer ?? ''];
  for (const url of peers) if (url !== '') chooseProxy(new URL(url));
  return {
    ...readSharedSettings(config, host.cwd),
    clientCaFile: findFile('client-ca-file'),
    ...readClientAccess(config),
    reviewTimeoutMs: readSeconds(config, 'review-timeout', 5, MAX_TIMEOUT_SECONDS) - ANSWER_MS,
    authenticatorNames,
    authUrl,
    chooseProxy,
    keystoneTimeoutMs: readSeconds(config, 'keystone-timeout', MAX_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS),
    usernameFormat: readFormat(config, 'username-format', 'niDd'),
    groupFormat: readFormat(config, 'group-format', 'nid'),
    allowedNames,
    cacheTtlMs: readSeconds(config, 'cache-ttl', MAX_CACHE_SECONDS, MAX_CACHE_SECONDS),
    oidc,
    policyFile: findFile('keystone-policy-file'),
    policyConfigMapName: config.text('policy-configmap-name'),
    deniesUnmatched: config.isOn('deny-unmatched'),
    compatibilities: readCompatibilities(config),
    syncFile: findFile('sync-config-file'),
    syncConfigMapName: config.text('sync-configmap-name'),
    kubeconfigFile: findFile('kubeconfig'),
    // As in the Go program, each goes before the one before it.
    userAgent: [...userAgents.toReversed(), `${PROGRAM_NAME}/${VERSION}`].join(' '),
  };
}
