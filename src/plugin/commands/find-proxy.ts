import { readProxyEnv } from '../../shared/http/proxy.ts';
import type { Host } from '../../shared/base/host.ts';

/** Whether an entry of no_proxy is about this host: the host itself, a domain above it, or all of them. */
function covers(entry: string, { hostname, host }: URL): boolean {
  if (entry === '*' || entry === hostname || entry === host) return true;
  const domain = entry.replace(/^\*?\./, '');
  return domain !== '' && hostname.endsWith(`.${domain}`);
}

/** The proxy that a URL is reached through; undefined where there is none. */
export function findProxy(host: Host, url: URL): URL | undefined {
  const { https_proxy: proxy, no_proxy: without = '' } = readProxyEnv(host.env);
  if (proxy === undefined || url.protocol !== 'https:') return undefined;
  const bypassed = without
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => entry !== '' && covers(entry, url));
  return bypassed ? undefined : new URL(proxy);
}

/** A proxy without the name and the password that may stand in its URL. */
export function describeProxy({ protocol, host }: URL): string {
  return `${protocol}//${host}`;
}
