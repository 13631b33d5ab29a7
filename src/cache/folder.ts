import { isAbsolute, join } from 'node:path';
import type { Host } from '../host.ts';

const NAME = 'client-keystone-auth';

type Base = (host: Host) => string | undefined;

const BASES: Partial<Record<NodeJS.Platform, Base>> = {
  win32: (host) => host.env['LOCALAPPDATA'],
  darwin: (host) => under(host.home(), 'Library', 'Caches'),
};

/** The XDG Base Directory Specification: a relative path is to be ignored. */
const xdg: Base = (host) => {
  const set = host.env['XDG_CACHE_HOME'];
  return set !== undefined && isAbsolute(set) ? set : under(host.home(), '.cache');
};

function under(base: string | undefined, ...names: string[]): string | undefined {
  return base === undefined ? undefined : join(base, ...names);
}

/** The folder of the token cache, or undefined where the user has none: there is no fallback to a shared /tmp. */
export function cacheFolder(host: Host): string | undefined {
  const base = (BASES[host.platform] ?? xdg)(host);
  return base !== undefined && isAbsolute(base) ? join(base, NAME) : undefined;
}
