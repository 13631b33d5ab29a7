import type { Option } from '../../shared/options/option.ts';

/** Headings of `--help` and of the table in the documents, in their order. */
export const WEBHOOK_OPTION_GROUPS = [
  'Server',
  'Keystone',
  'Authentication',
  'OpenID Connect',
  'Authorization',
  'Synchronisation',
  'Run',
] as const;

export type WebhookOptionGroup = (typeof WEBHOOK_OPTION_GROUPS)[number];

const LIST = [
  { name: 'listen', group: 'Server', help: 'address and port to listen on (0.0.0.0:8443)' },
  {
    name: 'tls-cert-file',
    group: 'Server',
    kind: 'file',
    env: ['TLS_CERT_FILE'],
    help: "PEM file of the server's certificate; required, and read again when it changes",
  },
  {
    name: 'tls-private-key-file',
    group: 'Server',
    kind: 'file',
    env: ['TLS_PRIVATE_KEY_FILE'],
    help: 'PEM file of its key; required, and read again when it changes',
  },
  {
    name: 'client-ca-file',
    group: 'Server',
    kind: 'file',
    env: ['KEYSTONE_CLIENT_CA_FILE'],
    help: 'PEM file of the authorities whose client certificates may ask /webhook; anybody may if it is not set',
  },
  {
    name: 'shutdown-grace',
    group: 'Server',
    kind: 'seconds',
    help: 'seconds between /readyz saying no and the end, for load balancers to notice (1)',
  },
  {
    name: 'keystone-url',
    group: 'Keystone',
    env: ['OS_AUTH_URL'],
    help: 'URL of Keystone, with or without /v3; required unless Keystone is not among the authenticators',
  },
  {
    name: 'keystone-ca-file',
    group: 'Keystone',
    kind: 'file',
    env: ['KEYSTONE_CA_FILE'],
    help: "PEM file of the authorities to trust for Keystone instead of this system's",
  },
  {
    name: 'allow-http',
    group: 'Keystone',
    kind: 'switch',
    help: 'send tokens over http:// to a machine other than this one',
  },
  {
    name: 'keystone-timeout',
    group: 'Keystone',
    kind: 'seconds',
    help: 'seconds that Keystone has to judge a token (3); the API server is answered within 5 in any case',
  },
  {
    name: 'keystone-concurrency',
    group: 'Keystone',
    help: 'requests to Keystone at a time (16)',
  },
  {
    name: 'keystone-rate',
    group: 'Keystone',
    help: 'tokens never seen before that Keystone is asked about in a second (15)',
  },
  {
    name: 'authenticators',
    group: 'Authentication',
    env: ['KEYSTONE_AUTHENTICATORS'],
    help: 'whose tokens are accepted, in the order in which they are asked, with commas: keystone, oidc (keystone, and oidc where an issuer is set)',
  },
  {
    name: 'username-format',
    group: 'Authentication',
    env: ['KEYSTONE_USERNAME_FORMAT'],
    help: 'user name in the cluster: %n name, %i id, %D name of the domain, %d its id (%n)',
  },
  {
    name: 'group-format',
    group: 'Authentication',
    env: ['KEYSTONE_GROUP_FORMAT'],
    help: 'group in the cluster: %n name, %i id, %d id of the domain (%n); the project id is a group as it is',
  },
  {
    name: 'cache-ttl',
    group: 'Authentication',
    kind: 'seconds',
    help: 'seconds that a token counts as good without asking again, 30 at most (30)',
  },
  {
    name: 'access-rules',
    group: 'Authentication',
    choices: ['accept', 'refuse'],
    help: 'tokens of application credentials that access rules restrict: accept or refuse (refuse); the rules do not speak of Kubernetes, so there the token would be good for everything',
  },
  {
    name: 'any-token-shape',
    group: 'Authentication',
    kind: 'switch',
    help: 'ask Keystone about tokens that are neither Fernet nor JWS, too',
  },
  {
    name: 'oidc-issuer-url',
    group: 'OpenID Connect',
    env: ['KEYSTONE_OIDC_ISSUER_URL'],
    help: 'https:// URL of an issuer, as its tokens name it; nobody but Keystone is believed if it is not set',
  },
  {
    name: 'oidc-client-id',
    group: 'OpenID Connect',
    env: ['KEYSTONE_OIDC_CLIENT_ID'],
    help: 'client that its tokens must be made for (aud); required with an issuer',
  },
  {
    name: 'oidc-ca-file',
    group: 'OpenID Connect',
    kind: 'file',
    env: ['KEYSTONE_OIDC_CA_FILE'],
    help: "PEM file of the authorities to trust for the issuer instead of this system's",
  },
  {
    name: 'oidc-username-claim',
    group: 'OpenID Connect',
    env: ['KEYSTONE_OIDC_USERNAME_CLAIM'],
    help: 'claim that holds the user name (sub)',
  },
  {
    name: 'oidc-username-prefix',
    group: 'OpenID Connect',
    env: ['KEYSTONE_OIDC_USERNAME_PREFIX'],
    help: 'what user names begin with (the issuer and #, but nothing for the claim email; - for nothing)',
  },
  {
    name: 'oidc-groups-claim',
    group: 'OpenID Connect',
    env: ['KEYSTONE_OIDC_GROUPS_CLAIM'],
    help: 'claim that holds groups, a list or one; without it there are none',
  },
  {
    name: 'oidc-groups-prefix',
    group: 'OpenID Connect',
    env: ['KEYSTONE_OIDC_GROUPS_PREFIX'],
    help: 'what groups begin with (nothing)',
  },
  {
    name: 'oidc-required-claim',
    group: 'OpenID Connect',
    env: ['KEYSTONE_OIDC_REQUIRED_CLAIM'],
    help: 'claims that a token must have, NAME=VALUE with commas between several',
  },
  {
    name: 'oidc-signing-algs',
    group: 'OpenID Connect',
    env: ['KEYSTONE_OIDC_SIGNING_ALGS'],
    help: 'algorithms of signatures, with commas, of RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512 and EdDSA (RS256)',
  },
  {
    name: 'keystone-policy-file',
    group: 'Authorization',
    kind: 'file',
    env: ['KEYSTONE_POLICY_FILE'],
    help: 'JSON file of the policy; read again when it changes, and stronger than the ConfigMap',
  },
  {
    name: 'policy-configmap-name',
    group: 'Authorization',
    env: ['KEYSTONE_POLICY_CONFIGMAP_NAME'],
    help: 'ConfigMap in kube-system that holds the policy in its key "policies"',
  },
  {
    name: 'deny-unmatched',
    group: 'Authorization',
    kind: 'switch',
    help: 'deny what no entry allows, whatever other authorizers of the API server say',
  },
  {
    name: 'compatibility',
    group: 'Authorization',
    env: ['KEYSTONE_COMPATIBILITY'],
    help: 'faults of the Go program to keep, with commas between them; see the documentation',
  },
  {
    name: 'sync-config-file',
    group: 'Synchronisation',
    kind: 'file',
    env: ['KEYSTONE_SYNC_CONFIG_FILE'],
    help: 'YAML file of role mappings and what to synchronise; read again when it changes, and stronger than the ConfigMap',
  },
  {
    name: 'sync-configmap-name',
    group: 'Synchronisation',
    env: ['KEYSTONE_SYNC_CONFIGMAP_NAME'],
    help: 'ConfigMap in kube-system that holds the same in its key "syncConfig"',
  },
  {
    name: 'kubeconfig',
    group: 'Synchronisation',
    kind: 'file',
    env: ['KEYSTONE_KUBECONFIG_FILE'],
    help: "file that says how to reach the cluster, where ConfigMaps or synchronisation are used (the pod's own account)",
  },
  {
    name: 'log-level',
    group: 'Run',
    env: ['KEYSTONE_LOG_LEVEL'],
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    help: 'what is written on stdout, one JSON object a line: debug, info, warn, error or silent (info)',
  },
] as const satisfies readonly Option<string, WebhookOptionGroup>[];

export type WebhookOptionName = (typeof LIST)[number]['name'];

/** An option of the webhook. */
export type WebhookOption = Option<WebhookOptionName, WebhookOptionGroup>;

/** Everything that can be set for k8s-keystone-auth. Options that the Go program has keep their names. */
export const WEBHOOK_OPTIONS: readonly WebhookOption[] = LIST;
