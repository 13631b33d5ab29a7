/** Completions for shells, from the options that there are. No shell needs more than itself to load them. */
import { listFlagNames, takesValue } from '../../../shared/options/flags.ts';
import type { Option } from '../../../shared/options/option.ts';
import { listMethodNames, METHODS, OPTIONS } from '../../auth-methods/registry.ts';
import type { CommandDescription } from '../command.ts';
import { quoteAlways } from '../quote-for-shell.ts';

const NAME = 'client-keystone-auth';

/** The program's own name, and kubectl's spelling of `kubectl keystone-auth`. */
const NAMES: readonly string[] = [NAME, 'kubectl-keystone_auth'];

interface Flag {
  /** With dashes. */
  readonly names: readonly string[];
  readonly help: string;
  /** What may follow it: nothing, one of these, a file, a name that `complete` lists, or what nobody can guess. */
  readonly value: 'none' | 'file' | 'any' | Listed | readonly string[];
}

/** A kind of names that only the program itself can list, see `complete.ts`. */
interface Listed {
  readonly kind: string;
}

/** By name of the option. */
const KINDS: Readonly<Record<string, string>> = {
  'os-cloud': 'clouds',
  'project-name': 'projects',
  cluster: 'clusters',
  context: 'contexts',
};

const isListed = (value: Flag['value']): value is Listed => typeof value === 'object' && 'kind' in value;
const isChoice = (value: Flag['value']): value is readonly string[] => Array.isArray(value);

function valueOf(option: Option): Flag['value'] {
  const { name, kind, choices } = option;
  if (!takesValue(option)) return 'none';
  if (kind === 'file') return 'file';
  if (name === 'auth-type') return METHODS.flatMap(listMethodNames);
  const listed = KINDS[name];
  return choices ?? (listed === undefined ? 'any' : { kind: listed });
}

function describeFlags(options: readonly Option[]): readonly Flag[] {
  return options
    .filter(({ flag }) => flag !== false)
    .map((option) => ({
      names: listFlagNames(option),
      help: `${option.help}${option.secret === true ? ' (public as a flag: prefer the variable)' : ''}`,
      value: valueOf(option),
    }));
}

/** Of every command. */
const FLAGS: readonly Flag[] = [
  ...describeFlags(OPTIONS),
  { names: ['--help'], help: 'show all options', value: 'none' },
  { names: ['--version'], help: 'show the version', value: 'none' },
];

const namesOf = (flags: readonly Flag[]): readonly string[] => flags.flatMap(({ names }) => names);

/** What may be typed: first words with what they are for, second words, and the flags that a first word brings along. */
interface Vocabulary {
  readonly first: readonly (readonly [word: string, about: string])[];
  readonly second: readonly (readonly [first: string, words: readonly string[]])[];
  readonly own: readonly (readonly [first: string, flags: readonly Flag[]])[];
  readonly all: readonly Flag[];
}

function makeVocabulary(commands: readonly CommandDescription[]): Vocabulary {
  const firstWords = [...new Set(commands.map(({ words }) => words[0]))];
  const of = (word: string): readonly CommandDescription[] => commands.filter(({ words }) => words[0] === word);
  const own = firstWords.map((word) => {
    const options = of(word).flatMap((command) => command.options);
    // One of each name: commands that share a first word mean the same by the same flag.
    return [word, describeFlags([...new Map(options.map((option) => [option.name, option])).values()])] as const;
  });
  const flags = [...FLAGS, ...own.flatMap(([, some]) => some)];
  return {
    first: firstWords.map((word) => {
      const named = of(word);
      const [{ summary } = { summary: '' }] = named;
      return [
        word,
        named.length === 1 ? summary : named.map(({ words }) => words.slice(1).join(' ')).join(', '),
      ] as const;
    }),
    second: firstWords.flatMap((word) => {
      const words = of(word).flatMap((command) => command.words[1] ?? command.arguments?.[0]?.choices ?? []);
      return words.length === 0 ? [] : [[word, words] as const];
    }),
    own: own.filter(([, some]) => some.length > 0),
    all: [...new Map(flags.map((flag) => [flag.names[0], flag])).values()],
  };
}

