/** The command line of k8s-keystone-auth: the webhook, the issuer, and commands about their files. */
import { SYSTEM_CLOCK } from '../../shared/base/clock.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { Host } from '../../shared/base/host.ts';
import { escapeJson } from '../../shared/base/terminal-text.ts';
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
import { reportError } from './report-error.ts';
import { runServer } from './run-server.ts';
import { readWebhookSettings } from './settings.ts';
import { startWebhook } from './start-webhook.ts';

async function serve(
  host: Host,
  clock: Clock,
  flags: Layer<string>,
  { userAgents, ignoredFlags }: TranslatedCommandLine,
): Promise<number> {
  const settings = readWebhookSettings(host, flags, userAgents);
  const log = openLog(settings.logLevel, (line) => host.writeOut(escapeJson(line)));
  if (ignoredFlags.length > 0) log.info({ flags: ignoredFlags }, 'flags of the Go program that have no effect here');
  return runServer(host, log, () => startWebhook(host, settings, log, clock));
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
  return command.run(host, flags, args, clock);
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
