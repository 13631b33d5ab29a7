/**
 * Parses the command lines of both programs with yargs' own parser. yargs itself finds the commands and renders the help
 * (`shared/yargs`): it takes longer to load than everything else in a run of the plugin that waits for another login.
 *
 * The strict mode of yargs is not used for flags. It quotes what it does not know, which may be a secret: of `-pSECRET`
 * it would print each letter. And it recommends commands, but no flags.
 */
import parseArguments from 'yargs-parser';
import { UsageError } from '../base/errors.ts';
import { findSimilarName } from '../base/similar-name.ts';
import { extractFlagValues, listFlagNames, makeFlagFinder, readFlags } from './flags.ts';
import type { ExtractedValues } from './flags.ts';
import type { Layer } from './layer.ts';
import type { Option } from './option.ts';

/** A parsed command line. */
export interface CommandLine<Name extends string> {
  /** The arguments that are neither flags nor values of flags. */
  readonly words: readonly string[];
  readonly flags: Layer<Name>;
  readonly wantsHelp: boolean;
  readonly wantsVersion: boolean;
}

/** The flags of every command line. */
export const BUILT_IN_FLAGS = { help: ['--help', '-h'], version: ['--version'] } as const;

const PARSER_CONFIGURATION = {
  'boolean-negation': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'duplicate-arguments-array': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
};

const withoutDashes = (name: string): string => name.replace(/^--?/, '');

/**
 * Finds the options whose flags occur, by the name of the flag without dashes. Letters after one dash are flags as well,
 * which the parser takes apart.
 */
function mapOccurringFlags<Name extends string>(
  argv: readonly string[],
  options: readonly Option<Name>[],
): ReadonlyMap<string, Option<Name>> {
  const findFlag = makeFlagFinder(options);
  const optionOf = new Map<string, Option<Name>>();
  for (const argument of argv) {
    if (!argument.startsWith('-')) continue;
    const [name = ''] = argument.split('=', 1);
    const letters = argument.startsWith('--') ? [] : Array.from(argument.slice(1), (letter) => `-${letter}`);
    for (const flag of [name, ...letters]) {
      const option = findFlag(flag);
      if (option !== undefined) optionOf.set(withoutDashes(flag), option);
    }
  }
  return optionOf;
}

/** Lists for each option the names that are not its own. */
function listAliases(optionOf: ReadonlyMap<string, Option>): Record<string, string[]> {
  const aliases: Record<string, string[]> = { help: ['h'] };
  for (const [alias, { name }] of optionOf) {
    if (alias !== name) (aliases[name] ??= []).push(alias);
  }
  return aliases;
}

/**
 * Makes the error for a flag that no option has. It quotes the name only, never a value, and suggests the flag that was
 * meant.
 *
 * @param name with its dashes
 */
function makeUnknownFlagError(name: string, options: readonly Option[]): UsageError {
  const flags = [...options.flatMap(listFlagNames), ...Object.values(BUILT_IN_FLAGS).flat()];
  const meant = name.length > 2 ? findSimilarName(name, flags) : undefined;
  return new UsageError(`unknown option ${name}`, {
    hint: meant === undefined ? 'see --help' : `did you mean ${meant}?`,
  });
}

/**
 * Parses arguments in which {@link extractFlagValues} has replaced each value.
 *
 * @throws UsageError for an unknown option
 * @throws ConfigError for a value that an option does not accept
 */
export function parseExtracted<Name extends string>(
  { argv, values }: ExtractedValues,
  options: readonly Option<Name>[],
): CommandLine<Name> {
  // The parser takes time for each name that it knows, so it learns only those that occur.
  const optionOf = mapOccurringFlags(argv, options);
  const flagNames = [...optionOf].flatMap(([flag, { name }]) => [flag, name]);
  const parsed: Record<string, unknown> = parseArguments([...argv], {
    alias: listAliases(optionOf),
    boolean: ['help', 'version'],
    string: flagNames,
    configuration: PARSER_CONFIGURATION,
  });
  const wantsHelp = parsed['help'] === true;
  const wantsVersion = parsed['version'] === true;
  const knownNames = new Set([...flagNames, 'help', 'h', 'version', '_']);
  const unknownName = Object.keys(parsed).find((name) => !knownNames.has(name));
  if (unknownName !== undefined && !wantsHelp && !wantsVersion) {
    const long = `--${unknownName}`;
    const isLetter = unknownName.length === 1 && !argv.some((argument) => argument.split('=', 1)[0] === long);
    throw makeUnknownFlagError(isLetter ? `-${unknownName}` : long, options);
  }
  const words: unknown[] = Array.isArray(parsed['_']) ? parsed['_'] : [];
  return { words: words.map(String), flags: readFlags(parsed, values, options), wantsHelp, wantsVersion };
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

/** Makes the error for more words than a command accepts. */
export function makeUnexpectedArgumentError(): UsageError {
  return new UsageError('unexpected argument (not shown: it could be a secret)', {
    hint: 'use only commands and options, quote values that contain spaces, and see --help',
  });
}

/**
 * Rejects flags that only other commands have: all are known before the command is.
 *
 * @param command the words of the command; empty for what the program does without one
 * @throws UsageError
 */
export function rejectForeignFlags(
  program: string,
  command: readonly string[],
  flags: Layer<string>,
  accepted: readonly Option[],
): void {
  const names = new Set(accepted.map(({ name }) => name));
  const [, foreign] = [...flags].find(([name]) => !names.has(name)) ?? [];
  if (foreign === undefined) return;
  throw new UsageError(`${command.length === 0 ? program : command.join(' ')} has no option ${foreign.origin}`, {
    hint: `see "${[program, 'help', ...command].join(' ')}"`,
  });
}