/** For bash 3.2 (macOS) and newer; `bash-completion` is not needed. */
function renderBash({ first, second, own, all }: Vocabulary): string {
  const chosen = all.flatMap(({ names, value }) =>
    isChoice(value)
      ? [`    ${names.join('|')}) words='${value.join(' ')}' ;;`]
      : isListed(value)
        ? [`    ${names.join('|')}) action=${value.kind} ;;`]
        : [],
  );
  const having = (wanted: Flag['value']): string => namesOf(all.filter(({ value }) => value === wanted)).join('|');
  const seconds = second.map(([word, words]) => `        ${word}) words="${words.join(' ')} $words" ;;`);
  const brought = own.map(([word, flags]) => `        ${word}) words="${namesOf(flags).join(' ')} $words" ;;`);
  return `# bash completion for ${NAME}, made from its options

_client_keystone_auth() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev='' words='' action='' cloud='' line i
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
    ${having('file')}) action=file ;;
    ${having('any')}) return 0 ;;
    *)
      words='${namesOf(FLAGS).join(' ')}'
      if [ "$COMP_CWORD" -eq 1 ]; then
        words="${first.map(([word]) => word).join(' ')} $words"
      else
        case "\${COMP_WORDS[1]}" in
${brought.join('\n')}
          *) ;;
        esac
      fi
      if [ "$COMP_CWORD" -eq 2 ]; then
        case "\${COMP_WORDS[1]}" in
${seconds.join('\n')}
          *) ;;
        esac
      fi
      ;;
  esac
  if [ "$action" = file ]; then
    compopt -o filenames 2>/dev/null
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$cur")
  elif [ -n "$action" ]; then
    for ((i = 1; i < COMP_CWORD; i++)); do
      if [ "\${COMP_WORDS[i]}" = --os-cloud ]; then
        cloud="\${COMP_WORDS[i + 1]}"
        if [ "$cloud" = '=' ]; then cloud="\${COMP_WORDS[i + 2]}"; fi
      fi
    done
    # Not by compgen -W, which would run what stands in a name.
    while IFS= read -r line; do
      case "$line" in
        '') ;;
        "$cur"*) COMPREPLY+=("$(printf %q "$line")") ;;
      esac
    done < <("$1" complete "$action" \${cloud:+--os-cloud="$cloud"} </dev/null 2>/dev/null)
  else
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -W "$words" -- "$cur")
  fi
}

complete -F _client_keystone_auth ${NAMES.join(' ')}
`;
}

function renderZsh({ first, second, all }: Vocabulary): string {
  const specs = all.flatMap(({ names, help, value }) => {
    // Brackets end the text of a flag, colons that of a value.
    const text = `[${help.replace(/[[\]\\:]/g, '\\$&')}]`;
    return names.map((name) => {
      const short = !name.startsWith('--');
      if (value === 'none') return quoteAlways(`${name}${text}`);
      const action = isListed(value)
        ? `_client_keystone_auth_names ${value.kind}`
        : isChoice(value)
          ? `(${value.join(' ')})`
          : value === 'file'
            ? '_files'
            : ' ';
      return quoteAlways(`${name}${short ? '+' : '='}${text}:value:${action}`);
    });
  });
  return `#compdef ${NAMES.join(' ')}
# zsh completion for ${NAME}, made from its options

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
  ${[...specs, quoteAlways(`1::command:(${first.map(([word]) => word).join(' ')})`), quoteAlways(`2::word:(${second.flatMap(([, words]) => words).join(' ')})`)].join(' \\\n  ')}
`;
}

