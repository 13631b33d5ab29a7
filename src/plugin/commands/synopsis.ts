import type { Argument, CommandDescription } from './command.ts';

const spell = ({ name, required, variadic }: Argument): string => {
  const word = variadic === true ? `${name}...` : name;
  return required === true ? word : `[${word}]`;
};

/** A command as it is typed: `kubeconfig add [NAME]`. */
export function describeSynopsis({ words, arguments: own = [] }: CommandDescription): string {
  return [...words, ...own.map(spell)].join(' ');
}
