/**
 * Renders the completion script for PowerShell 5 and newer. Of the words on the line it looks at the first one only.
 */
import { PROGRAM_NAME } from '../../../shared/base/program.ts';
import { COMMAND_NAMES, isListed, listNames } from './vocabulary.ts';
import type { Flag, Vocabulary } from './vocabulary.ts';

const quote = (word: string): string => `'${word}'`;

const renderList = (words: readonly string[]): string => `@(${words.map(quote).join(', ')})`;

function renderTable(rows: readonly (readonly [firstWord: string, words: readonly string[]])[]): string {
  return `@{ ${rows.map(([word, words]) => `${quote(word)} = ${renderList(words)}`).join('; ')} }`;
}

/** The kinds of names that the program lists, by flag. */
function renderKinds(flags: readonly Flag[]): string {
  const rows = flags.flatMap(({ names, value }) =>
    isListed(value) ? names.map((name) => `${quote(name)} = ${quote(value.kind)}`) : [],
  );
  return `@{ ${rows.join('; ')} }`;
}

/** Renders the completion script for PowerShell. */
export function renderPowerShell({ firstWords, secondWords, commonFlags, ownFlags, allFlags }: Vocabulary): string {
  return `# PowerShell completion for ${PROGRAM_NAME}, generated from its options

Register-ArgumentCompleter -Native -CommandName ${COMMAND_NAMES.map(quote).join(', ')} -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $first = ${renderList(firstWords.map(([word]) => word))}
  $second = ${renderTable(secondWords)}
  $own = ${renderTable(ownFlags.map(([word, flags]) => [word, listNames(flags)]))}
  $flags = ${renderList(listNames(commonFlags))}
  $typed = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
  $before = @($typed | Where-Object { $_ -ne $wordToComplete })
  $kinds = ${renderKinds(allFlags)}
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
