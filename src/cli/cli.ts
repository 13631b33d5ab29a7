import { PluginError } from '../errors.ts';
import { parseExecInfo } from '../exec/exec-info.ts';
import { getToken } from '../get-token.ts';
import type { Host } from '../host.ts';
import { Cancelled } from '../prompt/cancelled.ts';
import { VERSION } from '../version.ts';
import { parseCommand } from './parse.ts';
import { EXIT, makeReporter, reportFailure } from './report.ts';

/** Node's agents speak to proxies, and TLS to the system's authorities, from here on. */
const OLDEST_NODE = [22, 21] as const;

function refuseOldNode(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  throw new PluginError('unsupported', `Node ${version} is too old to run this program`, {
    hint: `use Node ${OLDEST_NODE.join('.')} or newer`,
  });
}

/** Runs a command line to its end: a document on stdout and status 0, or one line on stderr and another status. */
export async function runCli(host: Host): Promise<void> {
  // Should the process end while something is still awaited, that is no success.
  host.setExitStatus(EXIT.internal);
  host.silenceNode();
  try {
    refuseOldNode(host.nodeVersion);
    const command = await parseCommand(host);
    const document =
      'print' in command
        ? command.print
        : await getToken({
            host,
            info: parseExecInfo(host.env['KUBERNETES_EXEC_INFO']),
            flags: command.flags,
            reporter: makeReporter(host, command.flags.get('verbose')?.value === 'true'),
            userAgent: `client-keystone-auth/${VERSION}`,
          });
    const failure = host.writeOut(document);
    if (failure === undefined) host.setExitStatus(EXIT.ok);
    else reportUnwritten(host, failure);
  } catch (error) {
    host.setExitStatus(reportFailure(host, error));
    if (error instanceof Cancelled && error.signal !== undefined) host.raise(error.signal);
  }
}

/** Says that the document could not be written and why, and sets the status of that. */
export function reportUnwritten(host: Host, reason: string): void {
  const error = new PluginError('output', `stdout cannot be written (${reason})`);
  host.setExitStatus(reportFailure(host, error));
}
