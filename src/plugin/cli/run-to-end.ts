import { PluginError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { UserCancelled } from '../terminal/terminal.ts';
import { EXIT } from './exit-status.ts';
import { reportFailure } from './reporter.ts';

/** Node's agents speak to proxies, and TLS to the system's authorities, from here on. */
const OLDEST_NODE = [22, 21] as const;

function refuseOldNode(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  throw new PluginError('unsupported', `Node ${version} is too old to run this program`, {
    hint: `use Node ${OLDEST_NODE.join('.')} or newer`,
  });
}

/** What goes to stdout, and the status that the run ends with. */
export interface RunResult {
  readonly document: string;
  readonly exitStatus: number;
}

/** Says that the document could not be written and why, and sets the status of that. */
export function reportWriteFailure(host: Host, reason: string): void {
  const error = new PluginError('output', `stdout cannot be written (${reason})`);
  host.setExitStatus(reportFailure(host, error));
}

/**
 * Runs something to its end: a document on stdout and its status, or one line on stderr and another status.
 *
 * @param act gives undefined where another part of the program has brought the run to its end
 */
export async function runToEnd(host: Host, act: () => Promise<RunResult | undefined>): Promise<void> {
  // Should the process end while something is still awaited, that is no success.
  host.setExitStatus(EXIT.internal);
  host.silenceNode();
  try {
    refuseOldNode(host.nodeVersion);
    const outcome = await act();
    if (outcome === undefined) return;
    const failure = host.writeOut(outcome.document);
    if (failure === undefined) host.setExitStatus(outcome.exitStatus);
    else reportWriteFailure(host, failure);
  } catch (error) {
    host.setExitStatus(reportFailure(host, error));
    if (error instanceof UserCancelled && error.signal !== undefined) host.raise(error.signal);
  }
}
