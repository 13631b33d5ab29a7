/** Which files kubectl takes for the kubeconfig (kubernetes doc "Organizing Cluster Access", and client-go's loading rules). */
import { posix, win32 } from 'node:path';
import { ConfigError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';

/** The files of a kubeconfig. */
export interface KubeconfigFiles {
  /** Absolute paths, the strongest first. */
  readonly paths: readonly [string, ...string[]];
  /** What named them, in the words of a message. */
  readonly origin: string;
}

function absolute(path: string, host: Host): string {
  const paths = host.platform === 'win32' ? win32 : posix;
  const folder = host.home();
  const expanded = folder !== undefined && /^~(?=$|[/\\])/.test(path) ? paths.join(folder, path.slice(1)) : path;
  return paths.isAbsolute(expanded) ? expanded : paths.resolve(host.cwd, expanded);
}

/**
 * Finds the kubeconfig: the file that is named, else the list in KUBECONFIG, else the one in the home folder.
 *
 * @param named by `--kubeconfig`
 * @throws ConfigError where there is no home folder
 */
export function locateKubeconfig(host: Host, named: string | undefined): KubeconfigFiles {
  if (named !== undefined) return { paths: [absolute(named, host)], origin: '--kubeconfig' };
  const paths = host.platform === 'win32' ? win32 : posix;
  const listed = (host.env['KUBECONFIG'] ?? '').split(paths.delimiter).filter((path) => path !== '');
  // kubectl knows no tilde here: the shell has put the home folder in its place.
  const [first, ...others] = new Set(
    listed.map((path) => (paths.isAbsolute(path) ? path : paths.resolve(host.cwd, path))),
  );
  if (first !== undefined) return { paths: [first, ...others], origin: 'KUBECONFIG' };
  const home = host.home();
  if (home === undefined) {
    throw new ConfigError('there is no home folder for a kubeconfig', { hint: 'name a file with --kubeconfig' });
  }
  return { paths: [paths.join(home, '.kube', 'config')], origin: 'the home folder' };
}
