import { parseExecInfo } from '../exec/exec-info.ts';
import { getToken } from '../login/get-token.ts';
import type { Host } from '../../shared/base/host.ts';
import { USER_AGENT, VERSION } from '../../shared/base/version.ts';
import { isGetToken, parseGetToken } from './parse-command-line.ts';
import { EXIT, makeReporter } from './reporter.ts';
import { runToEnd } from './run-to-end.ts';
import type { Outcome } from './run-to-end.ts';

async function answer(host: Host): Promise<Outcome | undefined> {
  if (!isGetToken(host.argv)) {
    // A bundle of its own, with errors and secrets of its own: nothing but the Host goes across.
    const { runCommand } = await import('../commands/run-command.ts');
    await runCommand(host);
    return undefined;
  }
  const { flags, version } = parseGetToken(host.argv);
  if (version) return { document: `${VERSION}\n`, status: EXIT.ok };
  const document = await getToken({
    host,
    info: parseExecInfo(host.env['KUBERNETES_EXEC_INFO']),
    flags,
    reporter: makeReporter(host, flags),
    userAgent: USER_AGENT,
    onHitPath: true,
  });
  return { document, status: EXIT.ok };
}

/** Runs a command line and ends the process: a document on stdout and status 0, or one line on stderr and another status. */
export async function runCli(host: Host): Promise<void> {
  await runToEnd(host, () => answer(host));
  host.exit();
}

export { reportUnwritten } from './run-to-end.ts';
