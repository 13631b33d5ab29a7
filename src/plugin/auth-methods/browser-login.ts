/** What the methods with a browser have in common. */
import { listen } from '../browser/callback-listener.ts';
import type { Accept, Listener, ListenerSettings } from '../browser/callback-listener.ts';
import type { Values } from '../browser/callback-parameters.ts';
import { parsePasted } from '../browser/callback-parameters.ts';
import { waitForBrowser } from '../browser/wait-for-callback.ts';
import type { Option } from '../../shared/options/option.ts';
import { patienceMs } from '../config/login-timeout.ts';
import type { ResolvedConfig } from '../../shared/options/resolve-config.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import type { Tools } from './auth-method.ts';

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
export const REDIRECT_PORT: Option = {
  name: 'redirect-port',
  group: 'Browser',
  env: ['OS_REDIRECT_PORT'],
  help: 'port of this machine that the browser comes back to (v3websso 9990, v4federation 8050)',
};

/** @throws ConfigError when it is no port */
export function readRedirectPort(config: ResolvedConfig, usual: number): number {
  const text = config.text(REDIRECT_PORT.name);
  if (text === undefined) return usual;
  if (/^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535) return Number(text);
  const origin = config.origin(REDIRECT_PORT.name);
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
export async function listenForBrowser(tools: Tools, settings: Omit<ListenerSettings, 'detail'>): Promise<Listener> {
  tools.person.requirePresence();
  return listen({ ...settings, detail: tools.detail });
}

/** A login in a browser that has been prepared. */
export interface Prepared<T> {
  readonly listener: Listener;
  /** Where the person logs in. */
  readonly address: string;
  readonly accept: Accept<T>;
  /** `state` of this login, where what the browser shows at the end can be pasted: a code alone lacks it. */
  readonly state?: string;
  /** What else may be the matter when nobody comes, as a clause. */
  readonly doubt?: string;
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
  { host, person, detail }: Tools,
  { listener, address, accept, state, doubt }: Prepared<T>,
): Promise<T> {
  const readPasted = (text: string): T | undefined => {
    const values = parsePasted(text);
    return values === undefined ? undefined : accept(withState(values, state));
  };
  return waitForBrowser({
    ...{ host, person, detail, listener, address, accept },
    ...(state === undefined ? {} : { readPasted }),
    ...(doubt === undefined ? {} : { doubt }),
    skipOpen: config.isOn('skip-open-browser'),
    patienceMs: patienceMs(config),
  });
}

/** A code that is pasted alone comes from the person: only then may it do without the state. */
function withState(values: Values, state: string | undefined): Values {
  const alone = values.size === 1 && values.has('code') && state !== undefined;
  return alone ? new Map([...values, ['state', state]]) : values;
}
