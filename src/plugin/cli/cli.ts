import { parseExecInfo } from '../exec/exec-credential.ts';
import { getExecCredential } from '../login/get-token.ts';
import type { Host } from '../../shared/base/host.ts';
import { USER_AGENT, VERSION } from '../../shared/base/version.ts';
import { isGetTokenCommand, parseGetTokenCommand } from './parse-command-line.ts';
import { EXIT } from './exit-status.ts';
import { makeReporter } from './reporter.ts';
import { runToEnd } from './run-to-end.ts';
import type { RunResult } from './run-to-end.ts';

async function answer(host: Host): Promise<RunResult | undefined> {
  if (!isGetTokenCommand(host.argv)) {
    // A bundle of its own, with errors and secrets of its own: nothing but the Host goes across.
    const { runCommand } = await import('../commands/run-command.ts');
    await runCommand(host);
    return undefined;
  }
  const { flags, wantsVersion } = parseGetTokenCommand(host.argv);
  if (wantsVersion) return { document: `${VERSION}\n`, exitStatus: EXIT.ok };
  const document = await getExecCredential({
    host,
    execInfo: parseExecInfo(host.env['KUBERNETES_EXEC_INFO']),
    flags,
    reporter: makeReporter(host, flags),
    userAgent: USER_AGENT,
    onFastPath: true,
  });
  return { document, exitStatus: EXIT.ok };
}

/** Runs a command line and ends the process: a document on stdout and status 0, or one line on stderr and another status. */
export async function runCli(host: Host): Promise<void> {
  await runToEnd(host, () => answer(host));
  host.exit();
}

export { reportWriteFailure } from './run-to-end.ts';
