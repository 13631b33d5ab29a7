import yargs from 'yargs';
import { OPTION_GROUPS } from '../config/option.ts';
import type { Option } from '../config/option.ts';
import { OPTIONS } from '../methods/registry.ts';

const WIDEST = 120;

function describe(option: Option): string {
  const variables = [...(option.env ?? []), ...(option.legacyEnv ?? [])];
  const env = variables.length === 0 ? '' : ` [${variables.join(', ')}]`;
  const warning = option.secret ? ' (as a flag it is public on this machine: prefer the variable)' : '';
  return `${option.help}${warning}${env}`;
}

/**
 * The text of `--help`: every flag in its group, with its variables, and no value of any.
 *
 * @param columns width of the terminal, undefined where there is none
 */
export async function renderHelp(columns: number | undefined): Promise<string> {
  const parser = yargs([])
    .scriptName('client-keystone-auth')
    .locale('en')
    .usage(
      'Usage: $0 [get-token] [options]\n\nLogs in to OpenStack Keystone and prints the token as an ExecCredential for kubectl.\nA flag is stronger than its variables, which stand in brackets.',
    )
    .wrap(Math.min(WIDEST, columns ?? WIDEST))
    .exitProcess(false)
    .help('help')
    .version('version', 'Show version number', '');
  for (const group of OPTION_GROUPS) {
    for (const option of OPTIONS.filter((one) => one.group === group && one.flag !== false)) {
      parser.option(option.name, {
        ...(option.aliases === undefined ? {} : { alias: [...option.aliases] }),
        describe: describe(option),
        group: `${group}:`,
        ...(option.kind === 'switch' ? { boolean: true } : { string: true }),
      });
    }
  }
  return `${await parser.group(['help', 'version'], 'Run:').getHelp()}\n`;
}