function renderFish({ first, second, own }: Vocabulary): string {
  const word = (text: string): string => `'${text.replace(/['\\]/g, '\\$&')}'`;
  const describe = (flags: readonly Flag[], after: string): string[] =>
    flags.map(({ names, help, value }) => {
      const spelt = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
      const takes = isListed(value)
        ? ` -x -a ${word(`(__client_keystone_auth_names ${value.kind})`)}`
        : isChoice(value)
          ? ` -x -a ${word(value.join(' '))}`
          : { none: '', file: ' -r -F', any: ' -x' }[value];
      return `  complete -c $name${after} ${spelt.join(' ')}${takes} -d ${word(help)}`;
    });
  const lines = [
    ...first.map(([name, about]) => `  complete -c $name -n __fish_is_first_arg -a ${name} -d ${word(about)}`),
    ...second.map(([name, words]) => `  complete -c $name -n '__fish_prev_arg_in ${name}' -a ${word(words.join(' '))}`),
    ...own.flatMap(([name, flags]) => describe(flags, ` -n '__fish_seen_subcommand_from ${name}'`)),
    ...describe(FLAGS, ''),
  ];
  return `# fish completion for ${NAME}, made from its options

function __client_keystone_auth_names
  set -l typed (commandline -opc)
  set -l cloud
  for i in (seq 2 (count $typed))
    switch $typed[$i]
      case --os-cloud
        set cloud --os-cloud=$typed[(math $i + 1)]
      case '--os-cloud=*'
        set cloud $typed[$i]
    end
  end
  $typed[1] complete $argv[1] $cloud </dev/null 2>/dev/null
end

for name in ${NAMES.join(' ')}
  complete -c $name -f
${lines.join('\n')}
end
`;
}

/** For PowerShell 5 and newer; what stands on its line decides nothing but the first word. */
function renderPowerShell({ first, second, own, all }: Vocabulary): string {
  const list = (words: readonly string[]): string => `@(${words.map((one) => `'${one}'`).join(', ')})`;
  const table = (rows: readonly (readonly [string, readonly string[]])[]): string =>
    `@{ ${rows.map(([name, words]) => `'${name}' = ${list(words)}`).join('; ')} }`;
  return `# PowerShell completion for ${NAME}, made from its options

Register-ArgumentCompleter -Native -CommandName ${NAMES.map((one) => `'${one}'`).join(', ')} -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $first = ${list(first.map(([word]) => word))}
  $second = ${table(second)}
  $own = ${table(own.map(([name, flags]) => [name, namesOf(flags)] as const))}
  $flags = ${list(namesOf(FLAGS))}
  $typed = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
  $before = @($typed | Where-Object { $_ -ne $wordToComplete })
  $kinds = @{ ${all.flatMap(({ names, value }) => (isListed(value) ? names.map((name) => `'${name}' = '${value.kind}'`) : [])).join('; ')} }
  if ($before.Count -gt 0 -and $kinds.ContainsKey($before[-1])) {
    $cloud = @()
    $at = [array]::IndexOf($before, '--os-cloud')
    if ($at -ge 0 -and $at + 1 -lt $before.Count) { $cloud = @("--os-cloud=$($before[$at + 1])") }
    & $commandAst.GetCommandName() complete $kinds[$before[-1]] @cloud 2>$null |
      Where-Object { $_ -ne '' -and $_.StartsWith($wordToComplete) } | ForEach-Object {
        $quoted = if ($_ -match '^[\\w.-]+$') { $_ } else { "'" + $_.Replace("'", "''") + "'" }
        [System.Management.Automation.CompletionResult]::new($quoted, $_, 'ParameterValue', $_)
      }
    return
  }
  $words = $flags
  if ($before.Count -eq 0) { $words = $first + $words }
  else {
    if ($own.ContainsKey($before[0])) { $words = $own[$before[0]] + $words }
    if ($before.Count -eq 1 -and $second.ContainsKey($before[0])) { $words = $second[$before[0]] + $words }
  }
  $words | Where-Object { $_ -like "$wordToComplete*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`;
}

/** What makes the script of each shell. */
const RENDERERS = {
  bash: renderBash,
  zsh: renderZsh,
  fish: renderFish,
  powershell: renderPowerShell,
} as const;

export type Shell = keyof typeof RENDERERS;

/** Shells by the names that `completion` takes. */
export const SHELLS: readonly string[] = Object.keys(RENDERERS);

/** Whether there is a script for a shell of this name. */
export function isShell(name: string | undefined): name is Shell {
  return name !== undefined && SHELLS.includes(name);
}

/** The script that a shell loads to complete the command line. */
export function renderCompletion(shell: Shell, commands: readonly CommandDescription[]): string {
  return RENDERERS[shell](makeVocabulary(commands));
}
