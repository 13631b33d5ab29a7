/** Plays a user who answers the prompts of the plugin on a terminal. */
import type { Test } from 'tap';
import { openTerminal } from './terminal.ts';
import type { Terminal, TerminalCommand } from './terminal.ts';

/** Enter, in the input of a terminal. */
export const ENTER = '\r';

/** Starts a program on a terminal that is closed at the end of the test. */
export function openTestTerminal(t: Test, command: TerminalCommand): Terminal {
  const terminal = openTerminal(command);
  t.teardown(() => terminal.close());
  return terminal;
}

/** Waits for a prompt and answers it. */
export async function answer(terminal: Terminal, question: string | RegExp, keys: string): Promise<void> {
  await terminal.waitFor(question);
  terminal.type(keys + ENTER);
}
