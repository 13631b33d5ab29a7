import { PluginError } from '../../shared/base/errors.ts';
import { makePrintable } from '../../shared/base/text.ts';
import { redact } from '../../shared/base/secret.ts';
import type { Layer } from '../config/option.ts';
import type { Reporter } from '../login/reporter.ts';
import { EXIT, getExitStatus } from './exit-status.ts';
import type { Log } from './log.ts';

/** Makes the reporter of a run, as verbose as its flags say. */
export function makeReporter(log: Log, flags: Layer): Reporter {
  const verbosity = Number(flags.get('verbose')?.value ?? 0);
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
 * Reports a failure in one line: what happened, what to do, and Keystone's request id.
 *
 * @returns the exit status
 */
export function reportFailure(log: Log, error: unknown): number {
  if (!(error instanceof PluginError)) {
    log.write({ level: 'error', text: describeBug(error), parts: { code: 'internal' } });
    return EXIT.internal;
  }
  const { code, message } = error;
  const [hint, requestId] = [error.hint, error.requestId].map((text) =>
    text === undefined ? undefined : makePrintable(text),
  );
  const suffix = `${hint === undefined ? '' : `; ${hint}`}${requestId === undefined ? '' : ` (${requestId})`}`;
  const text = log.isJson ? message : `${message}${suffix}`;
  log.write({ level: 'error', text, parts: { code, hint, requestId } });
  return getExitStatus(code);
}
