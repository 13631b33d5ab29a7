import type { Option } from '../../shared/options/option.ts';
import { InteractionRequired } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import type { ChoicePrompt } from './prompt.ts';
import { openTerminal } from './terminal.ts';

/** Whoever sits at the terminal, if anybody does. */
export interface TerminalUser {
  /** Why nobody can be asked, as a clause; undefined where somebody can. */
  readonly cannotPromptReason: string | undefined;
  /**
   * Makes sure that somebody would read what is told.
   *
   * @throws InteractionRequired where nobody would
   */
  requirePresence(): void;
  /**
   * Says what has to be done elsewhere.
   *
   * @throws InteractionRequired where nobody would read it
   */
  notify(message: string): void;
  /**
   * Asks one thing.
   *
   * @param where what the answer is for, in the words of a message
   * @param signal takes the question back; it then counts as cancelled
   * @throws InteractionRequired
   * @throws Cancelled
   */
  prompt(option: Option, where: string, signal?: AbortSignal): Promise<string>;
  /**
   * Has one of several answers chosen.
   *
   * @returns its value; undefined where nobody can be asked
   * @throws Cancelled
   */
  promptForChoice(question: ChoicePrompt): Promise<string | undefined>;
}

/** What a {@link TerminalUser} is reached by. */
export interface TerminalUserOptions {
  readonly host: Host;
  /** Whether kubectl lets us read from the terminal. */
  readonly canPrompt: boolean;
  /** Puts a line on stderr. */
  readonly writeLine: (line: string) => void;
}

function hasTerminal(host: Host): boolean {
  const terminal = openTerminal(host);
  terminal?.close();
  return terminal !== undefined;
}

/** Finds whoever sits at the terminal. */
export function makeTerminalUser({ host, canPrompt, writeLine }: TerminalUserOptions): TerminalUser {
  let terminal: boolean | undefined;
  const present = (): boolean => (terminal ??= hasTerminal(host));
  return {
    get cannotPromptReason() {
      if (!canPrompt) return 'kubectl does not let this plugin ask for it';
      return present() ? undefined : 'there is no terminal to ask on';
    },
    requirePresence() {
      if (!host.stderrIsTerminal() && !present()) {
        throw new InteractionRequired('this way to log in needs a person with a browser, and there is no terminal', {
          hint: 'log in once on a terminal, or use an application credential or client credentials',
        });
      }
    },
    notify(message) {
      this.requirePresence();
      writeLine(message);
    },
    async prompt(option, where, signal) {
      const because = this.cannotPromptReason;
      const opened = because === undefined ? openTerminal(host) : undefined;
      if (opened === undefined) {
        throw new InteractionRequired(
          `${(option.prompt ?? option.name).toLowerCase()} is needed and ${because ?? 'there is no terminal'}`,
        );
      }
      const { promptForOption } = await import('./prompt.ts');
      try {
        return await promptForOption(host, opened, option, where, { signal });
      } finally {
        opened.close();
      }
    },
    async promptForChoice(question) {
      const opened = this.cannotPromptReason === undefined ? openTerminal(host) : undefined;
      if (opened === undefined) return undefined;
      const { promptForChoice } = await import('./prompt.ts');
      try {
        return await promptForChoice(host, opened, question);
      } finally {
        opened.close();
      }
    },
  };
}
