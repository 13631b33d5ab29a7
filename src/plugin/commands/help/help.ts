/** The commands `help` and `version`. */
import { PROGRAM_NAME, VERSION } from '../../../shared/base/program.ts';
import { describeTopics } from '../../../shared/yargs/command-description.ts';
import type { HelpTopic } from '../../../shared/yargs/command-description.ts';
import type { Command, CommandDescription, CommandResult } from '../command.ts';
import { describeSharedOptions, listOwnOptions, makeFirstPage, makeMethodsPage, makeOptionsPage } from './pages.ts';

/** The pages that are not about commands. */
export const HELP_TOPICS: readonly HelpTopic[] = [
  { words: ['options'], summary: 'all options and variables of a login', makePage: makeOptionsPage },
  { words: ['auth'], summary: 'the ways to log in', makePage: makeMethodsPage },
];

/**
 * Renders a page of the help.
 *
 * @param words what it is about; empty for the first page
 * @param columns width of the terminal, undefined if stdout is not a terminal
 * @throws UsageError if there is no such page
 */
export async function renderPluginHelp(
  words: readonly string[],
  commands: readonly CommandDescription[],
  columns: number | undefined,
): Promise<readonly string[]> {
  const { renderHelp } = await import('../../../shared/yargs/help.ts');
  const help = {
    program: PROGRAM_NAME,
    commands,
    topics: HELP_TOPICS,
    makeFirstPage: () => makeFirstPage(commands),
    listOwnOptions,
    describeSharedOptions,
  };
  return renderHelp(help, words, columns);
}

/**
 * Makes the command that shows the help.
 *
 * @param listCommands all commands
 */
export function makeHelpCommand(listCommands: () => readonly CommandDescription[]): Command {
  return {
    words: ['help'],
    task: 'Find out',
    summary: 'show the help, or the help for one command',
    arguments: [{ name: 'TOPIC', help: describeTopics(HELP_TOPICS), variadic: true }],
    options: [],
    getTokenOptions: 'run',
    contextUse: 'none',
    examples: [
      { line: 'help kubeconfig add', summary: 'show the options of a command' },
      { line: 'help auth', summary: 'list the ways to log in' },
    ],
    run: async ({ host, args }): Promise<CommandResult> => ({
      lines: await renderPluginHelp(args, listCommands(), host.columns()),
    }),
  };
}

/** Prints the version, as `--version` does. */
export const versionCommand: Command = {
  words: ['version'],
  task: 'Find out',
  summary: 'show the version',
  options: [],
  getTokenOptions: 'run',
  contextUse: 'none',
  examples: [{ line: 'version', summary: 'show the version of this program' }],
  run: () => Promise.resolve({ lines: [VERSION] }),
};
