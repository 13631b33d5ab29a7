/** What each command accepts besides its own options. */
import type { Option, OptionGroup, OptionName } from '../config/option.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import type { CommandDescription } from './command.ts';

/** Options for the output to kubectl, which mean nothing to other commands. */
export const KUBECTL_OPTIONS: readonly OptionName[] = ['api-version'];

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
