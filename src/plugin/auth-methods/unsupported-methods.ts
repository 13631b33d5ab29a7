import { ConfigError } from '../../shared/base/errors.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';

const WITHOUT_A_BROWSER = 'an application credential if there is no browser';

/** Auth methods of other clients that the plugin does not have, and what to use instead. */
const UNSUPPORTED: ReadonlyMap<string, { readonly reason: string; readonly hint: string }> = new Map([
  [
    'v3tokenlessauth',
    {
      reason: 'it sends a certificate with each request to OpenStack and returns no token',
      hint: 'use an application credential, or v3oauth2mtlsclientcredential if your Keystone offers it',
    },
  ],
  [
    'http_basic',
    {
      reason: 'it sends a password with each request to a service without Keystone and returns no token',
      hint: 'use v3password with the URL of Keystone',
    },
  ],
  [
    'v2password',
    {
      reason: 'it uses version 2 of the Keystone API, which Keystone removed in 2018',
      hint: 'use v3password, with OS_USER_DOMAIN_NAME and OS_PROJECT_DOMAIN_NAME',
    },
  ],
  [
    'v2token',
    {
      reason: 'it uses version 2 of the Keystone API, which Keystone removed in 2018',
      hint: 'use v3token, with OS_PROJECT_DOMAIN_NAME',
    },
  ],
  [
    'v3adfspassword',
    {
      reason: 'it sends the password to AD FS with WS-Trust, which the plugin does not speak',
      hint: `use v3websso, or v3oidcauthcode with AD FS 2016 or newer, or ${WITHOUT_A_BROWSER}`,
    },
  ],
  [
    'v3oauth1',
    {
      reason: 'it signs requests with an OAuth 1.0 access key, which the plugin does not do',
      hint: 'use an application credential, which gives a program the same limited access',
    },
  ],
  [
    'none',
    {
      reason: 'it does not log in and returns no token',
      hint: 'unset it, or set OS_AUTH_TYPE to another auth method',
    },
  ],
  [
    'v4passkey',
    {
      reason: 'a passkey needs a browser or an authenticator, which a command line cannot use',
      hint: 'use v4federation, or an application credential',
    },
  ],
]);

/** Further names of the same auth methods. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['noauth', 'none'],
  ['gnocchi-noauth', 'none'],
  ['aodh-noauth', 'none'],
  ['gnocchi-basic', 'http_basic'],
  ['passkey', 'v4passkey'],
  ['v3tokenless', 'v3tokenlessauth'],
]);

/** @throws ConfigError with the reason when the plugin cannot support the auth method */
export function requireSupportedMethod(name: string, origin: string): void {
  const unsupported = UNSUPPORTED.get(ALIASES.get(name) ?? name);
  if (unsupported === undefined) return;
  throw new ConfigError(`${origin} asks for "${name}", which the plugin cannot use: ${unsupported.reason}`, {
    hint: unsupported.hint,
  });
}

/**
 * Keystone-to-Keystone (Keystone API v3, "OS-FEDERATION") gets a token of another cloud, whatever the auth method. Without
 * this error, the token would be one of the cloud that logs the user in.
 *
 * @throws ConfigError when the settings name a service provider
 */
export function rejectServiceProvider(config: ResolvedConfig): void {
  const name = config.text('service-provider');
  if (name === undefined) return;
  const origin = config.origin('service-provider');
  throw new ConfigError(
    `${origin} asks for a token of another cloud (Keystone-to-Keystone), which the plugin cannot get: ` +
      'it does not ask this Keystone for a SAML assertion',
    {
      hint:
        'set OS_AUTH_URL to the Keystone of that cloud and log in there, for example with v3websso or an application ' +
        `credential; or unset ${origin} for a token of this cloud`,
    },
  );
}
