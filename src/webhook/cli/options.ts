import type { Option } from '../../shared/options/option.ts';
import { METRICS_ACCESS } from '../server/metrics-access.ts';

export const PROGRAM_NAME = 'k8s-keystone-auth';

/** Headings of `--help` and of the table in the documents, in their order. */
export const WEBHOOK_OPTION_GROUPS = [
  'Server',
  'Keystone',
  'Authentication',
  'OpenID Connect',
  'Authorization',
  'Synchronization',
  'Run',
] as const;

export type WebhookOptionGroup = (typeof WEBHOOK_OPTION_GROUPS)[number];

/** The heading of the options that only the issuer has. */
export const ISSUER_GROUP = 'Issuer';

export type CommandOptionGroup = WebhookOptionGroup | typeof ISSUER_GROUP;

const LIST = [
  { name: 'listen', group: 'Server', help: 'address and port to listen on (0.0.0.0:8443)' },
  {
    name: 'tls-cert-file',
    group: 'Server',
    kind: 'file',
    env: ['TLS_CERT_FILE'],
    help: 'PEM file of the server certificate; required; reloaded when it changes',
  },
  {
    name: 'tls-private-key-file',
    group: 'Server',
    kind: 'file',
    env: ['TLS_PRIVATE_KEY_FILE'],
    help: 'PEM file of the private key of the certificate; required; reloaded when it changes',
  },
  {
    name: 'client-ca-file',
    group: 'Server',
    kind: 'file',
    env: ['KEYSTONE_CLIENT_CA_FILE'],
    help: 'PEM file of the CAs whose client certificates are required for /webhook (no client certificate is required)',
  },
  {
    name: 'allowed-client-names',
    group: 'Server',
    env: ['KEYSTONE_ALLOWED_CLIENT_NAMES'],
    help:
      'common names of the client certificates that /webhook accepts, separated by commas ' +
      '(every certificate of --client-ca-file)',
  },
  {
    name: 'metrics',
    group: 'Server',
    env: ['KEYSTONE_METRICS'],
    choices: METRICS_ACCESS,
    help:
      'who can read /metrics: everyone, clients with a certificate that /webhook accepts, ' +
      'or no one, with off (everyone)',
  },
  {
    name: 'shutdown-grace',
    group: 'Server',
    kind: 'seconds',
    help: 'seconds for which the webhook still answers after SIGTERM while /readyz fails, so that load balancers notice (5)',
  },
  {
    name: 'keystone-url',
    group: 'Keystone',
    env: ['OS_AUTH_URL'],
    help: 'URL of Keystone, with or without /v3; required if keystone is among the authenticators',
  },
  {
    name: 'keystone-ca-file',
    group: 'Keystone',
    kind: 'file',
    env: ['KEYSTONE_CA_FILE'],
    help: 'PEM file of the CAs to trust for Keystone; reloaded when it changes (the CAs of the system)',
  },
  {
    name: 'allow-http',
    group: 'Keystone',
    kind: 'switch',
    help: 'send tokens over http:// to another machine',
  },
  {
    name: 'keystone-timeout',
    group: 'Keystone',
    kind: 'seconds',
    help:
      'seconds that Keystone has for all requests about a token, 30 at most (30); ' +
      'if that is longer than --review-timeout, the answer is remembered for the next review',
  },
  {
    name: 'keystone-concurrency',
    group: 'Keystone',
    help: 'maximum number of simultaneous requests to Keystone (16)',
  },
  {
    name: 'keystone-rate',
    group: 'Keystone',
    help: 'maximum number of new tokens per second that Keystone validates (15)',
  },
  {
    name: 'review-timeout',
    group: 'Authentication',
    kind: 'seconds',
    help: 'seconds within which the API server gets a response, 30 at most (5)',
  },
  {
    name: 'authenticators',
    group: 'Authentication',
    env: ['KEYSTONE_AUTHENTICATORS'],
    help:
      'authenticators in the order in which they are tried, separated by commas: ' +
      'keystone, oidc (keystone, and oidc if an issuer is set)',
  },
  {
    name: 'username-format',
    group: 'Authentication',
    env: ['KEYSTONE_USERNAME_FORMAT'],
    help: 'user name in the cluster: %n name, %i ID, %D name of the domain, %d ID of the domain (%n)',
  },
  {
    name: 'group-format',
    group: 'Authentication',
    env: ['KEYSTONE_GROUP_FORMAT'],
    help: 'group name in the cluster: %n name, %i ID, %d ID of the domain (%n); the project ID is always a group',
  },
  {
    name: 'allowed-colon-names',
    group: 'Authentication',
    env: ['KEYSTONE_ALLOWED_COLON_NAMES'],
    help:
      'names with a colon that users and groups may have without a prefix, separated by commas; ' +
      'team:* stands for all names that begin with team: (none)',
  },
  {
    name: 'cache-ttl',
    group: 'Authentication',
    kind: 'seconds',
    help: 'seconds for which a valid token is accepted without a request to Keystone, 30 at most (30)',
  },
  {
    name: 'access-rules',
    group: 'Authentication',
    choices: ['accept', 'refuse'],
    help:
      'accept or refuse tokens of application credentials with access rules (refuse); ' +
      'the rules cannot restrict access to Kubernetes, so an accepted token has no restrictions there',
  },
  {
    name: 'any-token-shape',
    group: 'Authentication',
    kind: 'switch',
    help: 'also validate tokens at Keystone that are neither Fernet nor JWS',
  },
  {
    name: 'oidc-issuer-url',
    group: 'OpenID Connect',
    env: ['KEYSTONE_OIDC_ISSUER_URL'],
    help: 'https:// URL of the issuer, exactly as in its tokens (only Keystone tokens are accepted)',
  },
  {
    name: 'oidc-client-id',
    group: 'OpenID Connect',
    env: ['KEYSTONE_OIDC_CLIENT_ID'],
    help: 'client that tokens must be issued for (aud); required with an issuer',
  },
  {
    name: 'oidc-ca-file',
    group: 'OpenID Connect',
    kind: 'file',
    env: ['KEYSTONE_OIDC_CA_FILE'],
    help: 'PEM file of the CAs to trust for the issuer; reloaded when it changes (the CAs of the system)',
  },
  {
    name: 'oidc-username-claim',
    group: 'OpenID Connect',
    env: ['KEYSTONE_OIDC_USERNAME_CLAIM'],
    help: 'claim that contains the user name (sub)',
  },
  {
    name: 'oidc-username-prefix',
    group: 'OpenID Connect',
    env: ['KEYSTONE_OIDC_USERNAME_PREFIX'],
    help: 'prefix of user names; - for no prefix (the issuer and #, but no prefix for the claim email)',
  },
  {
    name: 'oidc-groups-claim',
    group: 'OpenID Connect',
    env: ['KEYSTONE_OIDC_GROUPS_CLAIM'],
    help: 'claim that contains one group or a list of groups (no groups)',
  },
  {
    name: 'oidc-groups-prefix',
    group: 'OpenID Connect',
    env: ['KEYSTONE_OIDC_GROUPS_PREFIX'],
    help: 'prefix of groups (no prefix)',
  },
  {
    name: 'oidc-required-claim',
    group: 'OpenID Connect',
    env: ['KEYSTONE_OIDC_REQUIRED_CLAIM'],
    help: 'claims that a token must have, as NAME=VALUE separated by commas',
  },
  {
    name: 'oidc-signing-algs',
    group: 'OpenID Connect',
    env: ['KEYSTONE_OIDC_SIGNING_ALGS'],
    help:
      'accepted signature algorithms, separated by commas: ' +
      'RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512 and EdDSA (RS256)',
  },
  {
    name: 'keystone-policy-file',
    group: 'Authorization',
    kind: 'file',
    env: ['KEYSTONE_POLICY_FILE'],
    help: 'JSON file of the policy; reloaded when it changes; takes precedence over the ConfigMap',
  },
  {
    name: 'policy-configmap-name',
    group: 'Authorization',
    env: ['KEYSTONE_POLICY_CONFIGMAP_NAME'],
    help: 'ConfigMap in kube-system that contains the policy in its key "policies"',
  },
  {
    name: 'deny-unmatched',
    group: 'Authorization',
    kind: 'switch',
    help: 'deny what no entry allows, even if another authorizer of the API server allows it',
  },
  {
    name: 'compatibility',
    group: 'Authorization',
    env: ['KEYSTONE_COMPATIBILITY'],
    help: 'faults of the Go program to keep, separated by commas; see the documentation',
  },
  {
    name: 'sync-config-file',
    group: 'Synchronization',
    kind: 'file',
    env: ['KEYSTONE_SYNC_CONFIG_FILE'],
    help:
      'YAML file of role mappings and of what to synchronize; reloaded when it changes; ' +
      'takes precedence over the ConfigMap',
  },
  {
    name: 'sync-configmap-name',
    group: 'Synchronization',
    env: ['KEYSTONE_SYNC_CONFIGMAP_NAME'],
    help: 'ConfigMap in kube-system that contains the same in its key "syncConfig"',
  },
  {
    name: 'kubeconfig',
    group: 'Synchronization',
    kind: 'file',
    env: ['KEYSTONE_KUBECONFIG_FILE'],
    help: 'kubeconfig of the cluster, for ConfigMaps and synchronization (the service account of the pod)',
  },
  {
    name: 'log-level',
    group: 'Run',
    env: ['KEYSTONE_LOG_LEVEL'],
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    help: 'level of the log on stdout, which has one JSON object per line: debug, info, warn, error or silent (info)',
  },
] as const satisfies readonly Option<string, WebhookOptionGroup>[];

export type WebhookOptionName = (typeof LIST)[number]['name'];

/** An option of the webhook. */
export type WebhookOption = Option<WebhookOptionName, WebhookOptionGroup>;

/** All options of k8s-keystone-auth. Those that the Go program has too have the same names. */
export const WEBHOOK_OPTIONS: readonly WebhookOption[] = LIST;
