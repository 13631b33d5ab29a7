import { PluginError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import type { TerminalText } from '../../shared/base/terminal-text.ts';
import { UserCanceled } from '../terminal/terminal.ts';
import { EXIT } from './exit-status.ts';
import { openLog, reportFailure } from './reporter.ts';
import type { Log } from './reporter.ts';

/** The first Node with proxy support in its agents and with the system's certificate authorities. */
const MIN_NODE = [22, 21] as const;

function rejectOldNode(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1])) return;
  throw new PluginError('unsupported', `Node ${version} is too old to run this program`, {
    hint: `use Node ${MIN_NODE.join('.')} or newer`,
  });
}

/** The document for stdout, and the exit status. */
export interface RunResult {
  readonly document: TerminalText;
  readonly exitStatus: number;
}

/** Reports that the document cannot be written to stdout, and sets the exit status. */
export function reportWriteFailure(host: Host, reason: string): void {
  const error = new PluginError('output', `cannot write to stdout (${reason})`);
  host.setExitStatus(reportFailure(openLog(host), error));
}

/**
 * Makes sure that the process never ends without a word, whatever a server, a library or the runtime does: an error that
 * nothing handles, a wait that nothing ends, and an end of the process before its result are reported as failures.
 *
 * @returns a function to call when the run has reported its result
 */
export function reportUnexpectedEnd(host: Host): () => void {
  const report = (error: unknown): void => {
    host.setExitStatus(reportFailure(openLog(host), error));
  };
  const hasReported = host.onExit(() => {
    report(new Error('the process ends, and there is no result'));
  });
  const end = (error: unknown): void => {
    hasReported();
    report(error);
    host.exitNow();
  };
  host.onUnhandledError(end);
  host.onIdle(() => {
    end(new Error('nothing is left to wait for, and there is no result'));
  });
  return hasReported;
}

/**
 * Runs the program to its end: a document on stdout and its exit status, or one line on stderr and another status.
 *
 * @param act returns undefined if another part of the program has finished the run
 */
export async function runToEnd(host: Host, act: (log: Log) => Promise<RunResult | undefined>): Promise<void> {
  // If the process ends while something is still pending, that is a failure.
  host.setExitStatus(EXIT.internal);
  host.silenceNode();
  const log = openLog(host);
  try {
    rejectOldNode(host.nodeVersion);
    const result = await act(log);
    if (result === undefined) return;
    const reason = host.writeOut(result.document);
    if (reason === undefined) host.setExitStatus(result.exitStatus);
    else reportWriteFailure(host, reason);
  } catch (error) {
    host.setExitStatus(reportFailure(log, error));
    if (error instanceof UserCanceled && error.signal !== undefined) host.raise(error.signal);
  }
}
