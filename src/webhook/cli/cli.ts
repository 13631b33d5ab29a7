/** The command line of k8s-keystone-auth: the server, and looking into policies. */
import { PluginError, UsageError } from '../../shared/base/errors.ts';
import type { PluginErrorCode } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { makePrintable } from '../../shared/base/printable.ts';
import { redact } from '../../shared/base/secret.ts';
import { VERSION } from '../../shared/base/version.ts';
import { parseCommandLine, renderHelp } from './parse-command-line.ts';
import { openLog } from '../server/log.ts';
import { WEBHOOK_OPTION_GROUPS, WEBHOOK_OPTIONS } from './options.ts';
import { runPolicyCommand } from './policy-command.ts';
import { startWebhook } from './start-webhook.ts';
import { readWebhookSettings } from './settings.ts';

const NAME = 'k8s-keystone-auth';

const USAGE = `Usage: ${NAME} [options]
       ${NAME} policy test|lint --help

Answers kube-apiserver's TokenReviews and SubjectAccessReviews from OpenStack Keystone.
A flag is stronger than its variables, which stand in brackets.`;

/** Exit statuses, as the plugin's. */
const STATUS: Readonly<Partial<Record<PluginErrorCode, number>>> = {
  usage: 2,
  'config-invalid': 3,
  'config-conflict': 3,
  unsupported: 3,
};

function report(host: Host, error: unknown): number {
  const say = (text: string): void => {
    host.writeErr(`${NAME}: ${makePrintable(text)}\n`);
  };
  if (error instanceof PluginError) {
    say(error.hint === undefined ? error.message : `${error.message}; ${error.hint}`);
    return STATUS[error.code] ?? 1;
  }
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  say(`internal error: ${redact(what)}; this is a bug, please report it`);
  return 1;
}

/** Resolves when the program is asked to end. */
function untilAsked(host: Host): Promise<void> {
  return new Promise((resolve) => {
    host.onSignal('SIGTERM', resolve);
    host.onSignal('SIGINT', resolve);
  });
}

async function serve(host: Host, argv: readonly string[]): Promise<number> {
  if (argv[0] === 'policy') return runPolicyCommand(host, argv.slice(1));
  const { words, flags, help, version } = parseCommandLine(argv, WEBHOOK_OPTIONS);
  if (help) host.writeOut(renderHelp(USAGE, WEBHOOK_OPTION_GROUPS, WEBHOOK_OPTIONS));
  if (version) host.writeOut(`${VERSION}\n`);
  if (help || version) return 0;
  if (words[0] !== undefined) throw new UsageError(`unknown command "${words[0]}"`, { hint: 'see --help' });
  const settings = readWebhookSettings(host, flags);
  const log = openLog(settings.logLevel, (line) => host.writeOut(line));
  const webhook = await startWebhook(host, settings, log);
  host.onSignal('SIGHUP', () => void webhook.reload());
  await untilAsked(host);
  log.info('ending');
  await webhook.stop();
  return 0;
}

/** Runs a command line to its end. */
export async function runWebhookCli(host: Host): Promise<void> {
  try {
    host.setExitStatus(await serve(host, host.argv));
  } catch (error) {
    host.setExitStatus(report(host, error));
  }
}
