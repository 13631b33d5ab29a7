/** What the methods with a browser have in common. */
import { openCallbackListener } from '../browser/callback-listener.ts';
import type { CallbackHandler, CallbackListener, CallbackListenerSettings } from '../browser/callback-listener.ts';
import type { CallbackParameters } from '../browser/callback-parameters.ts';
import { parsePastedCallback } from '../browser/callback-parameters.ts';
import { waitForCallback } from '../browser/wait-for-callback.ts';
import type { Option } from '../config/option.ts';
import { readLoginTimeoutMs } from '../config/login-timeout.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import type { MethodContext } from './auth-method.ts';

/** The options of every login with a browser. */
export const BROWSER_OPTIONS: readonly Option[] = [
  {
    name: 'skip-open-browser',
    group: 'Browser',
    kind: 'switch',
    env: ['CLIENT_KEYSTONE_AUTH_SKIP_OPEN_BROWSER'],
    help: 'only show the address to log in at',
  },
];

/** For the methods that Keystone must know the port of. */
export const REDIRECT_PORT_OPTION: Option = {
  name: 'redirect-port',
  group: 'Browser',
  env: ['OS_REDIRECT_PORT'],
  help: 'port of this machine that the browser comes back to (v3websso 9990, v4federation 8050)',
};

/** @throws ConfigError when it is no port */
export function readRedirectPort(config: ResolvedConfig, usual: number): number {
  const text = config.text(REDIRECT_PORT_OPTION.name);
  if (text === undefined) return usual;
  if (/^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535) return Number(text);
  const origin = config.origin(REDIRECT_PORT_OPTION.name);
  throw new ConfigError(`${origin} must be a port from 1 to 65535, not "${text}"`, {
    hint: `set ${origin} to ${String(usual)}, for example`,
  });
}

/**
 * Listens for what a browser brings.
 *
 * @throws InteractionRequired where nobody would be told where to log in
 * @throws ConfigError when the port cannot be had
 */
export async function listenForCallback(
  tools: MethodContext,
  settings: Omit<CallbackListenerSettings, 'detail'>,
): Promise<CallbackListener> {
  tools.user.requirePresence();
  return openCallbackListener({ ...settings, detail: tools.detail });
}

/** A login in a browser that has been prepared. */
export interface BrowserLogin<T> {
  readonly listener: CallbackListener;
  /** Where the person logs in. */
  readonly loginUrl: string;
  readonly accept: CallbackHandler<T>;
  /** `state` of this login, where what the browser shows at the end can be pasted: a code alone lacks it. */
  readonly state?: string;
  /** What else may be the matter when nobody comes, as a clause. */
  readonly timeoutHint?: string;
}

/**
 * Has a person log in with a browser.
 *
 * @throws InteractionRequired where there is nobody
 * @throws AuthRejected when nobody came in time
 * @throws Cancelled
 */
export async function logInWithBrowser<T>(
  config: ResolvedConfig,
  { host, user, detail }: MethodContext,
  { listener, loginUrl, accept, state, timeoutHint }: BrowserLogin<T>,
): Promise<T> {
  const readPasted = (text: string): T | undefined => {
    const values = parsePastedCallback(text);
    return values === undefined ? undefined : accept(withState(values, state));
  };
  return waitForCallback({
    ...{ host, user, detail, listener, loginUrl, accept },
    ...(state === undefined ? {} : { readPasted }),
    ...(timeoutHint === undefined ? {} : { timeoutHint }),
    skipOpen: config.isOn('skip-open-browser'),
    loginTimeoutMs: readLoginTimeoutMs(config),
  });
}

/** A code that is pasted alone comes from the person: only then may it do without the state. */
function withState(values: CallbackParameters, state: string | undefined): CallbackParameters {
  const alone = values.size === 1 && values.has('code') && state !== undefined;
  return alone ? new Map([...values, ['state', state]]) : values;
}
