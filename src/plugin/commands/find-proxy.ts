import { readProxyEnv } from '../../shared/http/proxy.ts';
import type { Host } from '../../shared/base/host.ts';

/** Whether an entry of `no_proxy` matches the host of a URL: the host itself, a domain above it, or `*`. */
function matches(entry: string, { hostname, host }: URL): boolean {
  if (entry === '*' || entry === hostname || entry === host) return true;
  const domain = entry.replace(/^\*?\./, '');
  return domain !== '' && hostname.endsWith(`.${domain}`);
}

/**
 * Returns the proxy for a URL; undefined if the request goes directly to the server.
 *
 * @throws ConfigError when Node does not support the kind of proxy
 */
export function findProxy(host: Host, url: URL): URL | undefined {
  const { https_proxy: proxy, no_proxy: exceptions = '' } = readProxyEnv(host.env);
  if (proxy === undefined || url.protocol !== 'https:') return undefined;
  const isBypassed = exceptions
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => entry !== '' && matches(entry, url));
  return isBypassed ? undefined : new URL(proxy);
}

/** Returns the URL of a proxy without its user name and password. */
export function describeProxy({ protocol, host }: URL): string {
  return `${protocol}//${host}`;
}
