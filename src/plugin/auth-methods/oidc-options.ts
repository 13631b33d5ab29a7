/** Options of the auth methods with federation and OpenID Connect. */
import type { Option } from '../config/option.ts';

/** The identity provider, as Keystone names it. */
export const IDENTITY_PROVIDER_OPTION: Option = {
  name: 'identity-provider',
  cacheKey: 'identity',
  group: 'Federation',
  env: ['OS_IDENTITY_PROVIDER'],
  help: 'ID of the identity provider in Keystone',
  prompt: 'Identity provider',
};

/** What Keystone needs for a federated login. */
export const FEDERATION_OPTIONS: readonly Option[] = [
  IDENTITY_PROVIDER_OPTION,
  {
    name: 'protocol',
    cacheKey: 'identity',
    group: 'Federation',
    env: ['OS_PROTOCOL'],
    help: 'ID of the federation protocol in Keystone, such as openid',
    prompt: 'Federation protocol',
    suggestion: 'openid',
  },
];

/** For every auth method that can output the provider's token instead of a Keystone token. */
export const TOKEN_KIND_OPTION: Option = {
  name: 'token-kind',
  cacheKey: 'identity',
  group: 'OpenID Connect',
  env: ['CLIENT_KEYSTONE_AUTH_TOKEN_KIND'],
  choices: ['id_token', 'access_token'],
  trustSensitive: true,
  help: "for a cluster that trusts the provider itself: output this token of the provider's, without Keystone",
};

/** What the provider needs for a federated login. */
export const OIDC_OPTIONS: readonly Option[] = [
  {
    name: 'client-id',
    cacheKey: 'identity',
    group: 'OpenID Connect',
    env: ['OS_CLIENT_ID'],
    help: 'client ID of this program at the provider',
    prompt: 'OpenID Connect client ID',
  },
  {
    name: 'client-secret',
    cacheKey: 'proof',
    group: 'OpenID Connect',
    flag: false,
    env: ['OS_CLIENT_SECRET'],
    help: 'secret of the client; a public client has none',
    secret: true,
    prompt: 'OpenID Connect client secret',
  },
  {
    name: 'openid-scope',
    cacheKey: 'identity',
    group: 'OpenID Connect',
    env: ['OS_OPENID_SCOPE'],
    help: 'scopes to request from the provider, separated by spaces (openid profile)',
  },
  {
    name: 'discovery-endpoint',
    cacheKey: 'trust',
    group: 'OpenID Connect',
    env: ['OS_DISCOVERY_ENDPOINT'],
    help: "URL of the provider's /.well-known/openid-configuration",
    isUrl: true,
    prompt: 'URL of the discovery document',
    trustSensitive: true,
  },
  {
    name: 'access-token-endpoint',
    cacheKey: 'trust',
    group: 'OpenID Connect',
    env: ['OS_ACCESS_TOKEN_ENDPOINT'],
    help: "URL of the provider's token endpoint, instead of the one in the discovery document",
    trustSensitive: true,
  },
  {
    name: 'access-token-type',
    cacheKey: 'identity',
    group: 'OpenID Connect',
    env: ['OS_ACCESS_TOKEN_TYPE'],
    choices: ['access_token', 'id_token'],
    help: "which of the provider's tokens Keystone gets: access_token (default) or id_token",
  },
  TOKEN_KIND_OPTION,
];
