/** The command line of k8s-keystone-auth: the server, and commands that check policies. */
import { SYSTEM_CLOCK } from '../../shared/base/clock.ts';
import type { Clock } from '../../shared/base/clock.ts';
import { PluginError } from '../../shared/base/errors.ts';
import type { PluginErrorCode } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { escapeJson, renderLines } from '../../shared/base/terminal-text.ts';
import { redact } from '../../shared/base/secret.ts';
import type { Layer } from '../../shared/options/layer.ts';
import {
  makeUnexpectedArgumentError,
  parseCommandLine,
  rejectForeignFlags,
} from '../../shared/options/parse-command-line.ts';
import { openLog } from '../observability/log.ts';
import type { CommandOption } from './command.ts';
import { WEBHOOK_COMMANDS } from './commands.ts';
import { translateGoFlags } from './go-flags.ts';
import type { TranslatedCommandLine } from './go-flags.ts';
import { printHelp, printVersion } from './help.ts';
import { PROGRAM_NAME, WEBHOOK_OPTIONS } from './options.ts';
import { readWebhookSettings } from './settings.ts';
import { startWebhook } from './start-webhook.ts';

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

async function serve(
  host: Host,
  clock: Clock,
  flags: Layer<string>,
  { userAgents, ignoredFlags }: TranslatedCommandLine,
): Promise<number> {
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

/** Every option, once: a command line is parsed before its command is known. */
const EVERY_OPTION: readonly CommandOption[] = [
  ...new Map(
    [...WEBHOOK_OPTIONS, ...WEBHOOK_COMMANDS.flatMap(({ options }) => options)].map((option) => [option.name, option]),
  ).values(),
];

async function run(host: Host, clock: Clock): Promise<number> {
  const translated = translateGoFlags(host.argv, EVERY_OPTION);
  const { words, flags, wantsHelp, wantsVersion } = parseCommandLine(translated.argv, EVERY_OPTION);
  if (wantsHelp) return printHelp(host, words, WEBHOOK_COMMANDS);
  if (wantsVersion) return printVersion(host);
  if (words.length === 0) {
    rejectForeignFlags(PROGRAM_NAME, [], flags, WEBHOOK_OPTIONS);
    return serve(host, clock, flags, translated);
  }
  const { findCommand } = await import('../../shared/yargs/yargs.ts');
  const command = findCommand(WEBHOOK_COMMANDS, words);
  rejectForeignFlags(PROGRAM_NAME, command.words, flags, command.options);
  const args = words.slice(command.words.length);
  if (args.length > 0 && command.arguments === undefined) throw makeUnexpectedArgumentError();
  return command.run(host, flags, args);
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
