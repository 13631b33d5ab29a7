/** Scans the command line of the plugin before the command is known, and parses that of get-token. */
import {
  BUILT_IN_FLAGS,
  makeUnexpectedArgumentError,
  parseExtracted,
} from '../../shared/options/parse-command-line.ts';
import type { CommandLine } from '../../shared/options/parse-command-line.ts';
import { extractFlagValues, listFlagNames } from '../../shared/options/flags.ts';
import type { ExtractedValues } from '../../shared/options/flags.ts';
import type { OptionName } from '../config/option.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import { SELECTION_OPTIONS } from './selection-options.ts';

/** The command that runs if none is named. */
export const GET_TOKEN = 'get-token';

/** The arguments of a run, scanned once, before the command is known. */
export interface ScannedArguments extends ExtractedValues {
  readonly wantsVersion: boolean;
  /** Whether they select a context of the kubeconfig. */
  readonly selectsContext: boolean;
  /** Whether they request a token for kubectl: every other command has more to load. */
  readonly isGetToken: boolean;
}

/**
 * Scans the arguments of a run.
 *
 * @throws UsageError if the last flag lacks its value
 */
export function scanArguments(argv: readonly string[]): ScannedArguments {
  const extracted = extractFlagValues(argv, [...OPTIONS, ...SELECTION_OPTIONS]);
  const hasFlag = (...flags: readonly string[]): boolean =>
    extracted.argv.some((argument) => flags.includes(argument.split('=', 1)[0] ?? ''));
  const command = extracted.argv.find((argument) => !argument.startsWith('-')) ?? GET_TOKEN;
  return {
    ...extracted,
    wantsVersion: hasFlag(...BUILT_IN_FLAGS.version),
    selectsContext: hasFlag(...SELECTION_OPTIONS.flatMap(listFlagNames)),
    isGetToken: command === GET_TOKEN && !hasFlag(...BUILT_IN_FLAGS.help),
  };
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
