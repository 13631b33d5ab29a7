/** Renders the completion script for fish. */
import { PROGRAM_NAME } from '../../../shared/base/program.ts';
import { COMMAND_NAMES, isChoice, isListed } from './vocabulary.ts';
import type { Flag, FlagValue, Vocabulary } from './vocabulary.ts';

const quote = (text: string): string => `'${text.replace(/['\\]/g, '\\$&')}'`;

function renderValue(value: FlagValue): string {
  if (isListed(value)) return ` -x -a ${quote(`(__client_keystone_auth_names ${value.kind})`)}`;
  if (isChoice(value)) return ` -x -a ${quote(value.join(' '))}`;
  return { none: '', file: ' -r -F', any: ' -x' }[value];
}

function renderFlags(flags: readonly Flag[], condition: string): string[] {
  return flags.map(({ names, help, value }) => {
    const options = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
    return `  complete -c $name${condition} ${options.join(' ')}${renderValue(value)} -d ${quote(help)}`;
  });
}

/** Renders the completion script for fish. */
export function renderFish({ firstWords, secondWords, commonFlags, ownFlags }: Vocabulary): string {
  const lines = [
    ...firstWords.map(([word, help]) => `  complete -c $name -n __fish_is_first_arg -a ${word} -d ${quote(help)}`),
    ...secondWords.map(
      ([word, words]) => `  complete -c $name -n '__fish_prev_arg_in ${word}' -a ${quote(words.join(' '))}`,
    ),
    ...ownFlags.flatMap(([word, flags]) => renderFlags(flags, ` -n '__fish_seen_subcommand_from ${word}'`)),
    ...renderFlags(commonFlags, ''),
  ];
  return `# fish completion for ${PROGRAM_NAME}, generated from its options

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

for name in ${COMMAND_NAMES.join(' ')}
  complete -c $name -f
${lines.join('\n')}
end
`;
}
