import { UsageError } from '../../../shared/base/errors.ts';
import type { CommandResult, Command } from '../command.ts';
import { getCompletionScript, isShell, SHELLS } from './scripts.ts';

/** Prints the completion script of a shell. */
export const completionCommand: Command = {
  words: ['completion'],
  task: 'Set up',
  summary: 'print the script with which a shell completes this command line',
  details: [
    'The packages install these scripts for bash, zsh and fish. For other installations, see "completion install".',
  ],
  arguments: [{ name: 'SHELL', help: `shell: ${SHELLS.join(', ')}`, required: true, choices: SHELLS }],
  options: [],
  contextUse: 'none',
  getTokenOptions: 'run',
  examples: [{ line: 'completion bash', summary: 'print the script for bash' }],
  run({ args: [shell] }): Promise<CommandResult> {
    if (!isShell(shell)) {
      throw new UsageError('completion needs SHELL', { hint: `give one of ${SHELLS.join(', ')}` });
    }
    return Promise.resolve({ lines: getCompletionScript(shell).trimEnd().split('\n') });
  },
};
