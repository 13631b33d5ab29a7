import { ConfigError } from '../../shared/base/errors.ts';

/** Ways to log in of other clients that end without a token that kubectl could send, and what to do instead. */
const REFUSED: ReadonlyMap<string, { readonly why: string; readonly hint: string }> = new Map([
  [
    'v3tokenlessauth',
    {
      why: 'it shows a certificate with each request to OpenStack, and no token comes of it',
      hint: 'use an application credential, or v3oauth2mtlsclientcredential if your Keystone offers it',
    },
  ],
  [
    'http_basic',
    {
      why: 'it sends a password with each request to a service without Keystone, and no token comes of it',
      hint: 'use v3password with the URL of Keystone',
    },
  ],
  [
    'none',
    {
      why: 'it logs in nowhere, and no token comes of it',
      hint: 'unset it, or set OS_AUTH_TYPE to a way to log in',
    },
  ],
  [
    'v4passkey',
    {
      why: 'a passkey answers to a browser or an authenticator only, which a command line cannot ask',
      hint: 'use v4federation, or an application credential',
    },
  ],
]);

/** Further names of the same. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['noauth', 'none'],
  ['passkey', 'v4passkey'],
  ['v3tokenless', 'v3tokenlessauth'],
]);

/** @throws ConfigError for a way to log in that cannot work here, with the reason */
export function requireSupportedMethod(name: string, origin: string): void {
  const refused = REFUSED.get(ALIASES.get(name) ?? name);
  if (refused === undefined) return;
  throw new ConfigError(`${origin} asks for "${name}", which cannot be used: ${refused.why}`, { hint: refused.hint });
}
