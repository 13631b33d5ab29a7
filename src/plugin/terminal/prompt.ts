/**
 * Prompts: one question, one line, on the terminal itself. Rules: nothing is echoed for a secret, the terminal is as it
 * was whatever happens, and a signal does to us what it would have done without the prompt.
 */
import { input, password, select } from '@inquirer/prompts';
import type { Option } from '../../shared/options/option.ts';
import type { Host, PromptSignal } from '../../shared/base/host.ts';
import { UserCancelled } from './terminal.ts';
import type { Terminal } from './terminal.ts';

const ENDING: readonly PromptSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

interface Key {
  readonly ctrl?: boolean;
  readonly name?: string;
}

/** What may go with a question. */
export interface PromptOptions {
  /** The answer of an empty line. */
  readonly suggestion?: string | undefined;
  /** Takes the question back. */
  readonly signal?: AbortSignal | undefined;
}

/** What the library needs beside the question. */
interface Context {
  readonly input: Terminal['input'];
  readonly output: Terminal['output'];
  readonly signal: AbortSignal;
}

type Put = (context: Context) => Promise<string>;

/** Asks once; the first signal to arrive takes the prompt down and is returned instead of an answer. */
async function putOnce(
  host: Host,
  terminal: Terminal,
  put: Put,
  outer: AbortSignal | undefined,
): Promise<{ answer: string } | { signal: PromptSignal | undefined }> {
  const stop = new AbortController();
  let signal: PromptSignal | undefined;
  const leave = (): void => {
    stop.abort();
  };
  // The end of input would otherwise leave the question open for ever.
  const onKey = (_text: string | undefined, key: Key): void => {
    if (key.ctrl === true && key.name === 'd') leave();
  };
  const listening = [...ENDING, 'SIGTSTP' as const].map((name) =>
    host.onSignal(name, () => {
      signal ??= name;
      leave();
    }),
  );
  outer?.addEventListener('abort', leave, { once: true });
  if (outer?.aborted) leave();
  terminal.input.on('keypress', onKey).once('end', leave).once('close', leave);
  try {
    return { answer: await put({ input: terminal.input, output: terminal.output, signal: stop.signal }) };
  } catch (error) {
    // Whatever the library throws here, an unanswered question is a cancelled one.
    if (error instanceof Error && /^(Abort|Exit|Cancel)PromptError$/.test(error.name)) return { signal };
    throw error;
  } finally {
    terminal.input.off('keypress', onKey).off('end', leave).off('close', leave);
    outer?.removeEventListener('abort', leave);
    for (const forget of listening) forget();
  }
}

/** Asks until there is an answer or an end. */
async function putUntilAnswered(
  host: Host,
  terminal: Terminal,
  put: Put,
  outer: AbortSignal | undefined,
): Promise<string> {
  for (;;) {
    const result = await putOnce(host, terminal, put, outer);
    if ('answer' in result) return result.answer;
    if (result.signal !== 'SIGTSTP') throw new UserCancelled(result.signal);
    // The prompt is gone and the terminal restored: now stop, and ask anew when continued.
    host.raise('SIGTSTP');
  }
}

/**
 * Asks for one option.
 *
 * @param where what the answer is for, in the words of a message: "at https://keystone.example.com"
 * @throws Cancelled
 */
export async function promptForOption(
  host: Host,
  terminal: Terminal,
  option: Option,
  where: string,
  { suggestion, signal }: PromptOptions,
): Promise<string> {
  const message = `${option.prompt ?? option.name}${where === '' ? '' : ` ${where}`}:`;
  const put: Put = (context) =>
    option.secret
      ? password({ message, mask: false, toggleMask: false }, context)
      : input({ message, ...(suggestion === undefined ? {} : { default: suggestion }) }, context);
  return putUntilAnswered(host, terminal, put, signal);
}

/** One of several answers. */
export interface Choice {
  readonly value: string;
  /** As it is shown: printable, one line. */
  readonly name: string;
}

/** A question whose answers are known. */
export interface ChoicePrompt {
  /** With the colon. */
  readonly message: string;
  readonly choices: readonly Choice[];
  /** The value that Enter alone chooses; the first one if nothing is said. */
  readonly suggestion?: string | undefined;
}

const LONGEST_LIST = 10;

/**
 * Has one of several answers chosen.
 *
 * @returns its value
 * @throws Cancelled
 */
export async function promptForChoice(
  host: Host,
  terminal: Terminal,
  { message, choices, suggestion }: ChoicePrompt,
): Promise<string> {
  const rest = suggestion === undefined ? {} : { default: suggestion };
  const put: Put = (context) =>
    select({ message, choices: [...choices], pageSize: LONGEST_LIST, loop: false, ...rest }, context);
  return putUntilAnswered(host, terminal, put, undefined);
}
