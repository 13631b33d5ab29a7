import { posix, win32 } from 'node:path';
import which from 'which';
import type { Host } from '../../shared/base/host.ts';

/** A path with a folder, so that `which` itself searches neither the PATH nor, on Windows, the current folder. */
const isProgram = (path: string): boolean => which.sync(path, { nothrow: true, path: '' }) !== null;

/** Returns the path that a shell and Go's `exec.LookPath` run for a command; undefined if there is no such program. */
export function findProgram(command: string, { env, platform }: Host): string | undefined {
  const paths = platform === 'win32' ? win32 : posix;
  const names = platform === 'win32' ? [`${command}.exe`, `${command}.cmd`, command] : [command];
  if (/[/\\]/.test(command)) return names.find(isProgram);
  const folders = (env['PATH'] ?? env['Path'] ?? '').split(paths.delimiter).filter((folder) => folder !== '');
  return folders.flatMap((folder) => names.map((name) => paths.join(folder, name))).find(isProgram);
}
