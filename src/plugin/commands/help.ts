import yargs from 'yargs';
import type { Argv } from 'yargs';
import { PLUGIN_OPTION_GROUPS } from '../../shared/options/option.ts';
import type { Option } from '../../shared/options/option.ts';
import type { CommandDescription } from './command.ts';
import { listCommandGroup, listGetTokenOptions } from './find-command.ts';
import { ALL_COMMANDS, GET_TOKEN_COMMAND } from './registry.ts';
import { describeSynopsis } from './synopsis.ts';

const NAME = 'client-keystone-auth';
const WIDEST = 120;

function describe(option: Option): string {
  const variables = [...(option.env ?? []), ...(option.legacyEnv ?? [])];
  const env = variables.length === 0 ? '' : ` [${variables.join(', ')}]`;
  const warning = option.secret ? ' (as a flag it is public on this machine: prefer the variable)' : '';
  return `${option.help}${warning}${env}`;
}

function start(columns: number | undefined): Argv {
  return yargs([])
    .scriptName(NAME)
    .locale('en')
    .wrap(Math.min(WIDEST, columns ?? WIDEST))
    .exitProcess(false)
    .help('help')
    .version('version', 'Show version number', '');
}

function addOptions(parser: Argv, options: readonly Option[]): void {
  for (const group of PLUGIN_OPTION_GROUPS) {
    for (const option of options.filter((one) => one.group === group && one.flag !== false)) {
      parser.option(option.name, {
        ...(option.aliases === undefined ? {} : { alias: [...option.aliases] }),
        describe: describe(option),
        group: `${group}:`,
        ...(option.kind === 'switch' || option.kind === 'level' ? { boolean: true } : { string: true }),
      });
    }
  }
}

function addCommands(parser: Argv, commands: readonly CommandDescription[]): void {
  // yargs' own commands stand before its options; it runs none of them here.
  for (const command of commands) parser.command(describeSynopsis(command), command.summary);
}

function describeWhole(command: CommandDescription, parser: Argv): void {
  const { summary, details = [], arguments: own = [], options, examples } = command;
  const sentence = `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
  const words = own.map(({ name, help }) => `  ${name}  ${help}`);
  const parts = [
    `Usage: $0 ${describeSynopsis(command)} [options]`,
    sentence,
    ...details,
    ...(words.length === 0 ? [] : [words.join('\n')]),
  ];
  parser.usage(parts.join('\n\n'));
  addOptions(parser, [...options, ...listGetTokenOptions(command)]);
  for (const { line, summary: purpose } of examples) parser.example(`$0 ${line}`, purpose);
}

/**
 * The text of `--help`, and no value of any option.
 *
 * @param words the words of a command or of several that begin with the same word; undefined for all
 * @param columns width of the terminal, undefined where there is none
 */
export async function renderHelp(words: readonly string[] | undefined, columns: number | undefined): Promise<string> {
  const parser = start(columns);
  const group = listCommandGroup(words?.[0]);
  const command = group.find((one) => one.words.every((word, index) => words?.[index] === word));
  if (command !== undefined) describeWhole(command, parser);
  else if (words !== undefined) {
    parser.usage(`Usage: $0 ${words[0] ?? ''} COMMAND [options]`);
    addCommands(parser, group);
  } else {
    parser.usage(
      'Usage: $0 [COMMAND] [options]\n\nLogs in to OpenStack Keystone. Without a command it prints the token as an ExecCredential for kubectl, with\nthese options. A flag is stronger than its variables, which stand in brackets.',
    );
    addCommands(parser, ALL_COMMANDS);
    addOptions(parser, listGetTokenOptions(GET_TOKEN_COMMAND));
  }
  return `${await parser.group(['help', 'version'], 'Run:').getHelp()}\n`;
}
