/** Finds the command that a command line names, and the options that it accepts. */
import type { Option, OptionGroup, OptionName } from '../config/option.ts';
import { UsageError } from '../../shared/base/errors.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import type { Command, CommandDescription } from './command.ts';
import { COMMANDS } from './registry.ts';

/** Options for the output to kubectl, which mean nothing to other commands. */
const KUBECTL_OPTIONS: readonly OptionName[] = ['api-version'];

const isInGroups =
  (...groups: readonly OptionGroup[]) =>
  ({ group, name }: Option): boolean =>
    groups.includes(group) && !KUBECTL_OPTIONS.includes(name);

const ACCEPTED_OPTIONS: Readonly<Record<CommandDescription['getTokenOptions'], (option: Option) => boolean>> = {
  everything: () => true,
  login: ({ name }) => !KUBECTL_OPTIONS.includes(name),
  cache: isInGroups('Cache', 'Run'),
  run: isInGroups('Run'),
};

/** Lists the options of get-token that a command accepts. */
export function listGetTokenOptions({ getTokenOptions }: CommandDescription): readonly Option[] {
  return OPTIONS.filter(ACCEPTED_OPTIONS[getTokenOptions]);
}

function startsWith(words: readonly string[], prefix: readonly string[]): boolean {
  return prefix.every((word, index) => words[index] === word);
}

/** Lists the commands with this first word. */
export function listCommandGroup(word: string | undefined): readonly Command[] {
  return COMMANDS.filter(({ words }) => words[0] === word);
}

/**
 * Finds the command that these words start with.
 *
 * @throws UsageError if there is no such command
 */
export function findCommand(words: readonly string[]): Command {
  const match = COMMANDS.find((command) => startsWith(words, command.words));
  if (match !== undefined) return match;
  const group = listCommandGroup(words[0]);
  if (group.length > 0) {
    const names = group.map((command) => command.words.join(' '));
    throw new UsageError(`${words[0] ?? ''} is not a complete command`, { hint: `use one of: ${names.join(', ')}` });
  }
  throw new UsageError('unexpected argument (not shown: it could be a secret)', {
    hint: 'it is not a command of this program; quote values that contain spaces, and see --help',
  });
}
