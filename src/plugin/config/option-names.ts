/** The names of the plugin's options. Only types are imported from here, so no run of the plugin loads the lists. */

/** Things that Keystone knows by ID or by name. */
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
  'identity-provider-url',
  'protocol',
  'mutual-auth',
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
  'service-provider',
  'system-scope',
  'trust-id',
  'unscoped',
  // Token exchange
  'token-exchange-url',
  'token-exchange-audience',
  'token-exchange-cacert',
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
