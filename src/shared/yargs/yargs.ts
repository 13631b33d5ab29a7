/**
 * The only file that uses yargs: it finds commands, suggests those that were meant, and lays out the help of both
 * programs. `shared/options` parses the flags, because yargs would see and quote secrets, see there.
 */
import yargs from 'yargs';
import type { Argv } from 'yargs';
import { UsageError } from '../base/errors.ts';
import { takesValue } from '../options/flags.ts';
import type { Option } from '../options/option.ts';
import { listCommandGroup } from './command-description.ts';
import type { CommandDescription, HelpList, HelpPage } from './command-description.ts';

/** Wider lines are hard to read. */
const MAX_COLUMNS = 100;

/** Without a terminal. */
const USUAL_COLUMNS = 80;

function makeParser(columns: number | undefined): Argv {
  return (
    yargs([])
      // Otherwise yargs writes it before the name of each command.
      .scriptName('')
      .locale('en')
      .wrap(Math.min(MAX_COLUMNS, columns ?? USUAL_COLUMNS))
      .exitProcess(false)
      .help(false)
      .version(false)
  );
}

function describeOption({ help, secret, env = [], legacyEnv = [] }: Option): string {
  const variables = [...env, ...legacyEnv];
  const list = variables.length === 0 ? '' : ` [${variables.join(', ')}]`;
  const warning = secret === true ? ' (as a flag every user of this machine can see it: prefer the variable)' : '';
  return `${help}${warning}${list}`;
}

/** Writes a list so that yargs lays it out in columns: at tabs. */
function layOut(part: string | HelpList): string {
  if (typeof part === 'string') return part;
  return [part.heading, ...part.rows.map(([left, right]) => `  ${left}  \t${right}`)].join('\n');
}

/** Renders a page; it contains no value of any option. */
export async function renderHelpPage(page: HelpPage, columns: number | undefined): Promise<string> {
  const parser = makeParser(columns).usage(page.usage.join('\n\n'));
  for (const [heading, options] of page.groups) {
    for (const option of options) {
      parser.option(option.name, {
        ...(option.aliases === undefined ? {} : { alias: [...option.aliases] }),
        describe: page.isBrief === true ? option.help : describeOption(option),
        group: `${heading}:`,
        // yargs shows the type of an option that has one.
        ...(page.isBrief === true ? {} : takesValue(option) ? { string: true } : { boolean: true }),
      });
    }
  }
  for (const [name, text] of page.commands ?? []) parser.command(name, text);
  for (const { line, summary } of page.examples) {
    // Beside each other, the columns have half of the screen each. kubectl writes its examples below each other too.
    if (page.isBrief === true) parser.example(line, summary);
    else parser.example(`# ${summary}\n${line}`, '');
  }
  if (page.epilog.length > 0) parser.epilogue(page.epilog.map(layOut).join('\n\n'));
  return parser.getHelp();
}

/** What a command is found by. */
type NamedCommand = Pick<CommandDescription, 'words' | 'summary'>;

const RECOMMENDATION = 'did you mean "%s"?';

/**
 * Replaces the messages of yargs, which quote what the user typed: it may be the second half of a password.
 *
 * @param start the words before
 * @param complaint about a word that is missing or unknown
 */
function replaceMessages(parser: Argv, start: readonly string[], complaint: UsageError): void {
  const [prefix = '', suffix = ''] = RECOMMENDATION.split('%s');
  parser.fail((message: string | null, error: unknown) => {
    if (error instanceof UsageError) throw error;
    if (message?.startsWith(prefix) !== true) throw complaint;
    const meant = [...start, message.slice(prefix.length, -suffix.length)].join(' ');
    throw new UsageError('there is no such command', { hint: `did you mean "${meant}"?` });
  });
}

function makeComplaint(start: readonly string[], commands: readonly NamedCommand[]): UsageError {
  if (start.length === 0) {
    return new UsageError('unexpected argument (not shown: it could be a secret)', {
      hint: 'it is not a command of this program; quote values that contain spaces, and see --help',
    });
  }
  const names = commands.map(({ words }) => words.join(' '));
  return new UsageError(`${start.join(' ')} is not a complete command`, { hint: `use one of: ${names.join(', ')}` });
}

/** Adds the commands that begin with the words of `start`. */
function addCommands<Named extends NamedCommand>(
  parser: Argv,
  start: readonly string[],
  commands: readonly Named[],
  onFound: (command: Named) => void,
): void {
  replaceMessages(parser, start, makeComplaint(start, commands));
  for (const word of new Set(commands.map(({ words }) => words[start.length] ?? ''))) {
    const words = [...start, word];
    const group = listCommandGroup(commands, words);
    const complete = group.find((command) => command.words.length === words.length);
    const longer = group.filter((command) => command !== complete);
    parser.command(
      word,
      complete?.summary ?? '',
      (inner) => {
        // The words after a complete command are its arguments, unless they name a longer command.
        inner.demandCommand(complete === undefined ? 1 : 0).strictCommands(complete === undefined);
        addCommands(inner, words, longer, onFound);
      },
      () => {
        if (complete !== undefined) onFound(complete);
      },
    );
  }
}

/**
 * Finds the command that these words start with.
 *
 * @throws UsageError if there is no such command; it suggests the one that was probably meant
 */
export function findCommand<Named extends NamedCommand>(commands: readonly Named[], words: readonly string[]): Named {
  const found: Named[] = [];
  const parser = makeParser(undefined)
    .updateStrings({ 'Did you mean %s?': RECOMMENDATION })
    .demandCommand(1)
    .strictCommands()
    .recommendCommands();
  addCommands(parser, [], commands, (command) => found.push(command));
  parser.parseSync([...words]);
  if (found[0] === undefined) throw makeComplaint([], commands);
  return found[0];
}
