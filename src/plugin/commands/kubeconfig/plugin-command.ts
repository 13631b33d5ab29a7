import { posix, win32 } from 'node:path';
import type { Host } from '../../../shared/base/host.ts';
import { findProgram } from '../find-program.ts';

const NAME = 'client-keystone-auth';

/** What kubectl shall run, and what is the matter with it, if anything. */
export interface PluginCommand {
  readonly command: string;
  readonly warning?: string;
}

/** Chooses what kubectl shall run: what is asked for, our name if that is on the PATH, else this very executable. */
export function choosePluginCommand(host: Host, asked: string | undefined): PluginCommand {
  if (asked !== undefined) return { command: asked };
  if (findProgram(NAME, host) !== undefined) return { command: NAME };
  const paths = host.platform === 'win32' ? win32 : posix;
  // A single executable is its own Node.
  if (paths.basename(host.execPath).startsWith(NAME)) return { command: host.execPath };
  return {
    command: NAME,
    warning: `${NAME} is not on your PATH, where kubectl looks for it; put it there, or name it with --command`,
  };
}
