/** The command line, by yargs: what it knows is the registry's options; what it does not know is an error. */
import yargs from 'yargs';
import { flagNames, readFlags, setValuesAside } from '../config/flags.ts';
import type { Layer } from '../config/layer.ts';
import { OPTION_GROUPS } from '../config/option.ts';
import type { Option } from '../config/option.ts';
import { UsageError } from '../errors.ts';
import type { Host } from '../host.ts';
import { OPTIONS } from '../methods/registry.ts';
import { VERSION } from '../version.ts';

/** What the command line asks for: a text to print, or a token with these settings. */
export type Command = { readonly print: string } | { readonly flags: Layer };

const COMMAND = 'get-token';
const WIDEST = 120;

function describe(option: Option): string {
  const variables = [...(option.env ?? []), ...(option.legacyEnv ?? [])];
  const env = variables.length === 0 ? '' : ` [${variables.join(', ')}]`;
  const warning = option.secret ? ' (as a flag it is public on this machine: prefer the variable)' : '';
  return `${option.help}${warning}${env}`;
}

function makeParser(host: Host): ReturnType<typeof yargs> {
  const parser = yargs([])
    .scriptName('client-keystone-auth')
    .locale('en')
    .usage(
      'Usage: $0 [get-token] [options]\n\nLogs in to OpenStack Keystone and prints the token as an ExecCredential for kubectl.\nA flag is stronger than its variables, which stand in brackets.',
    )
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'duplicate-arguments-array': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
    })
    .wrap(Math.min(WIDEST, host.columns() ?? WIDEST))
    .exitProcess(false)
    .help('help')
    .version(VERSION);
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
  return parser.group(['help', 'version'], 'Run:');
}

const KNOWN = new Set([
  ...OPTIONS.flatMap(flagNames).map((name) => name.replace(/^--?/, '')),
  'help',
  'version',
  '_',
  '$0',
]);

/** Names only, never values: what looks like a stray word may be the second half of a password. */
function refuseUnknown(parsed: Readonly<Record<string, unknown>>): void {
  const unknown = Object.keys(parsed).find((name) => !KNOWN.has(name));
  if (unknown !== undefined) {
    throw new UsageError(`unknown option ${unknown.length === 1 ? '-' : '--'}${unknown}`, { hint: 'see --help' });
  }
  const words: unknown[] = Array.isArray(parsed['_']) ? parsed['_'] : [];
  const extra = words[0] === COMMAND ? words.slice(1) : words;
  if (extra.length > 0) {
    throw new UsageError('unexpected argument (not shown: it could be a secret)', {
      hint: `only "${COMMAND}" and options are understood; quote values that hold spaces, and see --help`,
    });
  }
}

/**
 * Parses the arguments.
 *
 * @throws UsageError for an unknown option, a missing value or an argument too many
 * @throws ConfigError for a value that an option does not take
 */
export async function parseCommand(host: Host): Promise<Command> {
  let output = '';
  const { argv, values } = setValuesAside(host.argv, OPTIONS);
  const parsed = await makeParser(host)
    .fail((_message, error: unknown) => {
      // yargs' own texts may quote values.
      throw new UsageError('the command line cannot be understood', { hint: 'see --help', cause: error });
    })
    .parseAsync([...argv], {}, (_error: unknown, _argv: unknown, text: string) => {
      output = text;
    });
  if (output !== '') return { print: `${output}\n` };
  refuseUnknown(parsed);
  return { flags: readFlags(parsed, values, OPTIONS) };
}
