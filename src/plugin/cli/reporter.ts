/** The one place that speaks to the user: what a failure says and which exit status it has. */
import { PluginError } from '../../shared/base/errors.ts';
import type { Layer } from '../../shared/options/layer.ts';
import type { Reporter } from '../login/reporter.ts';
import type { Host } from '../../shared/base/host.ts';
import { makePrintable } from '../../shared/base/printable.ts';
import { redact } from '../../shared/base/secret.ts';
import { EXIT, getExitStatus } from './exit-status.ts';

const NAME = 'client-keystone-auth';

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
