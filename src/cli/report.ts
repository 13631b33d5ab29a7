/** The one place that speaks to the user: what a failure says and which exit status it has. */
import { PluginError } from '../errors.ts';
import type { PluginErrorCode } from '../errors.ts';
import type { Reporter } from '../login/login.ts';
import type { Host } from '../host.ts';
import { makePrintable } from '../printable.ts';
import { redact } from '../secret.ts';

const NAME = 'client-keystone-auth';

/** Exit statuses; the README documents them. */
export const EXIT = {
  ok: 0,
  internal: 1,
  usage: 2,
  config: 3,
  interaction: 4,
  refused: 5,
  unreachable: 6,
  protocol: 7,
  cancelled: 130,
} as const;

const STATUS: Readonly<Record<PluginErrorCode, number>> = {
  usage: EXIT.usage,
  'config-invalid': EXIT.config,
  'config-conflict': EXIT.config,
  'interaction-required': EXIT.interaction,
  cancelled: EXIT.cancelled,
  'auth-rejected': EXIT.refused,
  'refused-before': EXIT.refused,
  'factor-required': EXIT.refused,
  'method-not-offered': EXIT.refused,
  'password-expired': EXIT.refused,
  'credential-unknown': EXIT.refused,
  'request-rejected': EXIT.refused,
  unreachable: EXIT.unreachable,
  untrusted: EXIT.unreachable,
  'timed-out': EXIT.unreachable,
  unavailable: EXIT.unreachable,
  'rate-limited': EXIT.unreachable,
  'not-keystone': EXIT.protocol,
  'redirect-refused': EXIT.protocol,
  protocol: EXIT.protocol,
  unsupported: EXIT.config,
  cache: EXIT.internal,
  output: EXIT.internal,
};

function writeLine(host: Host, text: string): void {
  host.writeErr(`${NAME}: ${makePrintable(text)}\n`);
}

/** A {@link Reporter} on stderr. */
export function makeReporter(host: Host, verbose: boolean): Reporter {
  return {
    warn: (message) => {
      writeLine(host, `warning: ${message}`);
    },
    notice: (message) => {
      writeLine(host, message);
    },
    progress: (message) => {
      if (host.stderrIsTerminal()) writeLine(host, message);
    },
    detail: (message) => {
      if (verbose) writeLine(host, message);
    },
  };
}

function describeBug(error: unknown): string {
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  // Nobody knows what a library put into its message.
  return `internal error: ${redact(what)}; this is a bug, please report it`;
}

/**
 * Says a failure in one line: what, what to do, Keystone's request id.
 *
 * @returns the exit status
 */
export function reportFailure(host: Host, error: unknown): number {
  if (!(error instanceof PluginError)) {
    writeLine(host, describeBug(error));
    return EXIT.internal;
  }
  const hint = error.hint === undefined ? '' : `; ${error.hint}`;
  const requestId = error.requestId === undefined ? '' : ` (${error.requestId})`;
  writeLine(host, `${error.message}${hint}${requestId}`);
  return STATUS[error.code];
}
