import { UsageError } from '../../../shared/base/errors.ts';
import type { CommandResult, Command } from '../command.ts';
import { isShell, renderCompletion, SHELLS } from './scripts.ts';

/**
 * Prints what a shell loads to complete the command line.
 *
 * @param list all commands, of which this one is one
 */
export function makeCompletionCommand(list: () => Parameters<typeof renderCompletion>[1]): Command {
  return {
    words: ['completion'],
    summary: 'print the script with which a shell completes this command line',
    details: ['The packages install these scripts for bash, zsh and fish; this is for everybody else.'],
    arguments: [{ name: 'SHELL', help: `shell: ${SHELLS.join(', ')}`, required: true, choices: SHELLS }],
    options: [],
    getTokenOptions: 'run',
    examples: [
      { line: 'completion bash', summary: 'for bash: in ~/.bashrc, source <(client-keystone-auth completion bash)' },
    ],
    run({ args: [shell] }): Promise<CommandResult> {
      if (!isShell(shell))
        throw new UsageError('completion needs SHELL', { hint: `it is one of ${SHELLS.join(', ')}` });
      return Promise.resolve({ text: renderCompletion(shell, list()).trimEnd() });
    },
  };
}
