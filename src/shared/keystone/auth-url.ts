import { ConfigError } from '../base/errors.ts';
import { isPlaintextRemote } from '../http/peer.ts';
import type { Config } from '../options/config.ts';
import { removeTrailingSlashes } from '../base/text.ts';

function parseUrl(text: string, origin: string, example: string): URL {
  const hint = `set ${origin} to something like ${example}`;
  if (!URL.canParse(text)) throw new ConfigError(`${origin} is not a URL`, { hint });
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new ConfigError(`${origin} must begin with https:// or http://`, { hint });
  }
  if (url.username !== '' || url.password !== '') {
    throw new ConfigError(`${origin} must not contain a user name or a password`, {
      hint: 'set OS_USERNAME and OS_PASSWORD instead',
    });
  }
  return url;
}

/**
 * Reads a URL that a credential is sent to.
 *
 * @param name the name of the option
 * @param example a valid value
 * @returns undefined if the option is not set
 * @throws ConfigError if it is not a URL, or would send the credential unencrypted to another machine
 */
export function readCredentialUrl<Name extends string>(
  config: Config<Name | 'allow-http'>,
  name: Name,
  example: string,
): URL | undefined {
  const text = config.text(name);
  if (text === undefined) return undefined;
  const origin = config.origin(name);
  const url = parseUrl(text.trim(), origin, example);
  if (isPlaintextRemote(url) && !config.isOn('allow-http')) {
    throw new ConfigError(`${origin} is http://: the credential would cross the network unencrypted`, {
      hint: 'use https://, or --allow-http if you accept that',
    });
  }
  return url;
}

/**
 * Reads the URL of a Keystone in its normal form: lower-case host, no default port, query, fragment or trailing slash.
 *
 * @param name the name of the option
 * @returns undefined if the option is not set
 * @throws ConfigError if it is not a URL, or would send the credential unencrypted to another machine
 */
export function readKeystoneUrl<Name extends string>(
  config: Config<Name | 'allow-http'>,
  name: Name,
): string | undefined {
  const url = readCredentialUrl(config, name, 'https://keystone.example.com:5000/v3');
  return url === undefined ? undefined : url.origin + removeTrailingSlashes(url.pathname);
}

/**
 * Reads Keystone's URL, see {@link readKeystoneUrl}.
 *
 * @throws ConfigError
 */
export function readAuthUrl(config: Config<'keystone-url' | 'allow-http'>): string | undefined {
  return readKeystoneUrl(config, 'keystone-url');
}
