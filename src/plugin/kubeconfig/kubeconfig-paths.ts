/**
 * Finds the kubeconfig files (Kubernetes documentation, "Organizing Cluster Access Using kubeconfig Files"; client-go
 * loading rules).
 */
import { posix, win32 } from 'node:path';
import { ConfigError } from '../../shared/base/errors.ts';
import { requireCurrentFolder } from '../../shared/base/host.ts';
import type { Host } from '../../shared/base/host.ts';

function makeAbsolute(path: string, host: Host): string {
  const paths = host.platform === 'win32' ? win32 : posix;
  const isInHome = /^~(?=$|[/\\])/.test(path);
  const expanded = isInHome ? paths.join(requireHome(host), path.slice(1)) : path;
  return paths.isAbsolute(expanded) ? expanded : paths.resolve(requireCurrentFolder(host, path), expanded);
}

function requireHome(host: Host): string {
  const home = host.home();
  if (home !== undefined) return home;
  throw new ConfigError('there is no home folder for a kubeconfig', { hint: 'name a file with --kubeconfig' });
}

/**
 * Lists the kubeconfig files: the file of `--kubeconfig`, else those in KUBECONFIG, else the one in the home folder.
 *
 * @param override the value of `--kubeconfig`
 * @returns absolute paths, the file with the highest priority first
 * @throws ConfigError if there is no home folder, or if a path starts in the current folder, which has been deleted
 */
export function locateKubeconfig(host: Host, override: string | undefined): readonly [string, ...string[]] {
  if (override !== undefined) return [makeAbsolute(override, host)];
  const paths = host.platform === 'win32' ? win32 : posix;
  const listed = (host.env['KUBECONFIG'] ?? '').split(paths.delimiter).filter((path) => path !== '');
  // Like kubectl, this expands no tilde: the shell has done that.
  const [first, ...others] = new Set(
    listed.map((path) => (paths.isAbsolute(path) ? path : paths.resolve(requireCurrentFolder(host, path), path))),
  );
  if (first !== undefined) return [first, ...others];
  return [paths.join(requireHome(host), '.kube', 'config')];
}
