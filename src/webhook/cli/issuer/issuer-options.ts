/** The options of the issuer: its own, and those that mean the same as for the webhook. */
import { SIGNING_ALGORITHMS } from '../../issuer/signing-algorithms.ts';
import type { Option } from '../../../shared/options/option.ts';
import { ISSUER_GROUP, WEBHOOK_OPTIONS } from '../options.ts';
import type { CommandOptionGroup, WebhookOptionName } from '../options.ts';

const OWN = [
  {
    name: 'issuer-url',
    group: ISSUER_GROUP,
    env: ['KEYSTONE_ISSUER_URL'],
    help: 'https:// URL of this issuer, as in its tokens, which clients and API servers reach it at; required',
  },
  {
    name: 'audiences-file',
    group: ISSUER_GROUP,
    kind: 'file',
    env: ['KEYSTONE_AUDIENCES_FILE'],
    help: 'YAML or JSON file of the audiences, and of who gets tokens for them; required; reloaded when it changes',
  },
  {
    name: 'signing-keys-file',
    group: ISSUER_GROUP,
    kind: 'file',
    env: ['KEYSTONE_SIGNING_KEYS_FILE'],
    help: 'file of the signing keys, for replicas on one machine',
  },
  {
    name: 'signing-keys-secret',
    group: ISSUER_GROUP,
    env: ['KEYSTONE_SIGNING_KEYS_SECRET'],
    help: 'Secret of the signing keys, as NAMESPACE/NAME, for replicas in a cluster; this or the file is required',
  },
  {
    name: 'signing-alg',
    group: ISSUER_GROUP,
    env: ['KEYSTONE_SIGNING_ALG'],
    choices: SIGNING_ALGORITHMS,
    help: 'algorithm of new signing keys: ES256 or RS256 (ES256)',
  },
  {
    name: 'rotation-hours',
    group: ISSUER_GROUP,
    env: ['KEYSTONE_ROTATION_HOURS'],
    help: 'hours after which a new signing key takes over (720)',
  },
  {
    name: 'jwks-max-age',
    group: ISSUER_GROUP,
    kind: 'seconds',
    env: ['KEYSTONE_JWKS_MAX_AGE'],
    help: 'seconds for which others may cache the public keys; a new key signs that much later (300)',
  },
] as const satisfies readonly Option<string, CommandOptionGroup>[];

const ROTATION = [
  {
    name: 'create',
    group: ISSUER_GROUP,
    kind: 'switch',
    help: 'make the first signing key, in a file or Secret that does not exist yet',
  },
  {
    name: 'compromised',
    group: ISSUER_GROUP,
    kind: 'switch',
    help: 'sign with the new key at once, and withdraw all others, because somebody else may have them',
  },
] as const satisfies readonly Option<string, CommandOptionGroup>[];

export type IssuerOptionName = (typeof OWN)[number]['name'] | (typeof ROTATION)[number]['name'];

/** The options of the webhook that the issuer has too; some need another text. */
const SHARED: Readonly<Partial<Record<WebhookOptionName, string | true>>> = {
  listen: true,
  'tls-cert-file': true,
  'tls-private-key-file': true,
  metrics: 'who can read /metrics: everyone, or no one, with off (everyone)',
  'shutdown-grace': 'seconds for which the issuer still answers after SIGTERM while /readyz fails (5)',
  'keystone-url': 'URL of Keystone, with or without /v3; required',
  'keystone-ca-file': true,
  'allow-http': true,
  'keystone-timeout': 'seconds that Keystone has for all requests about a token, 30 at most (10)',
  'keystone-concurrency': true,
  'keystone-rate': true,
  'username-format': 'user name in the tokens: %n name, %i ID, %D name of the domain, %d ID of the domain (%n)',
  'group-format':
    'group name in the tokens: %n name, %i ID, %d ID of the domain (%n); the project ID is always a group',
  'allowed-colon-names': true,
  'access-rules': true,
  'any-token-shape': true,
  kubeconfig: 'kubeconfig of the cluster with the Secret of the signing keys (the service account of the pod)',
  'log-level': true,
};

/** An option of the commands of the issuer. */
export type IssuerOption = Option<WebhookOptionName | IssuerOptionName, CommandOptionGroup>;

const shared: readonly IssuerOption[] = WEBHOOK_OPTIONS.flatMap((option) => {
  const text = SHARED[option.name];
  return text === undefined ? [] : [text === true ? option : { ...option, help: text }];
});

/** The options of the server. */
export const ISSUER_OPTIONS: readonly IssuerOption[] = [...OWN, ...shared];

const STORE_OPTIONS: readonly string[] = ['signing-keys-file', 'signing-keys-secret', 'kubeconfig'];
const ROTATION_OPTIONS: readonly string[] = [...STORE_OPTIONS, 'signing-alg', 'jwks-max-age'];

/** The options of `issuer keys`. */
export const KEY_OPTIONS: readonly IssuerOption[] = ISSUER_OPTIONS.filter(({ name }) => STORE_OPTIONS.includes(name));

/** The options of `issuer rotate`. */
export const ROTATE_OPTIONS: readonly IssuerOption[] = [
  ...ISSUER_OPTIONS.filter(({ name }) => ROTATION_OPTIONS.includes(name)),
  ...ROTATION,
];
