/** Waits for a user who logs in with a browser: until the browser returns or the user pastes the address it shows. */
import type { Option } from '../../shared/options/option.ts';
import { AuthRejected, InteractionRequired } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import type { TerminalUser } from '../terminal/terminal-user.ts';
import type { CallbackHandler, CallbackListener } from './callback-listener.ts';
import { findBrowserObstacle, openBrowser } from './open-browser.ts';

/** What to wait for, and how to tell the user. */
export interface CallbackWait<T> {
  readonly host: Host;
  readonly user: TerminalUser;
  readonly detail: (message: string) => void;
  /** The address where the user logs in. */
  readonly loginUrl: string;
  readonly listener: CallbackListener;
  readonly accept: CallbackHandler<T>;
  /** Reads what a user pastes, as {@link CallbackHandler} does; absent when the user cannot copy the result. */
  readonly readPasted?: (text: string) => T | undefined;
  /** Shows the address, but does not open it. */
  readonly skipOpen: boolean;
  readonly loginTimeoutMs: number;
  /** Another possible cause of a timeout, as a clause. */
  readonly timeoutHint?: string;
}

/** Secret although only this run can use the code: the user may share the screen. */
const PASTE_PROMPT: Option = {
  name: 'pasted-address',
  group: 'Run',
  help: 'the address that the browser shows at the end',
  secret: true,
  prompt: 'Or paste the address that your browser shows at the end (input is hidden)',
};

function explainTimeout({
  loginTimeoutMs,
  timeoutHint,
}: {
  loginTimeoutMs: number;
  timeoutHint?: string;
}): AuthRejected {
  const suffix = timeoutHint === undefined ? '' : ` (${timeoutHint})`;
  // AuthRejected, because kubectl retries other errors and would open the browser six times.
  return new AuthRejected(
    'timed-out',
    `the login in the browser did not finish within ${loginTimeoutMs / 1000} s${suffix}`,
    {
      hint: 'try again, or raise --login-timeout',
    },
  );
}

/** Describes how a browser on another machine reaches the listener on this machine. */
function describeForwarding({ url }: CallbackListener): string {
  const { port } = new URL(url);
  return (
    'If the browser runs on another machine, forward the port from there first: ' +
    `ssh -L ${port}:localhost:${port} and the name of this machine`
  );
}

/** Prompts until the user pastes a usable address; undefined when the prompt is aborted or the terminal has closed. */
async function promptForPasted<T>(
  user: TerminalUser,
  read: (text: string) => T | undefined,
  signal: AbortSignal,
): Promise<{ value: T } | undefined> {
  for (;;) {
    let text: string;
    try {
      text = await user.prompt(PASTE_PROMPT, '', { signal });
    } catch (error) {
      if (signal.aborted || error instanceof InteractionRequired) return undefined;
      throw error;
    }
    const value = read(text);
    if (value !== undefined) return { value };
    user.notify('this address does not belong to the login; paste the whole address');
  }
}

/**
 * Shows the address, opens it, and waits.
 *
 * @throws InteractionRequired when no user can see the address
 * @throws AuthRejected when the login timeout has passed
 * @throws UserCanceled when the user cancels the prompt
 */
export async function waitForCallback<T>(login: CallbackWait<T>): Promise<T> {
  const { host, user, detail, loginUrl, listener, accept, readPasted, skipOpen, loginTimeoutMs } = login;
  const promptAbort = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(explainTimeout(login));
    }, loginTimeoutMs);
  });
  const callback = listener.receive(accept);
  // Either can reject before the race below handles it.
  for (const promise of [callback, timeout]) promise.catch(() => undefined);
  let prompting: Promise<{ value: T } | undefined> | undefined;
  try {
    user.notify(`Open this address in your browser: ${loginUrl}`);
    const obstacle = skipOpen ? '--skip-open-browser' : await openBrowser(host, loginUrl);
    if (obstacle !== undefined) detail(`no browser was opened: ${obstacle}`);
    if (readPasted === undefined && findBrowserObstacle(host) !== undefined) user.notify(describeForwarding(listener));
    if (readPasted === undefined || user.cannotPromptReason !== undefined)
      return await Promise.race([callback, timeout]);
    prompting = promptForPasted(user, readPasted, promptAbort.signal);
    // After an aborted prompt, the browser can still return.
    const pasted = prompting.then((answer) => answer?.value ?? callback);
    return await Promise.race([callback, pasted, timeout]);
  } finally {
    clearTimeout(timer);
    promptAbort.abort();
    listener.close();
    // Restore the terminal before anything else is printed.
    await prompting?.catch(() => undefined);
  }
}
