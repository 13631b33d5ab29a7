/**
 * Parses the command line with yargs' own parser. yargs itself is loaded for `--help` only: it takes longer to load
 * than everything else in a run that waits for another login.
 */
import parseArguments from 'yargs-parser';
import { UsageError } from '../../shared/base/errors.ts';
import { extractFlagValues, listFlagNames, readFlags } from '../../shared/options/flags.ts';
import type { ExtractedValues } from '../../shared/options/flags.ts';
import type { Layer } from '../../shared/options/layer.ts';
import type { Option } from '../../shared/options/option.ts';
import type { OptionName } from '../config/option.ts';
import { OPTIONS } from '../auth-methods/registry.ts';

/** The command that runs if none is named. */
export const GET_TOKEN = 'get-token';

/** The arguments of a run, scanned once, before the command is known. */
export interface ScannedArguments extends ExtractedValues {
  /**
   * The arguments that are neither flags nor values of the options of get-token. The flags of other commands come after
   * the words that name the command, so no value of theirs precedes these words.
   */
  readonly words: readonly string[];
  readonly wantsHelp: boolean;
  /** Whether they request a token for kubectl: every other command has more to load. */
  readonly isGetToken: boolean;
}

/**
 * Scans the arguments of a run.
 *
 * @throws UsageError if the last flag lacks its value
 */
export function scanArguments(argv: readonly string[]): ScannedArguments {
  const extracted = extractFlagValues(argv, OPTIONS);
  const words = extracted.argv.filter((argument) => !argument.startsWith('-'));
  const wantsHelp = argv.includes('--help');
  const [command = GET_TOKEN] = words;
  return { ...extracted, words, wantsHelp, isGetToken: command === GET_TOKEN && !wantsHelp };
}

/** A parsed command line. */
export interface CommandLine<Name extends string> {
  /** The arguments that are neither flags nor values of flags. */
  readonly words: readonly string[];
  readonly flags: Layer<Name>;
  readonly wantsHelp: boolean;
  readonly wantsVersion: boolean;
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

/**
 * Parses the arguments of a command that accepts these options.
 *
 * @throws UsageError for an unknown option or a missing value
 * @throws ConfigError for a value that an option does not accept
 */
export function parseCommandLine<Name extends string>(
  argv: readonly string[],
  options: readonly Option<Name>[],
): CommandLine<Name> {
  return parseExtracted(extractFlagValues(argv, options), options);
}

const PARSER_CONFIGURATION = {
  'boolean-negation': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'duplicate-arguments-array': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
};

function parseExtracted<Name extends string>(
  { argv, values }: ExtractedValues,
  options: readonly Option<Name>[],
): CommandLine<Name> {
  const flagNames = options.flatMap(listFlagNames).map((name) => name.replace(/^--?/, ''));
  const parsed: Record<string, unknown> = parseArguments([...argv], {
    alias: Object.fromEntries(options.map((option) => [option.name, [...(option.aliases ?? [])]])),
    boolean: ['help', 'version'],
    string: flagNames,
    configuration: PARSER_CONFIGURATION,
  });
  const knownNames = new Set([...flagNames, 'help', 'version', '_']);
  // Quote the name only, never a value: an unexpected word may be the second half of a password.
  const unknownName = Object.keys(parsed).find((name) => !knownNames.has(name));
  if (unknownName !== undefined) {
    const dashes = unknownName.length === 1 ? '-' : '--';
    throw new UsageError(`unknown option ${dashes}${unknownName}`, { hint: 'see --help' });
  }
  const words: unknown[] = Array.isArray(parsed['_']) ? parsed['_'] : [];
  return {
    words: words.map(String),
    flags: readFlags(parsed, values, options),
    wantsHelp: parsed['help'] === true,
    wantsVersion: parsed['version'] === true,
  };
}

/** Makes the error for more words than a command accepts. */
export function makeUnexpectedArgumentError(): UsageError {
  return new UsageError('unexpected argument (not shown: it could be a secret)', {
    hint: 'use only commands and options, quote values that contain spaces, and see --help',
  });
}
