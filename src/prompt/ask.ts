/**
 * Prompts: one question, one line, on the terminal itself. Rules: nothing is echoed for a secret, the terminal is as it
 * was whatever happens, and a signal does to us what it would have done without the prompt.
 */
import { input, password } from '@inquirer/prompts';
import type { Option } from '../config/option.ts';
import type { Host, PromptSignal } from '../host.ts';
import { Cancelled } from './cancelled.ts';
import type { Terminal } from './terminal.ts';

const ENDING: readonly PromptSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

interface Key {
  readonly ctrl?: boolean;
  readonly name?: string;
}

/** What may go with a question. */
export interface AskOptions {
  /** The answer of an empty line. */
  readonly suggestion?: string | undefined;
  /** Takes the question back. */
  readonly signal?: AbortSignal | undefined;
}

/** Asks once; the first signal to arrive takes the prompt down and is returned instead of an answer. */
async function askOnce(
  host: Host,
  terminal: Terminal,
  option: Option,
  message: string,
  { suggestion, signal: outer }: AskOptions,
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
    const context = { input: terminal.input, output: terminal.output, signal: stop.signal };
    const answer = option.secret
      ? await password({ message, mask: false, toggleMask: false }, context)
      : await input({ message, ...(suggestion === undefined ? {} : { default: suggestion }) }, context);
    return { answer };
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

/**
 * Asks for one option.
 *
 * @param where what the answer is for, in the words of a message: "at https://keystone.example.com"
 * @throws Cancelled
 */
export async function ask(
  host: Host,
  terminal: Terminal,
  option: Option,
  where: string,
  options: AskOptions,
): Promise<string> {
  const message = `${option.prompt ?? option.name}${where === '' ? '' : ` ${where}`}:`;
  for (;;) {
    const result = await askOnce(host, terminal, option, message, options);
    if ('answer' in result) return result.answer;
    if (result.signal !== 'SIGTSTP') throw new Cancelled(result.signal);
    // The prompt is gone and the terminal restored: now stop, and ask anew when continued.
    host.raise('SIGTSTP');
  }
}
