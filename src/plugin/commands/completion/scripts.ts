/**
 * The completion scripts. They know nothing of the commands and options: they ask the program, as those of kubectl do.
 * Those of yargs are for bash and zsh only, complete no files, and would show it the values of flags.
 *
 * `PROGRAM complete -- WORD...` gets the words after the name of the program, the last one being the one that is typed;
 * `complete next --` says that it is empty, for a shell that cannot pass an empty word. The first line of the answer is
 * `files`, or `words` and then two lines for each candidate: the whole word, and what it means.
 */
import { PROGRAM_NAME } from '../../../shared/base/program.ts';

/** The names of the program; kubectl runs the second one for `kubectl keystone-auth`. */
const COMMAND_NAMES = `${PROGRAM_NAME} kubectl-keystone_auth`;

/** The end of the first lines of all scripts, by which the program knows its own files. */
export const SCRIPT_MARK = `completion for ${PROGRAM_NAME}, which answers what can follow`;

/** For bash 3.2 (macOS) and newer; it does not need the package bash-completion. */
const BASH = `# bash ${SCRIPT_MARK}

_client_keystone_auth() {
  local IFS=$' \\t\\n' cur="\${COMP_WORDS[COMP_CWORD]}" word kind='' value help words
  # bash splits words at = and : too. Without -r, a backslash keeps a space in a word.
  case "$cur" in '=' | ':') cur='' ;; esac
  read -a words <<<"\${COMP_LINE:0:COMP_POINT}"
  case "\${COMP_LINE:0:COMP_POINT}" in *[[:space:]]) words+=('') ;; esac
  word="\${words[\${#words[@]} - 1]}"
  COMPREPLY=()
  {
    read -r kind
    while IFS= read -r value && IFS= read -r help; do
      COMPREPLY+=("$(printf %q "\${value#"\${word%"$cur"}"}")")
    done
  } < <("$1" complete -- "\${words[@]:1}" </dev/null 2>/dev/null)
  if [ "$kind" = files ]; then
    compopt -o filenames 2>/dev/null
    while IFS= read -r value; do COMPREPLY+=("$value"); done < <(compgen -f -- "$cur")
  fi
}

complete -F _client_keystone_auth ${COMMAND_NAMES}
`;

const ZSH = `#compdef ${COMMAND_NAMES}
# zsh ${SCRIPT_MARK}

_client_keystone_auth() {
  local -a answer values lines
  local value help
  answer=("\${(@f)$("\${(Q)words[1]}" complete -- "\${(@Q)words[2,CURRENT]}" </dev/null 2>/dev/null)}")
  if [[ $answer[1] = files ]]; then
    compset -P '*='
    _files
    return
  fi
  for value help in "\${(@)answer[2,-1]}"; do
    values+=("$value")
    lines+=("$value\${help:+  -- $help}")
  done
  compadd -l -d lines -a values
}

if [[ \${funcstack[1]} = _${PROGRAM_NAME} ]]; then
  _client_keystone_auth "$@"
else
  compdef _client_keystone_auth ${COMMAND_NAMES}
fi
`;

const FISH = `# fish ${SCRIPT_MARK}

function __client_keystone_auth_complete
  set -l typed (commandline -opc)
  set -l word (commandline -ct)
  set -l answer ($typed[1] complete -- $typed[2..-1] "$word" </dev/null 2>/dev/null)
  if test "$answer[1]" = files
    set -l flag (string match -r -- '^-[^=]*=' "$word")
    for path in (__fish_complete_path (string replace -- "$flag" '' "$word"))
      echo "$flag$path"
    end
    return
  end
  set -e answer[1]
  while set -q answer[2]
    printf '%s\\t%s\\n' $answer[1] $answer[2]
    set -e answer[1..2]
  end
end

for name in ${COMMAND_NAMES}
  complete -c $name -f -a '(__client_keystone_auth_complete)'
end
`;

/** For PowerShell 5 and newer, which passes no empty words to programs. */
const POWERSHELL = `# PowerShell ${SCRIPT_MARK}

Register-ArgumentCompleter -Native -CommandName ${COMMAND_NAMES.split(' ')
  .map((name) => `'${name}'`)
  .join(', ')} -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $typed = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
  $program = $commandAst.GetCommandName()
  $answer = if ($wordToComplete -eq '') { @(& $program complete next '--' @typed 2>$null) }
    else { @(& $program complete '--' @typed 2>$null) }
  if ($answer.Count -eq 0 -or $answer[0] -ne 'words') { return }
  for ($i = 1; $i + 1 -lt $answer.Count; $i += 2) {
    $value = $answer[$i]
    $quoted = if ($value -match '^[\\w.=-]+$') { $value } else { "'" + $value.Replace("'", "''") + "'" }
    $help = if ($answer[$i + 1] -eq '') { $value } else { $answer[$i + 1] }
    [System.Management.Automation.CompletionResult]::new($quoted, $value, 'ParameterValue', $help)
  }
}
`;

const SCRIPTS = { bash: BASH, zsh: ZSH, fish: FISH, powershell: POWERSHELL } as const;

export type Shell = keyof typeof SCRIPTS;

/** The shells, by the names that `completion` accepts. */
export const SHELLS: readonly string[] = Object.keys(SCRIPTS);

/** Whether there is a script for a shell of this name. */
export function isShell(name: string | undefined): name is Shell {
  return name !== undefined && SHELLS.includes(name);
}

/** Returns the script that a shell loads to complete the command line. */
export function getCompletionScript(shell: Shell): string {
  return SCRIPTS[shell];
}
