/**
 * What the identity providers of the tests answer, one row for each test of test/identity-providers. `npm run reference`
 * writes docs/auth/tested-providers.md from it. A test without a row does not compile, and a row without a test fails.
 */
import { HYDRA_VERSION } from '../../scripts/identity-providers/hydra.ts';
import { KEYCLOAK_VERSION } from '../../scripts/identity-providers/find-keycloak.ts';
import { KRAKE_VERSION } from '../../scripts/identity-providers/krake.ts';

interface ProviderResult {
  readonly method: string;
  readonly result: string;
}

type Rows = Readonly<Record<string, ProviderResult>>;

export const KEYCLOAK_RESULTS = {
  'Keycloak gives an access token and an ID token for a password': {
    method: '`v3oidcpassword`',
    result: 'a token of either kind',
  },
  'Keycloak accepts a password with the code of an authenticator app': {
    method: '`v3oidcpassword`, `OS_IDP_OTP_KEY=totp`',
    result: 'a token; refused without the code',
  },
  'Keycloak refuses a login, and the plugin says why': {
    method: '`v3oidcpassword`',
    result: 'refused, each with its reason: wrong password, required action, scope, client, disabled user',
  },
  'Keycloak locks an account after wrong passwords, and the plugin tries a refused password once': {
    method: '`v3oidcpassword`',
    result: 'refused; Keycloak does not say that the account is locked',
  },
  'Keycloak gives a token to a client with a secret': {
    method: '`v3oidcclientcredentials`',
    result: 'a token; a wrong secret is refused',
  },
  'Keycloak refuses a secret from a client that must sign': {
    method: '`v3oidcclientcredentials`',
    result: 'refused: the plugin does not sign (`private_key_jwt`)',
  },
  'an access token of Keycloak is passed on as it is': { method: '`v3oidcaccesstoken`', result: 'the same token' },
  'a realm that does not exist is the fault of the URL': {
    method: 'all',
    result: 'the message names `OS_DISCOVERY_ENDPOINT`',
  },
  'a user logs in at the page of Keycloak with an authorization code and PKCE': {
    method: '`v3oidcauthcode`',
    result: 'a token, also with an authenticator app',
  },
  'Keycloak refuses a redirect URI that it does not know, on its own page': {
    method: '`v3oidcauthcode`',
    result: 'refused in the browser; the plugin waits until `--login-timeout`',
  },
  'a user logs in on another device, with PKCE as Keycloak requires it': {
    method: '`v3oidcdeviceauthz`',
    result: 'a token; refused if the user does not grant it, or without `OS_CODE_CHALLENGE_METHOD`',
  },
  'a login on another device ends with its code': { method: '`v3oidcdeviceauthz`', result: 'ends in time' },
  'Keycloak replaces the refresh token at each use, and the plugin uses each one once': {
    method: 'refresh token',
    result: 'renewed, without a login',
  },
  'Keycloak detects a refresh token that was used before, and ends the session': {
    method: 'refresh token',
    result: 'a new login is needed',
  },
  'an offline token of Keycloak outlives the session': {
    method: 'refresh token, `offline_access`',
    result: 'renewed after the end of the session; refused without the role',
  },
  'a login is over when Keycloak has ended its session or disabled its user': {
    method: 'refresh token',
    result: 'a new login is needed',
  },
  'a token of a minute is renewed before it ends': {
    method: 'refresh token',
    result: 'renewed after half of its time',
  },
  'a clock that is off by an hour shifts the expiry by as much': {
    method: '`v3oidcpassword`',
    result: 'a token, although Keycloak sends no `Date`',
  },
  'the webhook accepts tokens of Keycloak, with groups or roles as groups': {
    method: 'the webhook, `--oidc-…`',
    result: 'user and groups',
  },
  'the webhook follows Keycloak when it rotates its keys': {
    method: 'the webhook, `--oidc-…`',
    result: 'tokens of the old and of the new key are accepted',
  },
  'tokens of Keycloak are accepted while it is down, and not after its realm is removed': {
    method: 'the webhook, `--oidc-…`',
    result: 'accepted for an hour; an error without keys',
  },
} as const satisfies Rows;

