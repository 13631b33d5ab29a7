import { UsageError } from '../../../shared/base/errors.ts';
import type { CommandDescription, CommandResult, Command } from '../command.ts';
import { isShell, renderCompletion, SHELLS } from './render-completion.ts';

/**
 * Makes the command that prints the completion script of a shell.
 *
 * @param listCommands all commands, including this one
 */
export function makeCompletionCommand(listCommands: () => readonly CommandDescription[]): Command {
  return {
    words: ['completion'],
    task: 'Set up',
    summary: 'print the script with which a shell completes this command line',
    details: ['The packages install these scripts for bash, zsh and fish. Use this command for other installations.'],
    arguments: [{ name: 'SHELL', help: `shell: ${SHELLS.join(', ')}`, required: true, choices: SHELLS }],
    options: [],
    contextUse: 'none',
    getTokenOptions: 'run',
    examples: [
      { line: 'completion bash', summary: 'for bash: in ~/.bashrc, source <(client-keystone-auth completion bash)' },
    ],
    run({ args: [shell] }): Promise<CommandResult> {
      if (!isShell(shell)) {
        throw new UsageError('completion needs SHELL', { hint: `give one of ${SHELLS.join(', ')}` });
      }
      return Promise.resolve({ lines: renderCompletion(shell, listCommands()).trimEnd().split('\n') });
    },
  };
}
