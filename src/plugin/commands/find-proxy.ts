import { chooseProxy, readProxyEnv } from '../../shared/http/proxy.ts';
import type { Host } from '../../shared/base/host.ts';

/**
 * Returns the proxy for a URL; undefined if the request goes directly to the server.
 *
 * @throws ConfigError if this kind of proxy is not supported
 */
export function findProxy(host: Host, url: URL): URL | undefined {
  return chooseProxy(readProxyEnv(host.env), url);
}

/** Returns the URL of a proxy without its user name and password. */
export function describeProxy({ protocol, host }: URL): string {
  return `${protocol}//${host}`;
}
