/** Completions for shells, from the options that there are. No shell needs more than itself to load them. */
import { flagNames } from '../../src/config/flags.ts';
import type { Option } from '../../src/config/option.ts';
import { METHODS, OPTIONS } from '../../src/methods/registry.ts';
import { NAME, PLUGIN_NAME } from './product.ts';

const NAMES: readonly string[] = [NAME, PLUGIN_NAME];

interface Flag {
  /** With dashes. */
  readonly names: readonly string[];
  readonly help: string;
  /** What may follow it: nothing, one of these, a file, or what nobody can guess. */
  readonly value: 'none' | 'file' | 'any' | readonly string[];
}

function valueOf({ name, kind, choices }: Option): Flag['value'] {
  if (kind === 'switch') return 'none';
  if (kind === 'file') return 'file';
  if (name === 'auth-type') return METHODS.flatMap(({ names }) => names);
  return choices ?? 'any';
}

const FLAGS: readonly Flag[] = [
  ...OPTIONS.filter(({ flag }) => flag !== false).map((option) => ({
    names: flagNames(option),
    help: `${option.help}${option.secret === true ? ' (public as a flag: prefer the variable)' : ''}`,
    value: valueOf(option),
  })),
  { names: ['--help'], help: 'show all options', value: 'none' },
  { names: ['--version'], help: 'show the version', value: 'none' },
];

const namesWith = (test: (flag: Flag) => boolean): readonly string[] =>
  FLAGS.filter(test).flatMap(({ names }) => names);

/** For bash 3.2 (macOS) and newer; `bash-completion` is not needed. */
function renderBash(): string {
  const chosen = FLAGS.flatMap(({ names, value }) =>
    typeof value === 'string' ? [] : [`    ${names.join('|')}) words='${value.join(' ')}' ;;`],
  );
  return `# bash completion for ${NAME}, made from its options

_client_keystone_auth() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev='' words='' action='' line
  if [ "$COMP_CWORD" -gt 0 ]; then prev="\${COMP_WORDS[COMP_CWORD-1]}"; fi
  # bash takes --flag=value apart at the sign.
  if [ "$cur" = '=' ]; then
    cur=''
  elif [ "$prev" = '=' ] && [ "$COMP_CWORD" -gt 1 ]; then
    prev="\${COMP_WORDS[COMP_CWORD-2]}"
  fi
  COMPREPLY=()
  case "$prev" in
${chosen.join('\n')}
    ${namesWith(({ value }) => value === 'file').join('|')}) action=file ;;
    ${namesWith(({ value }) => value === 'any').join('|')}) return 0 ;;
    *)
      words='${namesWith(() => true).join(' ')}'
      if [ "$COMP_CWORD" -eq 1 ]; then words="get-token $words"; fi
      ;;
  esac
  if [ "$action" = file ]; then
    compopt -o filenames 2>/dev/null
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$cur")
  else
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -W "$words" -- "$cur")
  fi
}

complete -F _client_keystone_auth ${NAMES.join(' ')}
`;
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function renderZsh(): string {
  const specs = FLAGS.flatMap(({ names, help, value }) => {
    // Brackets end the text of a flag, colons that of a value.
    const text = `[${help.replace(/[[\]\\:]/g, '\\$&')}]`;
    return names.map((name) => {
      const short = !name.startsWith('--');
      if (value === 'none') return quote(`${name}${text}`);
      const action = value === 'file' ? '_files' : value === 'any' ? ' ' : `(${value.join(' ')})`;
      return quote(`${name}${short ? '+' : '='}${text}:value:${action}`);
    });
  });
  return `#compdef ${NAMES.join(' ')}
# zsh completion for ${NAME}, made from its options

_arguments -S \\
  ${[...specs, quote('1::command:(get-token)')].join(' \\\n  ')}
`;
}

function renderFish(): string {
  const word = (text: string): string => `'${text.replace(/['\\]/g, '\\$&')}'`;
  const lines = FLAGS.map(({ names, help, value }) => {
    const spelt = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
    const takes =
      value === 'none' ? '' : value === 'file' ? ' -r -F' : value === 'any' ? ' -x' : ` -x -a ${word(value.join(' '))}`;
    return `  complete -c $name ${spelt.join(' ')}${takes} -d ${word(help)}`;
  });
  return `# fish completion for ${NAME}, made from its options

for name in ${NAMES.join(' ')}
  complete -c $name -f
  complete -c $name -n __fish_is_first_arg -a get-token -d ${word('print a token, as without a command')}
${lines.join('\n')}
end
`;
}

/** One file for each shell. */
export interface Completions {
  readonly bash: string;
  readonly zsh: string;
  readonly fish: string;
}

export function renderCompletions(): Completions {
  return { bash: renderBash(), zsh: renderZsh(), fish: renderFish() };
}
