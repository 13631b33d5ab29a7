import { posix, win32 } from 'node:path';
import which from 'which';
import type { Environment, Host } from '../../shared/base/host.ts';

/** A path with a folder, so that `which` itself searches neither the PATH nor, on Windows, the current folder. */
const isProgram = (path: string): boolean => which.sync(path, { nothrow: true, path: '' }) !== null;

/** Where programs of the system are, if nobody says otherwise. */
const SYSTEM_FOLDERS: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  win32: [String.raw`C:\Windows\System32`],
};
const UNIX_FOLDERS = ['/usr/local/bin', '/usr/bin', '/bin'];

const readPath = (env: Environment): string | undefined => env['PATH'] ?? env['Path'];

/** Returns the path that a shell and Go's `exec.LookPath` run for a command; undefined if there is no such program. */
export function findProgram(command: string, { env, platform }: Pick<Host, 'env' | 'platform'>): string | undefined {
  const paths = platform === 'win32' ? win32 : posix;
  const names = platform === 'win32' ? [`${command}.exe`, `${command}.cmd`, command] : [command];
  if (/[/\\]/.test(command)) return names.find(isProgram);
  const folders = (readPath(env) ?? '').split(paths.delimiter).filter((folder) => folder !== '');
  return folders.flatMap((folder) => names.map((name) => paths.join(folder, name))).find(isProgram);
}

/**
 * Finds a program that the plugin starts: on the PATH of the person, without relative folders, or in the folders of the
 * system if the person has no PATH. The PATH of a kubeconfig does not count.
 *
 * @returns an absolute path; undefined if there is no such program, or if it is named by a relative path
 */
export function findTrustedProgram(command: string, host: Host): string | undefined {
  const { platform } = host;
  const paths = platform === 'win32' ? win32 : posix;
  if (/[/\\]/.test(command) && !paths.isAbsolute(command)) return undefined;
  const folders =
    readPath(host.personalVariables())?.split(paths.delimiter) ?? SYSTEM_FOLDERS[platform] ?? UNIX_FOLDERS;
  const PATH = folders.filter((folder) => paths.isAbsolute(folder)).join(paths.delimiter);
  return findProgram(command, { env: { PATH }, platform });
}
