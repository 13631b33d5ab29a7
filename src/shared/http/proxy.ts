/** Which proxy a request uses. */
import { ConfigError } from '../base/errors.ts';
import type { Environment } from '../base/host.ts';

/** Best first, as curl reads them. */
const VARIABLES = ['https_proxy', 'HTTPS_PROXY'];

/**
 * Reads the variables that say which proxy to use, and for which hosts not to. A proxy without a scheme is an http
 * proxy, as in curl.
 *
 * @throws ConfigError if this kind of proxy is not supported
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

/** Whether an entry of `no_proxy` matches the host of a URL: the host itself, a domain above it, or `*`. */
function matches(entry: string, { hostname, host }: URL): boolean {
  if (entry === '*' || entry === hostname || entry === host) return true;
  const domain = entry.replace(/^\*?\./, '');
  return domain !== '' && hostname.endsWith(`.${domain}`);
}

/** Chooses the proxy for a URL; undefined if the request goes directly to the server, as every http:// request does. */
export function chooseProxy({ https_proxy: proxy, no_proxy: exceptions = '' }: Environment, url: URL): URL | undefined {
  if (proxy === undefined || url.protocol !== 'https:') return undefined;
  const isBypassed = exceptions
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => entry !== '' && matches(entry, url));
  return isBypassed ? undefined : new URL(proxy);
}
