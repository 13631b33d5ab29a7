import { SYSTEM_CLOCK } from '../../shared/base/clock.ts';
import { PluginError } from '../../shared/base/errors.ts';
import { findFlagValue } from '../../shared/base/host.ts';
import type { Host } from '../../shared/base/host.ts';
import { makeWaitFor } from '../../shared/base/long-wait.ts';
import { PROGRAM_NAME } from '../../shared/base/program.ts';
import { redact } from '../../shared/base/secret.ts';
import { makePrintable, renderJson, renderLines } from '../../shared/base/terminal-text.ts';
import type { Layer } from '../config/option.ts';
import type { Reporter } from '../login/login-context.ts';
import { EXIT, getExitStatus } from './exit-status.ts';

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
  const isJson = findFlagValue(host, '--log-format') === 'json';
  return {
    isJson,
    isTerminal: () => host.stderrIsTerminal(),
    write({ level, text, parts = {} }) {
      if (!isJson) {
        host.writeErr(renderLines([`${PROGRAM_NAME}: ${level === 'warning' ? 'warning: ' : ''}${text}`]));
        return;
      }
      const time = new Date(host.now()).toISOString();
      const entries = Object.entries<string | undefined>({ time, level, msg: text, ...parts });
      // Programs often print the messages of a log as they are.
      const printable = entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, makePrintable(value)]]));
      host.writeErr(renderJson(Object.fromEntries(printable)));
    },
  };
}

/**
 * Makes the reporter of a run, as verbose as its flags say.
 *
 * @param clock times the waits
 */
export function makeReporter(log: Log, flags: Layer, clock = SYSTEM_CLOCK): Reporter {
  const verbosity = Number(flags.get('verbose')?.value ?? 0);
  const announce = makeWaitFor(clock, (what) => {
    log.write({ level: 'info', text: `waiting for ${what}` });
  });
  return {
    warn: (text) => {
      log.write({ level: 'warning', text });
    },
    info: (text) => {
      log.write({ level: 'info', text });
    },
    progress: (text) => {
      if (log.isTerminal()) log.write({ level: 'info', text });
    },
    waitFor: (what, work) => (log.isTerminal() ? announce(what, work) : work()),
    debug: (text, level = 1) => {
      if (verbosity >= level) log.write({ level: 'debug', text });
    },
  };
}

function describeBug(error: unknown): string {
  // A library's message may contain a secret.
  const details = redact(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
  return `internal error: ${details}; this is a bug, please report it`;
}

/**
 * Reports a failure in one line: what happened, what to do, and Keystone's request ID.
 *
 * @returns the exit status
 */
export function reportFailure(log: Log, error: unknown): number {
  if (!(error instanceof PluginError)) {
    log.write({ level: 'error', text: describeBug(error), parts: { code: 'internal' } });
    return EXIT.internal;
  }
  const { code, message, hint, requestId } = error;
  const suffix = `${hint === undefined ? '' : `; ${hint}`}${requestId === undefined ? '' : ` (${requestId})`}`;
  const text = log.isJson ? message : `${message}${suffix}`;
  log.write({ level: 'error', text, parts: { code, hint, requestId } });
  return getExitStatus(code);
}
