/** Renders the completion script for bash 3.2 (macOS) and newer; it does not need the package bash-completion. */
import { PROGRAM_NAME } from '../../../shared/base/program.ts';
import { COMMAND_NAMES, isChoice, isListed, listNames } from './vocabulary.ts';
import type { Flag, Vocabulary } from './vocabulary.ts';

/** The flags with values that the script knows, or that the program lists. */
function renderValueCases(flags: readonly Flag[]): string {
  const cases = flags.flatMap(({ names, value }) => {
    if (isChoice(value)) return [`    ${names.join('|')}) words='${value.join(' ')}' ;;`];
    return isListed(value) ? [`    ${names.join('|')}) action=${value.kind} ;;`] : [];
  });
  return cases.join('\n');
}

function joinNames(flags: readonly Flag[], value: 'file' | 'any'): string {
  return listNames(flags.filter((flag) => flag.value === value)).join('|');
}

/** The words that a first word adds. */
function renderWordCases(rows: readonly (readonly [firstWord: string, words: readonly string[]])[]): string {
  return rows.map(([word, words]) => `        ${word}) words="${words.join(' ')} $words" ;;`).join('\n');
}

/** Completes what the first half of the function has selected: a file, names that the program lists, or words. */
const COMPLETE_SELECTION = `  if [ "$action" = file ]; then
    compopt -o filenames 2>/dev/null
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$cur")
  elif [ -n "$action" ]; then
    for ((i = 1; i < COMP_CWORD; i++)); do
      if [ "\${COMP_WORDS[i]}" = --os-cloud ]; then
        cloud="\${COMP_WORDS[i + 1]}"
        if [ "$cloud" = '=' ]; then cloud="\${COMP_WORDS[i + 2]}"; fi
      fi
    done
    # Not with compgen -W, which would run a command in a name.
    while IFS= read -r line; do
      case "$line" in
        '') ;;
        "$cur"*) COMPREPLY+=("$(printf %q "$line")") ;;
      esac
    done < <("$1" complete "$action" \${cloud:+--os-cloud="$cloud"} </dev/null 2>/dev/null)
  else
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -W "$words" -- "$cur")
  fi`;

/** Renders the completion script for bash. */
export function renderBash({ firstWords, secondWords, commonFlags, ownFlags, allFlags }: Vocabulary): string {
  return `# bash completion for ${PROGRAM_NAME}, generated from its options

_client_keystone_auth() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev='' words='' action='' cloud='' line i
  if [ "$COMP_CWORD" -gt 0 ]; then prev="\${COMP_WORDS[COMP_CWORD-1]}"; fi
  # bash splits --flag=value at the equals sign.
  if [ "$cur" = '=' ]; then
    cur=''
  elif [ "$prev" = '=' ] && [ "$COMP_CWORD" -gt 1 ]; then
    prev="\${COMP_WORDS[COMP_CWORD-2]}"
  fi
  COMPREPLY=()
  case "$prev" in
${renderValueCases(allFlags)}
    ${joinNames(allFlags, 'file')}) action=file ;;
    ${joinNames(allFlags, 'any')}) return 0 ;;
    *)
      words='${listNames(commonFlags).join(' ')}'
      if [ "$COMP_CWORD" -eq 1 ]; then
        words="${firstWords.map(([word]) => word).join(' ')} $words"
      else
        case "\${COMP_WORDS[1]}" in
${renderWordCases(ownFlags.map(([word, flags]) => [word, listNames(flags)]))}
          *) ;;
        esac
      fi
      if [ "$COMP_CWORD" -eq 2 ]; then
        case "\${COMP_WORDS[1]}" in
${renderWordCases(secondWords)}
          *) ;;
        esac
      fi
      ;;
  esac
${COMPLETE_SELECTION}
}

complete -F _client_keystone_auth ${COMMAND_NAMES.join(' ')}
`;
}
