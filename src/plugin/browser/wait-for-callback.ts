/** Waits for a person who logs in elsewhere: until the browser comes back, or what it shows is pasted, whichever is first. */
import type { Option } from '../../shared/options/option.ts';
import { AuthRejected, InteractionRequired } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import type { TerminalUser } from '../terminal/terminal-user.ts';
import type { CallbackHandler, CallbackListener } from './callback-listener.ts';
import { findBrowserObstacle, openBrowser } from './open-browser.ts';

/** A login that a person does in a browser. */
export interface CallbackWait<T> {
  readonly host: Host;
  readonly user: TerminalUser;
  readonly detail: (message: string) => void;
  /** Where the person logs in. */
  readonly loginUrl: string;
  readonly listener: CallbackListener;
  readonly accept: CallbackHandler<T>;
  /** Reads what a person pastes, as {@link CallbackHandler} does; left out where what the browser brings cannot be copied. */
  readonly readPasted?: (text: string) => T | undefined;
  /** Only shows the address. */
  readonly skipOpen: boolean;
  readonly loginTimeoutMs: number;
  /** What else may be the matter when nobody comes, as a clause. */
  readonly timeoutHint?: string;
}

/** Not shown while it is pasted: a code works for nobody else, but a screen may be shared. */
const PASTED: Option = {
  name: 'pasted-address',
  group: 'Run',
  help: 'what the browser shows at the end',
  secret: true,
  prompt: 'Or paste here the address that your browser ends at (it is not shown)',
};

function explainTimeout({
  loginTimeoutMs,
  timeoutHint,
}: {
  loginTimeoutMs: number;
  timeoutHint?: string;
}): AuthRejected {
  const also = timeoutHint === undefined ? '' : ` (${timeoutHint})`;
  // A refusal, so that a kubectl that tries again does not open the browser six times.
  return new AuthRejected('timed-out', `nobody logged in with the browser within ${loginTimeoutMs / 1000} s${also}`, {
    hint: 'try again, or raise --login-timeout',
  });
}

/** How a browser of another machine reaches a listener of this one. */
function describeForwarding({ url }: CallbackListener): string {
  const { port } = new URL(url);
  return `If the browser runs on another machine, first have it lead here: ssh -L ${port}:localhost:${port} and this machine's name`;
}

/** Asks until something usable is pasted; undefined where the question is taken back or the terminal is gone. */
async function askForPasted<T>(
  person: TerminalUser,
  read: (text: string) => T | undefined,
  signal: AbortSignal,
): Promise<{ value: T } | undefined> {
  for (;;) {
    let text: string;
    try {
      text = await person.prompt(PASTED, '', signal);
    } catch (error) {
      if (signal.aborted || error instanceof InteractionRequired) return undefined;
      throw error;
    }
    const value = read(text);
    if (value !== undefined) return { value };
    person.notify('that is not the end of this login; the whole address is needed');
  }
}

/**
 * Shows the address, opens it, and waits.
 *
 * @throws InteractionRequired where nobody would see the address
 * @throws AuthRejected when the time is over
 * @throws Cancelled
 */
export async function waitForCallback<T>(login: CallbackWait<T>): Promise<T> {
  const { host, user, detail, loginUrl, listener, accept, readPasted, skipOpen, loginTimeoutMs } = login;
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_, fail) => {
    timer = setTimeout(() => {
      fail(explainTimeout(login));
    }, loginTimeoutMs);
  });
  const brought = listener.receive(accept);
  // Either may fail before anybody waits for it.
  for (const early of [brought, over]) early.catch(() => undefined);
  let asking: Promise<{ value: T } | undefined> | undefined;
  try {
    user.notify(`Open this address in your browser: ${loginUrl}`);
    const unopened = skipOpen ? '--skip-open-browser' : await openBrowser(host, loginUrl);
    if (unopened !== undefined) detail(`no browser was opened: ${unopened}`);
    if (readPasted === undefined && findBrowserObstacle(host) !== undefined) user.notify(describeForwarding(listener));
    if (readPasted === undefined || user.cannotPromptReason !== undefined) return await Promise.race([brought, over]);
    asking = askForPasted(user, readPasted, stop.signal);
    // A question that is taken back leaves the browser to be waited for.
    const pasted = asking.then((found) => found?.value ?? brought);
    return await Promise.race([brought, pasted, over]);
  } finally {
    clearTimeout(timer);
    stop.abort();
    listener.close();
    // The terminal is to be as it was before anything else is said.
    await asking?.catch(() => undefined);
  }
}
