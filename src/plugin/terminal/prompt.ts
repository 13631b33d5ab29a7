/**
 * Prompts on the terminal itself, one question at a time. A secret is never echoed, the terminal is always restored,
 * and a signal has the same effect as without the prompt.
 */
import { input, password, select } from '@inquirer/prompts';
import type { Host, PromptSignal } from '../../shared/base/host.ts';
import { makePrintable } from '../../shared/base/terminal-text.ts';
import type { Option } from '../../shared/options/option.ts';
import { UserCanceled } from './terminal.ts';
import type { Terminal } from './terminal.ts';

/** Longest question or answer that is shown, in characters: a prompt must fit on the screen. */
const MAX_LABEL = 300;

const END_SIGNALS: readonly PromptSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

interface Key {
  readonly ctrl?: boolean;
  readonly name?: string;
}

/** What a prompt may have in addition to its question. */
export interface PromptOptions {
  /** The answer of an empty line. */
  readonly suggestion?: string | undefined;
  /** Returns why an answer cannot be used: the question is then asked again with the reason. */
  readonly check?: ((answer: string) => string | undefined) | undefined;
  /** Withdraws the prompt, which then counts as canceled. */
  readonly signal?: AbortSignal | undefined;
}

/** What the prompt library needs in addition to the question. */
interface LibraryContext {
  readonly input: Terminal['input'];
  readonly output: Terminal['output'];
  readonly signal: AbortSignal;
}

/** The turn of this process at prompting. */
export interface PromptTurn {
  /**
   * Waits until no other process can prompt.
   *
   * @param signal ends the wait
   */
  readonly take: (signal?: AbortSignal) => Promise<void>;
  /** Gives the turn back before the process stops. */
  readonly end: () => void;
}

/** Where a prompt is shown. */
export interface PromptPlace {
  readonly host: Host;
  readonly terminal: Terminal;
  readonly turn: PromptTurn;
}

type ShowPrompt = (context: LibraryContext) => Promise<string>;

/** Shows a prompt once; the first signal to arrive removes it and is returned instead of an answer. */
async function promptOnce(
  { host, terminal }: PromptPlace,
  show: ShowPrompt,
  outerSignal: AbortSignal | undefined,
): Promise<{ answer: string } | { signal: PromptSignal | undefined }> {
  const controller = new AbortController();
  let signal: PromptSignal | undefined;
  const abort = (): void => {
    controller.abort();
  };
  // Without this, the prompt would stay open forever at the end of the input.
  const onKey = (_text: string | undefined, key: Key): void => {
    if (key.ctrl === true && key.name === 'd') abort();
  };
  const removeListeners = [...END_SIGNALS, 'SIGTSTP' as const].map((name) =>
    host.onSignal(name, () => {
      signal ??= name;
      abort();
    }),
  );
  outerSignal?.addEventListener('abort', abort, { once: true });
  if (outerSignal?.aborted) abort();
  terminal.input.on('keypress', onKey).once('end', abort).once('close', abort);
  try {
    return { answer: await show({ input: terminal.input, output: terminal.output, signal: controller.signal }) };
  } catch (error) {
    // The library has several such errors; each means that there is no answer.
    if (error instanceof Error && /^(Abort|Exit|Cancel)PromptError$/.test(error.name)) return { signal };
    throw error;
  } finally {
    terminal.input.off('keypress', onKey).off('end', abort).off('close', abort);
    outerSignal?.removeEventListener('abort', abort);
    for (const removeListener of removeListeners) removeListener();
  }
}

/** Shows a prompt until there is an answer or the user cancels. */
async function promptUntilAnswered(
  place: PromptPlace,
  show: ShowPrompt,
  outerSignal: AbortSignal | undefined,
): Promise<string> {
  for (;;) {
    await place.turn.take(outerSignal);
    const result = await promptOnce(place, show, outerSignal);
    if ('answer' in result) return result.answer;
    if (result.signal !== 'SIGTSTP') throw new UserCanceled(result.signal);
    // The terminal is restored: stop now, and prompt again when the process is continued.
    place.turn.end();
    place.host.raise('SIGTSTP');
  }
}

/**
 * Prompts for one option.
 *
 * @param target what the answer is for, as text for messages: "at https://keystone.example.com"
 * @throws UserCanceled
 */
export async function promptForOption(
  place: PromptPlace,
  option: Option,
  target: string,
  { suggestion, check, signal }: PromptOptions,
): Promise<string> {
  const message = makePrintable(`${option.prompt ?? option.name}${target === '' ? '' : ` ${target}`}:`, MAX_LABEL);
  // A line that is accepted with Enter is the suggestion as it was, not as it is shown.
  const shown = suggestion === undefined ? undefined : makePrintable(suggestion, MAX_LABEL);
  const toAnswer = (line: string): string => {
    const answer = suggestion !== undefined && line === shown ? suggestion : line;
    return option.isUrl === true ? addScheme(answer) : answer;
  };
  const validate = (line: string): string | true => {
    const problem = check?.(toAnswer(line));
    return problem === undefined ? true : makePrintable(problem, MAX_LABEL);
  };
  const show: ShowPrompt = (context) =>
    option.secret
      ? password({ message, mask: false, toggleMask: false, validate }, context)
      : input(
          {
            message,
            transformer: (line) => makePrintable(line),
            validate,
            theme: { validationFailureMode: 'clear' },
            ...(shown === undefined ? {} : { default: shown }),
          },
          context,
        );
  return toAnswer(await promptUntilAnswered(place, show, signal));
}

/** Completes the address of a server: nobody means plain HTTP without saying so. */
function addScheme(text: string): string {
  const trimmed = text.trim();
  return trimmed === '' || /^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed) ? trimmed : `https://${trimmed}`;
}

/** One of several answers. */
export interface Choice {
  readonly value: string;
  /** How it is shown. */
  readonly name: string;
}

/** A question with a list of answers. */
export interface ChoicePrompt {
  /** With the colon. */
  readonly message: string;
  readonly choices: readonly Choice[];
  /** The value that Enter selects; the first one by default. */
  readonly suggestion?: string | undefined;
}

const MAX_VISIBLE_CHOICES = 10;

/**
 * Prompts for one of several answers.
 *
 * @returns its value
 * @throws UserCanceled
 */
export async function promptForChoice(
  place: PromptPlace,
  { message, choices, suggestion }: ChoicePrompt,
): Promise<string> {
  const shown = choices.map(({ value, name }) => ({ value, name: makePrintable(name, MAX_LABEL) }));
  const defaultChoice = suggestion === undefined ? {} : { default: suggestion };
  const show: ShowPrompt = (context) =>
    select(
      {
        message: makePrintable(message, MAX_LABEL),
        choices: shown,
        pageSize: MAX_VISIBLE_CHOICES,
        loop: false,
        ...defaultChoice,
      },
      context,
    );
  return promptUntilAnswered(place, show, undefined);
}
