/**
 * The command line. yargs' own parser reads it; yargs itself, which weighs more than all the rest of a run that waits for
 * another login, is loaded for `--help` alone.
 */
import parseArguments from 'yargs-parser';
import { listFlagNames, readFlags, extractFlagValues } from '../../shared/options/flags.ts';
import type { Layer } from '../../shared/options/layer.ts';
import type { Option } from '../../shared/options/option.ts';
import { UsageError } from '../../shared/base/errors.ts';
import { OPTIONS } from '../auth-methods/registry.ts';

/** The command that is meant where none is named. */
export const GET_TOKEN = 'get-token';

/** A command line, taken apart. */
export interface CommandLine {
  /** What is no flag and no flag's value. */
  readonly words: readonly string[];
  readonly flags: Layer;
  readonly wantsHelp: boolean;
  readonly wantsVersion: boolean;
}

const bare = (name: string): string => name.replace(/^--?/, '');

const CONFIGURATION = {
  'boolean-negation': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'duplicate-arguments-array': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
};

/**
 * The words of a command line whose command is not known yet. A command's own flags come after its words, so none of
 * their values can stand before them.
 *
 * @throws UsageError when the last flag lacks its value
 */
export function listWords(argv: readonly string[]): readonly string[] {
  return extractFlagValues(argv, OPTIONS).argv.filter((argument) => !argument.startsWith('-'));
}

/** Whether a command line is about a login for kubectl: there is more to load for any other. */
export function isGetTokenCommand(argv: readonly string[]): boolean {
  const [first] = listWords(argv);
  return (first === undefined || first === GET_TOKEN) && !argv.includes('--help');
}

/**
 * Parses the arguments of a command that takes these options.
 *
 * @throws UsageError for an unknown option or a missing value
 * @throws ConfigError for a value that an option does not take
 */
export function parseCommandLine(given: readonly string[], options: readonly Option[]): CommandLine {
  const { argv, values } = extractFlagValues(given, options);
  const flags = options.flatMap(listFlagNames).map(bare);
  const parsed: Record<string, unknown> = parseArguments([...argv], {
    alias: Object.fromEntries(options.map((option) => [option.name, [...(option.aliases ?? [])]])),
    boolean: ['help', 'version'],
    string: flags,
    configuration: CONFIGURATION,
  });
  const known = new Set([...flags, 'help', 'version', '_']);
  // Names only, never values: what looks like a stray word may be the second half of a password.
  const unknown = Object.keys(parsed).find((name) => !known.has(name));
  if (unknown !== undefined) {
    throw new UsageError(`unknown option ${unknown.length === 1 ? '-' : '--'}${unknown}`, { hint: 'see --help' });
  }
  const words: unknown[] = Array.isArray(parsed['_']) ? parsed['_'] : [];
  return {
    words: words.map(String),
    flags: readFlags(parsed, values, options),
    wantsHelp: parsed['help'] === true,
    wantsVersion: parsed['version'] === true,
  };
}

/** Says that there are more words than anybody asked for. */
export function makeUnexpectedArgumentError(): UsageError {
  return new UsageError('unexpected argument (not shown: it could be a secret)', {
    hint: 'only commands and options are understood here; quote values that hold spaces, and see --help',
  });
}

/**
 * Parses a command line that is about a login for kubectl.
 *
 * @throws UsageError for an unknown option, a missing value or an argument too many
 * @throws ConfigError for a value that an option does not take
 */
export function parseGetTokenCommand(argv: readonly string[]): CommandLine {
  const line = parseCommandLine(argv, OPTIONS);
  const extra = line.words[0] === GET_TOKEN ? line.words.slice(1) : line.words;
  if (extra.length > 0) throw makeUnexpectedArgumentError();
  return line;
}
