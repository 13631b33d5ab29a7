/** The plugin's options: their names, their groups, and the types of shared/options for them. */
import type { Layer as AnyLayer } from '../../shared/options/layer.ts';
import type { Option as AnyOption } from '../../shared/options/option.ts';

/** Headings of `--help` and of the reference's tables, in their order. */
export const PLUGIN_OPTION_GROUPS = [
  'Command',
  'Keystone',
  'User',
  'Application credential',
  'Token',
  'Federation',
  'OpenID Connect',
  'Kubernetes',
  'OAuth 2.0 at Keystone',
  'Browser',
  'Scope',
  'TLS',
  'Cache',
  'Run',
] as const;

export type OptionGroup = (typeof PLUGIN_OPTION_GROUPS)[number];

/** Things that Keystone knows by id or by name. */
const PAIRS = [
  'user',
  'user-domain',
  'project',
  'project-domain',
  'domain',
  'default-domain',
  'application-credential',
] as const;

/** The first part of `user-id` and `user-name`. */
export type PairName = (typeof PAIRS)[number];

/** Every option of a login that is not one half of a pair. A test keeps the list equal to the registry. */
const SINGLE_NAMES = [
  // Keystone
  'keystone-url',
  'auth-type',
  'auth-methods',
  'identity-api-version',
  'os-cloud',
  'region-name',
  'client-config-file',
  'client-secure-file',
  'no-env',
  // User
  'password',
  'passcode',
  // Application credential
  'application-credential-secret',
  // Token
  'token',
  'endpoint',
  // Federation
  'identity-provider',
  'protocol',
  'jwt',
  'jwt-file',
  'attribute-mapping-name',
  // OpenID Connect
  'access-token',
  'token-kind',
  'client-id',
  'client-secret',
  'openid-scope',
  'discovery-endpoint',
  'access-token-endpoint',
  'access-token-type',
  'idp-otp-key',
  'device-authorization-endpoint',
  'code-challenge-method',
  'authorization-endpoint',
  'redirect-uri',
  'code',
  // Kubernetes
  'k8s-auth-instance-id',
  'k8s-auth-role',
  'k8s-auth-token-file',
  // OAuth 2.0 at Keystone
  'oauth2-endpoint',
  'oauth2-client-id',
  'oauth2-client-secret',
  // Browser
  'skip-open-browser',
  'redirect-port',
  // Scope
  'system-scope',
  'trust-id',
  'unscoped',
  // TLS
  'cacert',
  'cert',
  'key',
  'insecure',
  'verify',
  'allow-http',
  // Cache
  'cache-storage',
  'cache-dir',
  'force-refresh',
  // Run
  'timeout',
  'login-timeout',
  'api-version',
  'verbose',
  'log-format',
] as const;

/** A name of an option of a login. */
export type OptionName = `${PairName}-${'id' | 'name'}` | (typeof SINGLE_NAMES)[number];

/** The same names as values. */
export const OPTION_NAMES: readonly OptionName[] = [
  ...PAIRS.flatMap((pair) => [`${pair}-id`, `${pair}-name`] as const),
  ...SINGLE_NAMES,
];

/** An option of a login. */
export type Option = AnyOption<OptionName, OptionGroup>;

/** The settings of a login from one source. */
export type Layer = AnyLayer<OptionName>;

/** Groups that say how a run behaves: a cloud does not decide that. */
const NEVER_IN_FILES: readonly OptionGroup[] = ['Command', 'Cache', 'Run'];

/** Whether clouds.yaml may hold the option. */
export function isInCloudsYaml(option: Option): boolean {
  return option.file !== 'nowhere' && !NEVER_IN_FILES.includes(option.group);
}

/** Whether the option says where to log in or as whom, and so belongs below `auth` in clouds.yaml. */
export function isBelowAuth(option: Option): boolean {
  return option.file === undefined && isInCloudsYaml(option);
}
