import { ConfigError } from '../../shared/base/errors.ts';

/** Auth methods of other clients that return no token for kubectl, and what to use instead. */
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
