/** The pages of the help that both programs have: of one command, of commands with the same first word, and of topics. */
import type { Option } from '../options/option.ts';
import { describeSynopsis, listCommandGroup } from './command-description.ts';
import type { CommandDescription, HelpPage, HelpTopic } from './command-description.ts';
import { findCommand, renderHelpPage } from './yargs.ts';

/** What the help of a program consists of. */
export interface ProgramHelp<Described extends CommandDescription> {
  readonly program: string;
  readonly commands: readonly Described[];
  readonly topics: readonly HelpTopic[];
  makeFirstPage(): HelpPage;
  /** Lists the options on the page of a command. */
  listOwnOptions(command: Described): readonly Option[];
  /** Describes in one line the options that it shares with others; undefined if there are none. */
  describeSharedOptions(command: Described): string | undefined;
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

function makeCommandPage<Described extends CommandDescription>(
  help: ProgramHelp<Described>,
  command: Described,
): HelpPage {
  const { summary, details = [], arguments: args = [], examples } = command;
  const own = help.listOwnOptions(command).filter(({ flag }) => flag !== false);
  const shared = help.describeSharedOptions(command);
  const longer = listCommandGroup(help.commands, command.words).filter((other) => other !== command);
  const longerList = {
    heading: 'See also:',
    rows: longer.map((other) => [describeSynopsis(other), other.summary] as const),
  };
  const argumentList = { heading: 'Arguments:', rows: args.map(({ name, help: text }) => [name, text] as const) };
  return {
    usage: [`Usage: ${help.program} ${describeSynopsis(command)} [options]`, sentence(summary), ...details],
    groups: own.length === 0 ? [] : [['Options', own]],
    examples: examples.map(({ line, summary: purpose }) => ({ line: `${help.program} ${line}`, summary: purpose })),
    epilog: [
      ...(args.length === 0 ? [] : [argumentList]),
      ...(longer.length === 0 ? [] : [longerList]),
      ...(shared === undefined ? [] : [shared]),
    ],
  };
}

function makeGroupPage(program: string, word: string, group: readonly CommandDescription[]): HelpPage {
  return {
    usage: [`Usage: ${program} ${word} COMMAND [options]`],
    commands: group.map((member) => [describeSynopsis(member), member.summary]),
    groups: [],
    examples: [],
    epilog: [`For the options of one of them, see "${program} help ${word} COMMAND".`],
  };
}

function choosePage<Described extends CommandDescription>(
  help: ProgramHelp<Described>,
  words: readonly string[],
): HelpPage {
  const [word] = words;
  if (word === undefined) return help.makeFirstPage();
  const group = listCommandGroup(help.commands, [word]);
  const isIncomplete = group.length > 0 && group.every((command) => command.words.length > words.length);
  if (words.length === 1 && isIncomplete) return makeGroupPage(help.program, word, group);
  const found = findCommand<Described | HelpTopic>([...help.commands, ...help.topics], words);
  return 'makePage' in found ? found.makePage() : makeCommandPage(help, found);
}

/**
 * Renders the page of a command, of a group of commands or of a topic; it contains no value of any option.
 *
 * @param words what it is about; empty for the first page
 * @param columns width of the terminal, undefined if stdout is not a terminal
 * @returns lines
 * @throws UsageError if there is no such page
 */
export async function renderHelp<Described extends CommandDescription>(
  help: ProgramHelp<Described>,
  words: readonly string[],
  columns: number | undefined,
): Promise<readonly string[]> {
  const text = await renderHelpPage(choosePage(help, words), columns);
  return text.split('\n');
}
