/** The one place that speaks to the user: what a failure says and which exit status it has. */
import { PluginError } from '../../shared/base/errors.ts';
import type { PluginErrorCode } from '../../shared/base/errors.ts';
import type { Layer } from '../../shared/options/layer.ts';
import type { Reporter } from '../login/reporter.ts';
import type { Host } from '../../shared/base/host.ts';
import { makePrintable } from '../../shared/base/printable.ts';
import { redact } from '../../shared/base/secret.ts';

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
  'factor-refused': EXIT.refused,
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

/** The exit status that a failure has. */
export function getExitStatus(code: PluginErrorCode): number {
  return STATUS[code];
}

const FORMAT = '--log-format';

/** What a line on stderr is: for a person its words, for a program these and its parts. */
interface Line {
  readonly level: 'error' | 'warning' | 'info' | 'debug';
  readonly text: string;
  readonly parts?: Readonly<Record<string, string | undefined>>;
}

/** Whether programs read stderr. Arguments that cannot be parsed must be complained of in that form too. */
function isForPrograms({ argv }: Host): boolean {
  const index = argv.findLastIndex((argument) => argument === FORMAT || argument.startsWith(`${FORMAT}=`));
  return (argv[index] === FORMAT ? argv[index + 1] : argv[index]?.slice(FORMAT.length + 1)) === 'json';
}

/** Writes one line (with `--log-format=json` one object: RFC 3339 time in UTC, level, msg). */
function writeLine(host: Host, { level, text, parts = {} }: Line): void {
  if (isForPrograms(host)) {
    const line = { time: new Date(host.now()).toISOString(), level, msg: makePrintable(text), ...parts };
    host.writeErr(`${JSON.stringify(line)}\n`);
    return;
  }
  const label = level === 'warning' ? 'warning: ' : '';
  host.writeErr(`${NAME}: ${label}${makePrintable(text)}\n`);
}

/** A {@link Reporter} on stderr, as talkative as the flags say. */
export function makeReporter(host: Host, flags: Layer): Reporter {
  const loudness = Number(flags.get('verbose')?.value ?? 0);
  return {
    warn: (text) => {
      writeLine(host, { level: 'warning', text });
    },
    info: (text) => {
      writeLine(host, { level: 'info', text });
    },
    progress: (text) => {
      if (host.stderrIsTerminal()) writeLine(host, { level: 'info', text });
    },
    debug: (text, level = 1) => {
      if (loudness >= level) writeLine(host, { level: 'debug', text });
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
    writeLine(host, { level: 'error', text: describeBug(error), parts: { code: 'internal' } });
    return EXIT.internal;
  }
  const { code } = error;
  const [message, hint, requestId] = [error.message, error.hint, error.requestId].map((text) =>
    text === undefined ? undefined : makePrintable(text),
  );
  const after = `${hint === undefined ? '' : `; ${hint}`}${requestId === undefined ? '' : ` (${requestId})`}`;
  const text = `${message ?? ''}${isForPrograms(host) ? '' : after}`;
  writeLine(host, { level: 'error', text, parts: { code, hint, requestId } });
  return getExitStatus(code);
}
