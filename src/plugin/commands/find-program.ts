import { accessSync, constants } from 'node:fs';
import { posix, win32 } from 'node:path';
import type { Host } from '../../shared/base/host.ts';

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The program that a command is, as a shell and Go's `exec.LookPath` find it; undefined where there is none. */
export function findProgram(command: string, { env, platform }: Host): string | undefined {
  const paths = platform === 'win32' ? win32 : posix;
  const names = platform === 'win32' ? [`${command}.exe`, `${command}.cmd`, command] : [command];
  if (/[/\\]/.test(command)) return names.find(isProgram);
  const folders = (env['PATH'] ?? env['Path'] ?? '').split(paths.delimiter).filter((folder) => folder !== '');
  return folders.flatMap((folder) => names.map((name) => paths.join(folder, name))).find(isProgram);
}
