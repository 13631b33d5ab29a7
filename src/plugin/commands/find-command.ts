import type { Option, OptionGroup } from '../../shared/options/option.ts';
import { UsageError } from '../../shared/base/errors.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import type { Command, CommandDescription } from './command.ts';
import { COMMANDS } from './registry.ts';

/** Options that say how a token is handed to kubectl, which means nothing to other commands. */
const FOR_KUBECTL = ['api-version'];

const isOf =
  (...groups: readonly OptionGroup[]) =>
  ({ group, name }: Option): boolean =>
    groups.includes(group) && !FOR_KUBECTL.includes(name);

const TAKEN: Readonly<Record<CommandDescription['getTokenOptions'], (option: Option) => boolean>> = {
  everything: () => true,
  login: ({ name }) => !FOR_KUBECTL.includes(name),
  cache: isOf('Cache', 'Run'),
  run: isOf('Run'),
};

/** The options of a login that a command takes. */
export function listGetTokenOptions({ getTokenOptions }: CommandDescription): readonly Option[] {
  return OPTIONS.filter(TAKEN[getTokenOptions]);
}

function startsWith(words: readonly string[], beginning: readonly string[]): boolean {
  return beginning.every((word, index) => words[index] === word);
}

/** Commands whose names begin with this word. */
export function listCommandGroup(word: string | undefined): readonly Command[] {
  return COMMANDS.filter(({ words }) => words[0] === word);
}

/**
 * Finds the command that these words begin with.
 *
 * @throws UsageError where there is none
 */
export function findCommand(words: readonly string[]): Command {
  const found = COMMANDS.find((command) => startsWith(words, command.words));
  if (found !== undefined) return found;
  const group = listCommandGroup(words[0]);
  if (group.length > 0) {
    const names = group.map((command) => command.words.join(' '));
    throw new UsageError(`${words[0] ?? ''} alone is no command`, { hint: `use ${names.join(', ')}` });
  }
  throw new UsageError('unexpected argument (not shown: it could be a secret)', {
    hint: 'it is no command that this program has; quote values that hold spaces, and see --help',
  });
}
