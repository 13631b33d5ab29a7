import { listFlagNames, readFlags, extractFlagValues } from '../../shared/options/flags.ts';
import type { Layer } from '../../shared/options/layer.ts';
import type { Option } from '../../shared/options/option.ts';
import { UsageError } from '../../shared/base/errors.ts';

/** The words and the flags of a command line. */
export interface CommandLine<Name extends string> {
  readonly words: readonly string[];
  readonly flags: Layer<Name>;
  readonly help: boolean;
  readonly version: boolean;
}

const SWITCHES = { '--help': 'help', '-h': 'help', '--version': 'version' } as const;

const isSwitch = (text: string): text is keyof typeof SWITCHES => Object.hasOwn(SWITCHES, text);

/**
 * Parses arguments: `--name value`, `--name=value`, words.
 *
 * @throws UsageError for an unknown flag or one without its value
 * @throws ConfigError for a value that an option does not take
 */
export function parseCommandLine<Name extends string>(
  argv: readonly string[],
  options: readonly Option<Name>[],
): CommandLine<Name> {
  const aside = extractFlagValues(argv, options);
  const nameOf = new Map(options.flatMap((option) => listFlagNames(option).map((flag) => [flag, option.name])));
  const indices: Record<string, string> = {};
  const words: string[] = [];
  const asked = { help: false, version: false };
  for (const argument of aside.argv) {
    const [flag = '', index = ''] = argument.split('=', 2);
    const name = nameOf.get(flag);
    if (name !== undefined) indices[name] = index;
    else if (isSwitch(argument)) asked[SWITCHES[argument]] = true;
    else if (argument.startsWith('-')) throw new UsageError(`unknown option ${flag}`, { hint: 'see --help' });
    else words.push(argument);
  }
  return { words, flags: readFlags(indices, aside.values, options), ...asked };
}

const COLUMN = 28;
const WIDTH = 92;

function wrap(text: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length + 1 > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join(`\n${' '.repeat(COLUMN)}`);
}

function renderOption(option: Option): string {
  const flags = `  ${listFlagNames(option).join(', ')}`;
  const env = option.env === undefined ? '' : ` [${option.env.join(', ')}]`;
  const start = flags.length < COLUMN - 1 ? flags.padEnd(COLUMN) : `${flags}\n${' '.repeat(COLUMN)}`;
  return start + wrap(option.help + env);
}

/** The text of `--help`. */
export function renderHelp(usage: string, groups: readonly string[], options: readonly Option[]): string {
  const sections = groups.flatMap((group) => {
    const own = options.filter((option) => option.group === group);
    return own.length === 0 ? [] : [[`${group}:`, ...own.map(renderOption)].join('\n')];
  });
  return `${[usage, ...sections].join('\n\n')}\n`;
}
