import type { Host } from '../../shared/base/host.ts';
import { makeTerminalTurns } from '../cache/terminal-turns.ts';
import type { Reporter } from '../login/login-context.ts';
import { makeTerminalUser } from '../terminal/terminal-user.ts';
import type { TerminalUser } from '../terminal/terminal-user.ts';

/** Makes the user of a command, who can be prompted wherever there is a terminal. */
export function makeCommandUser({ host, reporter }: { host: Host; reporter: Reporter }): TerminalUser {
  const turn = makeTerminalTurns(host);
  return makeTerminalUser({ host, canPrompt: true, writeLine: reporter.info, turn });
}