export const DEX_RESULTS = {
  'Dex gives an access token and an ID token for a password': {
    method: '`v3oidcpassword`',
    result: 'a token of either kind, without groups',
  },
  'Dex refuses a login, and the plugin says why': {
    method: '`v3oidcpassword`, `v3oidcclientcredentials`',
    result: 'refused, each with its reason: wrong password, client, secret, scope, method',
  },
  'Dex without a password connector offers no login with a password': {
    method: '`v3oidcpassword`',
    result: 'refused before the password is sent',
  },
  'Dex replaces the refresh token at each use, and refuses one that was used before': {
    method: 'refresh token',
    result: 'renewed, without a login; after a theft, a new login is needed',
  },
  'a user logs in at the pages of Dex with an authorization code and PKCE': {
    method: '`v3oidcauthcode`',
    result: 'a token; if the user does not grant it, the plugin waits until `--login-timeout`',
  },
  'the token of a user of a connector has groups, also after it is renewed': {
    method: '`v3oidcauthcode`, refresh token',
    result: 'an ID token with groups',
  },
  'a user logs in at Dex on another device': {
    method: '`v3oidcdeviceauthz`',
    result: 'a token; if the user does not grant it, the plugin waits until `--login-timeout`',
  },
  'the webhook accepts ID tokens of Dex': { method: 'the webhook, `--oidc-…`', result: 'the address as user name' },
  'the webhook accepts ID tokens of Dex with groups': {
    method: 'the webhook, `--oidc-…`',
    result: 'user and groups',
  },
  'the webhook follows a Dex that has new keys after a restart': {
    method: 'the webhook, `--oidc-…`',
    result: 'new tokens are accepted, old ones no longer',
  },
  'a service as in Kyma gives a kubeconfig for an ID token of Dex': {
    method: '`kubeconfig fetch`',
    result: '`kubectl` logs in with the stanza that the plugin writes',
  },
} as const satisfies Rows;

export const HYDRA_RESULTS = {
  'Hydra gives a program a JWT with the scopes that it asks for': {
    method: '`v3oidcclientcredentials`',
    result: 'a token; the webhook does not accept it, because it names no audience',
  },
  'an access token of Hydra that is opaque is used as long as Hydra says': {
    method: '`v3oidcclientcredentials`',
    result: 'a token for the lifetime in the response; the webhook does not accept it',
  },
  'an opaque access token that the user has is used for five minutes': {
    method: '`v3oidcaccesstoken`',
    result: 'the same token, for five minutes',
  },
  'Hydra refuses a client, and the plugin says why': {
    method: '`v3oidcclientcredentials`',
    result: 'refused, each with its reason: secret, client, scope, `client_secret_post`, method',
  },
} as const satisfies Rows;

export const KRAKE_RESULTS = {
  'Krake accepts a Keystone token without a scheme': {
    method: '`token`, `token --raw-authorization`, `whoami`',
    result: 'the user of `whoami`; refused with `Bearer`, and after `logout`',
  },
  'Krake accepts an access token of Keycloak without a scheme': {
    method: '`token --raw-authorization`, `--token-kind=access_token`',
    result: 'the user; an ID token is refused',
  },
  'Krake asks Keystone alone if it is configured, and accepts a certificate of who shows no token': {
    method: '`token --raw-authorization`, `--cert`',
    result: 'the user of the token, else of the certificate',
  },
} as const satisfies Rows;

export const KEYSTONE_RESULTS = {
  'a cluster of a cloud whose users log in at Keycloak': {
    method:
      '`v3oidcpassword`, `v3oidcclientcredentials`, `v3oidcaccesstoken`, `v3oidcauthcode`, `v3oidcdeviceauthz`, the webhook',
    result: 'the user in `kubectl`; refused without a mapping, or after the end of the session',
  },
} as const satisfies Rows;

/** The systems in the order of the document. */
export const TESTED_SYSTEMS: readonly { readonly name: string; readonly version: string; readonly rows: Rows }[] = [
  { name: 'Keycloak', version: KEYCLOAK_VERSION, rows: KEYCLOAK_RESULTS },
  { name: 'Dex', version: 'of 2025-08-29', rows: DEX_RESULTS },
  { name: 'ORY Hydra', version: HYDRA_VERSION, rows: HYDRA_RESULTS },
  { name: 'Krake', version: KRAKE_VERSION, rows: KRAKE_RESULTS },
  { name: 'Keystone behind Apache and Keycloak', version: KEYCLOAK_VERSION, rows: KEYSTONE_RESULTS },
];
