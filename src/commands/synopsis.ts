import type { Argument, CommandDescription } from './command.ts';

const spell = ({ name, required }: Argument): string => (required === true ? name : `[${name}]`);

/** A command as it is typed: `kubeconfig add [NAME]`. */
export function describeSynopsis({ words, arguments: own = [] }: CommandDescription): string {
  return [...words, ...own.map(spell)].join(' ');
}
