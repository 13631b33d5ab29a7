/**
 * The command line. yargs' own parser reads it; yargs itself, which weighs more than all the rest of a run that waits for
 * another login, is loaded for `--help` alone.
 */
import parseArguments from 'yargs-parser';
import { flagNames, readFlags, setValuesAside } from '../config/flags.ts';
import type { Layer } from '../config/layer.ts';
import { UsageError } from '../errors.ts';
import type { Host } from '../host.ts';
import { OPTIONS } from '../methods/registry.ts';
import { VERSION } from '../version.ts';

/** What the command line asks for: a text to print, or a token with these settings. */
export type Command = { readonly print: string } | { readonly flags: Layer };

const COMMAND = 'get-token';

const bare = (name: string): string => name.replace(/^--?/, '');

const ALIASES = Object.fromEntries(OPTIONS.map((option) => [option.name, [...(option.aliases ?? [])]]));
const FLAGS = OPTIONS.flatMap(flagNames).map(bare);
const KNOWN = new Set([...FLAGS, 'help', 'version', '_']);

const CONFIGURATION = {
  'boolean-negation': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'duplicate-arguments-array': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
};

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
  const { argv, values } = setValuesAside(host.argv, OPTIONS);
  const parsed: Record<string, unknown> = parseArguments([...argv], {
    alias: ALIASES,
    boolean: ['help', 'version'],
    string: FLAGS,
    configuration: CONFIGURATION,
  });
  if (parsed['help'] === true) {
    const { renderHelp } = await import('./help.ts');
    return { print: await renderHelp(host.columns()) };
  }
  if (parsed['version'] === true) return { print: `${VERSION}\n` };
  refuseUnknown(parsed);
  return { flags: readFlags(parsed, values, OPTIONS) };
}
