import { listFlagNames, readFlags, extractFlagValues } from '../../shared/options/flags.ts';
import type { Layer } from '../../shared/options/layer.ts';
import type { Option } from '../../shared/options/option.ts';
import { UsageError } from '../../shared/base/errors.ts';

/** A parsed command line. */
export interface CommandLine<Name extends string> {
  /** Arguments that are not flags. */
  readonly words: readonly string[];
  readonly flags: Layer<Name>;
  readonly help: boolean;
  readonly version: boolean;
}

const SWITCHES = { '--help': 'help', '-h': 'help', '--version': 'version' } as const;

const isSwitch = (text: string): text is keyof typeof SWITCHES => Object.hasOwn(SWITCHES, text);

/**
 * Parses arguments: `--name value`, `--name=value` and words.
 *
 * @throws UsageError for an unknown flag or a flag without its value
 * @throws ConfigError for a value that an option does not accept
 */
export function parseCommandLine<Name extends string>(
  argv: readonly string[],
  options: readonly Option<Name>[],
): CommandLine<Name> {
  const extracted = extractFlagValues(argv, options);
  const nameOf = new Map(options.flatMap((option) => listFlagNames(option).map((flag) => [flag, option.name])));
  const indices: Record<string, string> = {};
  const words: string[] = [];
  const switches = { help: false, version: false };
  for (const argument of extracted.argv) {
    const [flag = '', index = ''] = argument.split('=', 2);
    const name = nameOf.get(flag);
    if (name !== undefined) indices[name] = index;
    else if (isSwitch(argument)) switches[SWITCHES[argument]] = true;
    else if (argument.startsWith('-')) throw new UsageError(`unknown option ${flag}`, { hint: 'see --help' });
    else words.push(argument);
  }
  return { words, flags: readFlags(indices, extracted.values, options), ...switches };
}

const HELP_COLUMN = 28;
const HELP_WIDTH = 92;

function wrap(text: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length + 1 > HELP_WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join(`\n${' '.repeat(HELP_COLUMN)}`);
}

function renderOption(option: Option): string {
  const flags = `  ${listFlagNames(option).join(', ')}`;
  const env = option.env === undefined ? '' : ` [${option.env.join(', ')}]`;
  const flagColumn =
    flags.length < HELP_COLUMN - 1 ? flags.padEnd(HELP_COLUMN) : `${flags}\n${' '.repeat(HELP_COLUMN)}`;
  return flagColumn + wrap(option.help + env);
}

/** Renders the text of `--help`. */
export function renderHelp(usage: string, groups: readonly string[], options: readonly Option[]): string {
  const sections = groups.flatMap((group) => {
    const members = options.filter((option) => option.group === group);
    return members.length === 0 ? [] : [[`${group}:`, ...members.map(renderOption)].join('\n')];
  });
  return `${[usage, ...sections].join('\n\n')}\n`;
}
