/** Renders the completion script for zsh. */
import { PROGRAM_NAME } from '../../../shared/base/program.ts';
import { quoteAlways } from '../quote-for-shell.ts';
import { COMMAND_NAMES, isChoice, isListed } from './vocabulary.ts';
import type { Flag, FlagValue, Vocabulary } from './vocabulary.ts';

function renderAction(value: FlagValue): string {
  if (isListed(value)) return `_client_keystone_auth_names ${value.kind}`;
  if (isChoice(value)) return `(${value.join(' ')})`;
  return value === 'file' ? '_files' : ' ';
}

/** One argument of `_arguments` for each name of a flag. */
function renderFlag({ names, help, value }: Flag): string[] {
  // Brackets end the text of a flag, colons the text of a value.
  const text = `[${help.replace(/[[\]\\:]/g, '\\$&')}]`;
  return names.map((name) => {
    if (value === 'none') return quoteAlways(`${name}${text}`);
    const separator = name.startsWith('--') ? '=' : '+';
    return quoteAlways(`${name}${separator}${text}:value:${renderAction(value)}`);
  });
}

/** Renders the completion script for zsh. */
export function renderZsh({ firstWords, secondWords, allFlags }: Vocabulary): string {
  const flags = allFlags.flatMap(renderFlag);
  const first = `1::command:(${firstWords.map(([word]) => word).join(' ')})`;
  const second = `2::word:(${secondWords.flatMap(([, words]) => words).join(' ')})`;
  return `#compdef ${COMMAND_NAMES.join(' ')}
# zsh completion for ${PROGRAM_NAME}, generated from its options

_client_keystone_auth_names() {
  local -a names cloud
  local i=\${words[(I)--os-cloud]}
  if (( i )); then cloud=(--os-cloud="\${(Q)words[i + 1]}"); fi
  i=\${words[(I)--os-cloud=*]}
  if (( i )); then cloud=("\${(Q)words[i]}"); fi
  names=(\${(f)"$("\${(Q)words[1]}" complete "\${@[-1]}" "\${cloud[@]}" </dev/null 2>/dev/null)"})
  compadd "\${@[1,-2]}" -a names
}

_arguments -S \\
  ${[...flags, quoteAlways(first), quoteAlways(second)].join(' \\\n  ')}
`;
}
