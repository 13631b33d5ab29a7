import { PluginError } from '../../shared/base/errors.ts';
import type { PluginErrorCode } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { redact } from '../../shared/base/secret.ts';
import { renderLines } from '../../shared/base/terminal-text.ts';
import { PROGRAM_NAME } from './options.ts';

/** Exit statuses, the same as those of the plugin. */
const EXIT_STATUSES: Readonly<Partial<Record<PluginErrorCode, number>>> = {
  usage: 2,
  'config-invalid': 3,
  'config-conflict': 3,
  unsupported: 3,
};

/** Writes an error to stderr, and returns the exit status. */
export function reportError(host: Host, error: unknown): number {
  const writeLine = (text: string): void => {
    host.writeErr(renderLines([`${PROGRAM_NAME}: ${text}`]));
  };
  if (error instanceof PluginError) {
    writeLine(error.hint === undefined ? error.message : `${error.message}; ${error.hint}`);
    return EXIT_STATUSES[error.code] ?? 1;
  }
  const description = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  writeLine(`internal error: ${redact(description)}; this is a bug, please report it`);
  return 1;
}
