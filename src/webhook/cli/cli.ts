/** The command line of k8s-keystone-auth: the server, and commands that check policies. */
import { SYSTEM_CLOCK } from '../../shared/base/clock.ts';
import type { Clock } from '../../shared/base/clock.ts';
import { PluginError, UsageError } from '../../shared/base/errors.ts';
import type { PluginErrorCode } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { escapeJson, renderLines } from '../../shared/base/terminal-text.ts';
import { redact } from '../../shared/base/secret.ts';
import { VERSION } from '../../shared/base/program.ts';
import { openLog } from '../observability/log.ts';
import { translateGoFlags } from './go-flags.ts';
import { PROGRAM_NAME, WEBHOOK_OPTION_GROUPS, WEBHOOK_OPTIONS } from './options.ts';
import { parseCommandLine, renderHelp } from './parse-command-line.ts';
import { runPolicyCommand } from './policy-command.ts';
import { readWebhookSettings } from './settings.ts';
import { startWebhook } from './start-webhook.ts';

const USAGE = `Usage: ${PROGRAM_NAME} [options]
       ${PROGRAM_NAME} policy test|lint --help

Answers TokenReviews and SubjectAccessReviews of kube-apiserver with the help of OpenStack Keystone.
Variables are in brackets; a flag takes precedence over its variable.`;

/** Exit statuses, the same as those of the plugin. */
const EXIT_STATUSES: Readonly<Partial<Record<PluginErrorCode, number>>> = {
  usage: 2,
  'config-invalid': 3,
  'config-conflict': 3,
  unsupported: 3,
};

function reportError(host: Host, error: unknown): number {
  const writeLine = (text: string): void => {
    host.writeErr(renderLines([`${PROGRAM_NAME}: ${text}`]));
  };
  if (error instanceof PluginError) {
    writeLine(error.hint === undefined ? error.message : `${error.message}; ${error.hint}`);
    return EXIT_STATUSES[error.code] ?? 1;
  }
  const description = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  writeLine(`internal error: ${redact(description)}; this is a bug, please report it`);
  return 1;
}

function waitForSignal(host: Host): Promise<void> {
  return new Promise((resolve) => {
    host.onSignal('SIGTERM', resolve);
    host.onSignal('SIGINT', resolve);
  });
}

async function run(host: Host, clock: Clock): Promise<number> {
  const { argv, userAgents, ignoredFlags } = translateGoFlags(host.argv, WEBHOOK_OPTIONS);
  if (argv[0] === 'policy') return runPolicyCommand(host, argv.slice(1));
  const { words, flags, help, version } = parseCommandLine(argv, WEBHOOK_OPTIONS);
  if (help) host.writeOut(renderLines(renderHelp(USAGE, WEBHOOK_OPTION_GROUPS, WEBHOOK_OPTIONS).trimEnd().split('\n')));
  if (version) host.writeOut(renderLines([VERSION]));
  if (help || version) return 0;
  if (words[0] !== undefined) throw new UsageError(`unknown command "${words[0]}"`, { hint: 'see --help' });
  const settings = readWebhookSettings(host, flags, userAgents);
  const log = openLog(settings.logLevel, (line) => host.writeOut(escapeJson(line)));
  if (ignoredFlags.length > 0) log.info({ flags: ignoredFlags }, 'flags of the Go program that have no effect here');
  // A server must not end because of what a peer sends. Only the name: a message may quote a token.
  host.onUnhandledError((error) => {
    log.error({ error: error instanceof Error ? error.name : typeof error }, 'internal error');
  });
  // Before the start: a signal that nobody listens to would end the process at once.
  const stopSignal = waitForSignal(host);
  let reload = (): void => undefined;
  host.onSignal('SIGHUP', () => {
    reload();
  });
  const webhook = await startWebhook(host, settings, log, clock);
  ({ reload } = webhook);
  await stopSignal;
  log.info('shutting down');
  await webhook.stop();
  return 0;
}

/** Runs a command line and sets the exit status. */
export async function runWebhookCli(host: Host, clock: Clock = SYSTEM_CLOCK): Promise<void> {
  try {
    host.setExitStatus(await run(host, clock));
  } catch (error) {
    host.setExitStatus(reportError(host, error));
  }
  host.exitNow();
}
