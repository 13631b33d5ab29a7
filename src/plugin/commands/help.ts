/** Renders `--help`. */
import yargs from 'yargs';
import type { Argv } from 'yargs';
import { PLUGIN_OPTION_GROUPS } from '../config/option.ts';
import type { Option } from '../../shared/options/option.ts';
import { describeSynopsis } from './command.ts';
import type { CommandDescription } from './command.ts';
import { listCommandGroup, listGetTokenOptions } from './find-command.ts';
import { ALL_COMMANDS, GET_TOKEN_COMMAND } from './registry.ts';
import { PROGRAM_NAME } from '../../shared/base/program.ts';

const MAX_COLUMNS = 120;

function describeOption(option: Option): string {
  const variables = [...(option.env ?? []), ...(option.legacyEnv ?? [])];
  const env = variables.length === 0 ? '' : ` [${variables.join(', ')}]`;
  const warning = option.secret ? ' (as a flag every user of this machine can see it: prefer the variable)' : '';
  return `${option.help}${warning}${env}`;
}

function makeParser(columns: number | undefined): Argv {
  return yargs([])
    .scriptName(PROGRAM_NAME)
    .locale('en')
    .wrap(Math.min(MAX_COLUMNS, columns ?? MAX_COLUMNS))
    .exitProcess(false)
    .help('help')
    .version('version', 'Show version number', '');
}

function addOptions(parser: Argv, options: readonly Option[]): void {
  for (const group of PLUGIN_OPTION_GROUPS) {
    for (const option of options.filter((candidate) => candidate.group === group && candidate.flag !== false)) {
      parser.option(option.name, {
        ...(option.aliases === undefined ? {} : { alias: [...option.aliases] }),
        describe: describeOption(option),
        group: `${group}:`,
        ...(option.kind === 'switch' || option.kind === 'level' ? { boolean: true } : { string: true }),
      });
    }
  }
}

function addCommands(parser: Argv, commands: readonly CommandDescription[]): void {
  // yargs lists its commands before the options; it runs none of them here.
  for (const command of commands) parser.command(describeSynopsis(command), command.summary);
}

function describeCommand(command: CommandDescription, parser: Argv): void {
  const { summary, details = [], arguments: args = [], options, examples } = command;
  const sentence = `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
  const argumentLines = args.map(({ name, help }) => `  ${name}  ${help}`);
  const parts = [
    `Usage: $0 ${describeSynopsis(command)} [options]`,
    sentence,
    ...details,
    ...(argumentLines.length === 0 ? [] : [argumentLines.join('\n')]),
  ];
  parser.usage(parts.join('\n\n'));
  addOptions(parser, [...options, ...listGetTokenOptions(command)]);
  for (const example of examples) parser.example(`$0 ${example.line}`, example.summary);
}

/**
 * Renders the text of `--help`; it contains no value of any option.
 *
 * @param words the words of a command, or the first word of a group of commands; undefined for all commands
 * @param columns width of the terminal, undefined if stdout is not a terminal
 */
export async function renderHelp(words: readonly string[] | undefined, columns: number | undefined): Promise<string> {
  const parser = makeParser(columns);
  const group = listCommandGroup(words?.[0]);
  const command = group.find((candidate) => candidate.words.every((word, index) => words?.[index] === word));
  if (command !== undefined) describeCommand(command, parser);
  else if (words !== undefined) {
    parser.usage(`Usage: $0 ${words[0] ?? ''} COMMAND [options]`);
    addCommands(parser, group);
  } else {
    parser.usage(
      'Usage: $0 [COMMAND] [options]\n\n' +
        'Logs in to OpenStack Keystone. ' +
        'Without a command it prints the token as an ExecCredential for kubectl, with\n' +
        'these options. A flag overrides its variables, which are shown in brackets.',
    );
    addCommands(parser, ALL_COMMANDS);
    addOptions(parser, listGetTokenOptions(GET_TOKEN_COMMAND));
  }
  return `${await parser.group(['help', 'version'], 'Run:').getHelp()}\n`;
}
