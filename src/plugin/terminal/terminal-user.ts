import { describeSources, nameInSentence } from '../../shared/options/option.ts';
import type { Option } from '../../shared/options/option.ts';
import { InteractionRequired } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { PROGRAM_NAME } from '../../shared/base/program.ts';
import { renderLines } from '../../shared/base/terminal-text.ts';
import type { ChoicePrompt, PromptOptions, PromptTurn } from './prompt.ts';
import { openTerminal, writeToTerminal } from './terminal.ts';

/** The user at the terminal, if there is one. */
export interface TerminalUser {
  /** Why no prompt is possible, as a clause; undefined if prompts are possible. */
  readonly cannotPromptReason: string | undefined;
  /**
   * Checks that a user would see a message.
   *
   * @throws InteractionRequired if there is no terminal
   */
  requirePresence(): void;
  /** Tells the user something: on stderr if it is a terminal, else on the controlling terminal, else on stderr. */
  tell(message: string): void;
  /**
   * Tells the user what to do elsewhere.
   *
   * @throws InteractionRequired if there is no terminal
   */
  notify(message: string): void;
  /**
   * Prompts for one option.
   *
   * @param target what the answer is for, as text for messages: "at https://keystone.example.com"
   * @throws InteractionRequired if no prompt is possible
   * @throws UserCanceled
   */
  prompt(option: Option, target: string, options?: PromptOptions): Promise<string>;
  /**
   * Prompts for one of several answers.
   *
   * @returns its value; undefined if no prompt is possible
   * @throws UserCanceled
   */
  promptForChoice(question: ChoicePrompt): Promise<string | undefined>;
}

/** What a {@link TerminalUser} needs. */
export interface TerminalUserOptions {
  readonly host: Host;
  /** Whether kubectl lets the plugin read from the terminal. */
  readonly canPrompt: boolean;
  /** Writes a line to stderr. */
  readonly writeLine: (line: string) => void;
  readonly turn: PromptTurn;
}

/** Makes the user at the terminal; whether there is a terminal is checked when it is first needed. */
export function makeTerminalUser({ host, canPrompt, writeLine, turn }: TerminalUserOptions): TerminalUser {
  const hasTerminal = (): boolean => openTerminal(host) !== undefined;
  return {
    get cannotPromptReason() {
      if (!canPrompt) return 'kubectl does not let this plugin prompt for it';
      return hasTerminal() ? undefined : 'there is no terminal to prompt on';
    },
    requirePresence() {
      if (!host.stderrIsTerminal() && !hasTerminal()) {
        const because = canPrompt ? '' : ', and kubectl does not let the plugin ask';
        throw new InteractionRequired(
          `this login needs a user with a browser, and there is no terminal to show the address on${because}`,
          { hint: 'log in once on a terminal, or use an application credential or client credentials' },
        );
      }
    },
    tell(message) {
      // A program that started this one may keep what it writes to stderr until the end.
      const isOnTerminal =
        !host.stderrIsTerminal() && writeToTerminal(host, renderLines([`${PROGRAM_NAME}: ${message}`]));
      if (!isOnTerminal) writeLine(message);
    },
    notify(message) {
      this.requirePresence();
      this.tell(message);
    },
    async prompt(option, target, options = {}) {
      const reason = this.cannotPromptReason;
      const terminal = reason === undefined ? openTerminal(host) : undefined;
      if (terminal === undefined) {
        throw new InteractionRequired(`${nameInSentence(option)} is needed and ${reason ?? 'there is no terminal'}`, {
          hint: `set ${describeSources(option)}`,
        });
      }
      const { promptForOption } = await import('./prompt.ts');
      try {
        return await promptForOption({ host, terminal, turn }, option, target, options);
      } finally {
        terminal.pause();
      }
    },
    async promptForChoice(question) {
      const terminal = this.cannotPromptReason === undefined ? openTerminal(host) : undefined;
      if (terminal === undefined) return undefined;
      const { promptForChoice } = await import('./prompt.ts');
      try {
        return await promptForChoice({ host, terminal, turn }, question);
      } finally {
        terminal.pause();
      }
    },
  };
}
