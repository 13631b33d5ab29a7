import { EXEC_INFO } from '../../shared/base/host.ts';
import type { Host } from '../../shared/base/host.ts';
import { USER_AGENT, VERSION } from '../../shared/base/program.ts';
import { renderLines } from '../../shared/base/terminal-text.ts';
import { isRunByKubectl, parseExecInfo } from '../exec/exec-credential.ts';
import { getExecCredential } from '../login/cluster-token.ts';
import { EXIT } from './exit-status.ts';
import type { Log } from './reporter.ts';
import { parseGetTokenCommand, scanArguments } from './parse-command-line.ts';
import type { ScannedArguments } from './parse-command-line.ts';
import { makeReporter } from './reporter.ts';
import { reportUnexpectedEnd, runToEnd } from './run-to-end.ts';
import type { RunResult } from './run-to-end.ts';

/** Runs a command line and exits: a document on stdout and status 0, or one line on stderr and another status. */
export async function runCli(host: Host): Promise<void> {
  const hasReported = reportUnexpectedEnd(host);
  await runToEnd(host, (log) => dispatch(host, log));
  hasReported();
  host.exitNow();
}

/** Whether a person wants a token, not kubectl or a script: a terminal shows it, or a context is selected. */
function isTyped(host: Host, { wantsVersion, selectsContext }: ScannedArguments): boolean {
  if (isRunByKubectl(host) || wantsVersion) return false;
  return selectsContext || host.columns() !== undefined;
}

async function dispatch(host: Host, log: Log): Promise<RunResult | undefined> {
  const scan = scanArguments(host.argv);
  if (!scan.isGetToken || isTyped(host, scan)) {
    // The commands are another bundle with its own error and secret classes: pass plain data only.
    const { runCommand } = await import('../commands/run-command.ts');
    await runCommand(host);
    return undefined;
  }
  const { flags, wantsVersion } = parseGetTokenCommand(scan);
  if (wantsVersion) return { document: renderLines([VERSION]), exitStatus: EXIT.ok };
  const document = await getExecCredential({
    host,
    execInfo: parseExecInfo(host.env[EXEC_INFO]),
    flags,
    reporter: makeReporter(log, flags),
    userAgent: USER_AGENT,
    onFastPath: true,
  });
  return { document, exitStatus: EXIT.ok };
}

export { reportWriteFailure } from './run-to-end.ts';
