import { ConfigError } from '../base/errors.ts';
import type { Environment } from '../base/host.ts';

/** Best first, as curl reads them. */
const VARIABLES = ['https_proxy', 'HTTPS_PROXY'];

/**
 * Reads the variables that tell Node's agents which proxy to use, and for which hosts not to. A proxy without a scheme
 * is an http proxy, as in curl; Node itself would ignore it and connect directly.
 *
 * @throws ConfigError if Node does not support this kind of proxy
 */
export function readProxyEnv(env: Environment): Environment {
  const name = VARIABLES.find((candidate) => env[candidate] !== undefined && env[candidate] !== '');
  if (name === undefined) return {};
  const text = env[name] ?? '';
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(url) || !/^https?:\/\//i.test(url)) {
    throw new ConfigError(`${name} is not the URL of an HTTP proxy`, {
      hint: `set ${name} to http://HOST:PORT, or unset it`,
    });
  }
  return { https_proxy: url, no_proxy: env['no_proxy'] ?? env['NO_PROXY'] };
}
