/** Scans the command line of the plugin before the command is known, and parses that of get-token. */
import {
  BUILT_IN_FLAGS,
  makeUnexpectedArgumentError,
  parseExtracted,
} from '../../shared/options/parse-command-line.ts';
import type { CommandLine } from '../../shared/options/parse-command-line.ts';
import { extractFlagValues } from '../../shared/options/flags.ts';
import type { ExtractedValues } from '../../shared/options/flags.ts';
import type { OptionName } from '../config/option.ts';
import { OPTIONS } from '../auth-methods/registry.ts';

/** The command that runs if none is named. */
export const GET_TOKEN = 'get-token';

/** The arguments of a run, scanned once, before the command is known. */
export interface ScannedArguments extends ExtractedValues {
  /** Whether they request a token for kubectl: every other command has more to load. */
  readonly isGetToken: boolean;
}

const HELP_FLAGS: readonly string[] = BUILT_IN_FLAGS.help;

/**
 * Scans the arguments of a run.
 *
 * @throws UsageError if the last flag lacks its value
 */
export function scanArguments(argv: readonly string[]): ScannedArguments {
  const extracted = extractFlagValues(argv, OPTIONS);
  const command = extracted.argv.find((argument) => !argument.startsWith('-')) ?? GET_TOKEN;
  const wantsHelp = extracted.argv.some((argument) => HELP_FLAGS.includes(argument));
  return { ...extracted, isGetToken: command === GET_TOKEN && !wantsHelp };
}

/**
 * Parses the arguments of get-token.
 *
 * @throws UsageError for an unknown option, a missing value or an unexpected argument
 * @throws ConfigError for a value that an option does not accept
 */
export function parseGetTokenCommand(scan: ScannedArguments): CommandLine<OptionName> {
  const line = parseExtracted(scan, OPTIONS);
  const extra = line.words[0] === GET_TOKEN ? line.words.slice(1) : line.words;
  if (extra.length > 0) throw makeUnexpectedArgumentError();
  return line;
}
