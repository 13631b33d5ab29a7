import { accessSync, constants } from 'node:fs';
import { posix, win32 } from 'node:path';
import type { Host } from '../../host.ts';

const NAME = 'client-keystone-auth';

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether a shell would find a program of our name. */
function isOnPath({ env, platform }: Host): boolean {
  const paths = platform === 'win32' ? win32 : posix;
  const folders = (env['PATH'] ?? env['Path'] ?? '').split(paths.delimiter).filter((folder) => folder !== '');
  const names = platform === 'win32' ? [`${NAME}.exe`, `${NAME}.cmd`] : [NAME];
  return folders.some((folder) => names.some((name) => isProgram(paths.join(folder, name))));
}

/** What kubectl shall run, and what is the matter with it, if anything. */
export interface Program {
  readonly command: string;
  readonly warning?: string;
}

/** Chooses what kubectl shall run: what is asked for, our name if that is on the PATH, else this very executable. */
export function chooseProgram(host: Host, asked: string | undefined): Program {
  if (asked !== undefined) return { command: asked };
  if (isOnPath(host)) return { command: NAME };
  const paths = host.platform === 'win32' ? win32 : posix;
  // A single executable is its own Node.
  if (paths.basename(host.program).startsWith(NAME)) return { command: host.program };
  return {
    command: NAME,
    warning: `${NAME} is not on your PATH, where kubectl looks for it; put it there, or name it with --command`,
  };
}
