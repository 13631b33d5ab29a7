import type { Host } from '../../shared/base/host.ts';
import { makePrintable } from '../../shared/base/text.ts';
import { PROGRAM_NAME } from '../../shared/base/program.ts';
import { findFlagValue } from '../../shared/options/flags.ts';

/** A line on stderr: text for the user; with `--log-format=json`, level, text and parts for programs. */
export interface LogLine {
  readonly level: 'error' | 'warning' | 'info' | 'debug';
  readonly text: string;
  readonly parts?: Readonly<Record<string, string | undefined>>;
}

/** The lines that a run writes to stderr. */
export interface Log {
  readonly isJson: boolean;
  isTerminal(): boolean;
  write(line: LogLine): void;
}

/** Opens the log. It reads its own flag, because errors in the other arguments are reported in the same format. */
export function openLog(host: Host): Log {
  const isJson = findFlagValue(host.argv, '--log-format') === 'json';
  return {
    isJson,
    isTerminal: () => host.stderrIsTerminal(),
    write({ level, text, parts = {} }) {
      const message = makePrintable(text);
      const prefix = level === 'warning' ? 'warning: ' : '';
      const time = new Date(host.now()).toISOString();
      host.writeErr(
        isJson
          ? `${JSON.stringify({ time, level, msg: message, ...parts })}\n`
          : `${PROGRAM_NAME}: ${prefix}${message}\n`,
      );
    },
  };
}
