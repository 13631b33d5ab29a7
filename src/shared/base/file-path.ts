import { isAbsolute, join, resolve } from 'node:path';
import type { Host } from './host.ts';

/** The absolute path of a file that a setting names: `~` is the home folder, a relative path begins in the current one. */
export function resolvePath(path: string, host: Host): string {
  const home = host.home();
  const expanded = home !== undefined && /^~(?=$|[/\\])/.test(path) ? join(home, path.slice(1)) : path;
  return isAbsolute(expanded) ? expanded : resolve(host.cwd, expanded);
}
