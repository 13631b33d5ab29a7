/** What a command is: for finding it, for the help, the manual page, the reference and the completions. */
import type { Option } from '../options/option.ts';

/** A word after the name of a command. */
export interface Argument {
  /** In capitals: `NAME`. */
  readonly name: string;
  /** One phrase without a full stop. */
  readonly help: string;
  readonly required?: true;
  /** Whether it can be repeated; the last argument only. */
  readonly variadic?: true;
  /** The values that are allowed. */
  readonly choices?: readonly string[];
}

/** A command line that is shown to users and run by a test. */
export interface Example {
  /** What follows the name of the program. */
  readonly line: string;
  /** What it does, as a phrase without a full stop. */
  readonly summary: string;
}

/** The description of a command. */
export interface CommandDescription<Own extends Option = Option> {
  /** The words that the user types: `['kubeconfig', 'add']`. */
  readonly words: readonly [string, ...string[]];
  /** What it does, as a phrase without a full stop. */
  readonly summary: string;
  /** More about it, one paragraph each. */
  readonly details?: readonly string[];
  readonly arguments?: readonly Argument[];
  /** The options of this command alone. */
  readonly options: readonly Own[];
  readonly examples: readonly Example[];
}

const formatArgument = ({ name, required, variadic }: Argument): string => {
  const word = variadic === true ? `${name}...` : name;
  return required === true ? word : `[${word}]`;
};

/** Returns a command as the user types it: `kubeconfig add [NAME]`. */
export function describeSynopsis({
  words,
  arguments: args = [],
}: Pick<CommandDescription, 'words' | 'arguments'>): string {
  return [...words, ...args.map(formatArgument)].join(' ');
}

/** Lists the commands that begin with these words. */
export function listCommandGroup<Named extends Pick<CommandDescription, 'words'>>(
  commands: readonly Named[],
  words: readonly string[],
): readonly Named[] {
  return commands.filter((command) => words.every((word, index) => command.words[index] === word));
}

/** A page of the help. */
export interface HelpPage {
  /** What comes first, one paragraph each. */
  readonly usage: readonly string[];
  /** The rows below "Commands:". */
  readonly commands?: readonly (readonly [name: string, text: string])[];
  /** Headings with their options. */
  readonly groups: readonly (readonly [heading: string, options: readonly Option[]])[];
  /** With whole command lines. */
  readonly examples: readonly Example[];
  /** What comes last, one paragraph or one list each. */
  readonly epilog: readonly (string | HelpList)[];
  /** Each option on one line if possible: no variables and no types. */
  readonly isBrief?: true;
}

/** A heading and rows of two columns. */
export interface HelpList {
  readonly heading: string;
  readonly rows: readonly (readonly [left: string, right: string])[];
}

/** A page that is not about commands. */
export interface HelpTopic {
  readonly words: readonly [string];
  /** A phrase without a full stop. */
  readonly summary: string;
  makePage(): HelpPage;
}

/** Describes the argument of `help`. */
export function describeTopics(topics: readonly HelpTopic[]): string {
  return ['a command', ...topics.map(({ words: [word], summary }) => `${word} (${summary})`)].join(', or ');
}
