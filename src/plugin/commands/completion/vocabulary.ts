/** What a user can type on the command line, for the completion scripts of all shells. */
import { PROGRAM_NAME } from '../../../shared/base/program.ts';
import { listFlagNames, takesValue } from '../../../shared/options/flags.ts';
import type { Option } from '../../../shared/options/option.ts';
import { listMethodNames, METHODS, OPTIONS } from '../../auth-methods/registry.ts';
import type { CommandDescription } from '../command.ts';

/** The names of the program; kubectl runs the second one for `kubectl keystone-auth`. */
export const COMMAND_NAMES: readonly string[] = [PROGRAM_NAME, 'kubectl-keystone_auth'];

/**
 * The value of a flag: none, a file, any text, a name that the hidden command `complete` lists, or one of several
 * words.
 */
export type FlagValue = 'none' | 'file' | 'any' | ListedNames | readonly string[];

/** Names that only the program can list, see `complete-names.ts`. */
interface ListedNames {
  readonly kind: string;
}

/** A flag with all its names. */
export interface Flag {
  /** With dashes. */
  readonly names: readonly string[];
  readonly help: string;
  readonly value: FlagValue;
}

/** The words and flags of the command line. */
export interface Vocabulary {
  readonly firstWords: readonly (readonly [word: string, help: string])[];
  readonly secondWords: readonly (readonly [firstWord: string, words: readonly string[]])[];
  /** The flags that every command accepts. */
  readonly commonFlags: readonly Flag[];
  /** The flags of single commands, by their first word. */
  readonly ownFlags: readonly (readonly [firstWord: string, flags: readonly Flag[]])[];
  /** Common flags and own flags, without duplicates. */
  readonly allFlags: readonly Flag[];
}

/** Kinds of listed names, by the name of the option. */
const LISTED_KINDS: Readonly<Record<string, string>> = {
  'os-cloud': 'clouds',
  'project-name': 'projects',
  cluster: 'clusters',
  context: 'contexts',
};

/** Whether the program lists the values of a flag. */
export const isListed = (value: FlagValue): value is ListedNames => typeof value === 'object' && 'kind' in value;

/** Whether the values of a flag are in the script. */
export const isChoice = (value: FlagValue): value is readonly string[] => Array.isArray(value);

/** Lists all names of flags. */
export const listNames = (flags: readonly Flag[]): readonly string[] => flags.flatMap(({ names }) => names);

function valueOf(option: Option): FlagValue {
  const { name, kind, choices } = option;
  if (!takesValue(option)) return 'none';
  if (kind === 'file') return 'file';
  if (name === 'auth-type') return METHODS.flatMap(listMethodNames);
  const listed = LISTED_KINDS[name];
  return choices ?? (listed === undefined ? 'any' : { kind: listed });
}

function makeFlags(options: readonly Option[]): readonly Flag[] {
  return options
    .filter(({ flag }) => flag !== false)
    .map((option) => ({
      names: listFlagNames(option),
      help: `${option.help}${option.secret === true ? ' (as a flag other users can see it: prefer the variable)' : ''}`,
      value: valueOf(option),
    }));
}

const COMMON_FLAGS: readonly Flag[] = [
  ...makeFlags(OPTIONS),
  { names: ['--help'], help: 'show all options', value: 'none' },
  { names: ['--version'], help: 'show the version', value: 'none' },
];

/** Collects the words and flags of these commands. */
export function makeVocabulary(commands: readonly CommandDescription[]): Vocabulary {
  const words = [...new Set(commands.map((command) => command.words[0]))];
  const groups = words.map((word) => [word, commands.filter((command) => command.words[0] === word)] as const);
  const ownFlags = groups.map(([word, group]) => {
    const options = group.flatMap((command) => command.options);
    // Commands with the same first word use a flag of the same name for the same thing.
    return [word, makeFlags([...new Map(options.map((option) => [option.name, option])).values()])] as const;
  });
  const flags = [...COMMON_FLAGS, ...ownFlags.flatMap(([, own]) => own)];
  return {
    firstWords: groups.map(([word, group]) => [word, describeGroup(group)] as const),
    secondWords: groups.flatMap(([word, group]) => {
      const second = group.flatMap((command) => command.words[1] ?? command.arguments?.[0]?.choices ?? []);
      return second.length === 0 ? [] : [[word, second] as const];
    }),
    commonFlags: COMMON_FLAGS,
    ownFlags: ownFlags.filter(([, own]) => own.length > 0),
    allFlags: [...new Map(flags.map((flag) => [flag.names[0], flag])).values()],
  };
}

function describeGroup(group: readonly CommandDescription[]): string {
  const [first, ...others] = group;
  if (first === undefined) return '';
  if (others.length === 0) return first.summary;
  return group.map(({ words }) => words.slice(1).join(' ')).join(', ');
}
