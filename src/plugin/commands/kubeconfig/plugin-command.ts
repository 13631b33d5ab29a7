import { posix, win32 } from 'node:path';
import type { Host } from '../../../shared/base/host.ts';
import { findProgram } from '../../programs/find-program.ts';
import { PROGRAM_NAME } from '../../../shared/base/program.ts';

/** The command that kubectl runs, with a warning if kubectl cannot find it. */
export interface PluginCommand {
  readonly command: string;
  readonly warning?: string;
}

/**
 * Chooses the command that kubectl runs: the value of `--command`, else the name of the plugin if it is on the PATH,
 * else the path of this executable.
 */
export function choosePluginCommand(host: Host, override: string | undefined): PluginCommand {
  if (override !== undefined) return { command: override };
  if (findProgram(PROGRAM_NAME, host) !== undefined) return { command: PROGRAM_NAME };
  const paths = host.platform === 'win32' ? win32 : posix;
  // execPath is Node itself unless the plugin is a single executable.
  if (paths.basename(host.execPath).startsWith(PROGRAM_NAME)) return { command: host.execPath };
  return {
    command: PROGRAM_NAME,
    warning:
      `${PROGRAM_NAME} is not on your PATH, so kubectl cannot find it; ` +
      'put it there, or give its path with --command',
  };
}
