/** What the auth methods with a browser have in common. */
import { openCallbackListener } from '../browser/callback-listener.ts';
import type { CallbackHandler, CallbackListener, CallbackListenerSettings } from '../browser/callback-listener.ts';
import type { CallbackParameters } from '../browser/callback-parameters.ts';
import { parsePastedCallback } from '../browser/callback-parameters.ts';
import { waitForCallback } from '../browser/wait-for-callback.ts';
import type { Option } from '../config/option.ts';
import { readLoginTimeoutMs } from '../config/option-readers.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import { Secret } from '../../shared/base/secret.ts';
import { explainOAuthError } from '../../shared/oidc/explain-oauth-error.ts';
import type { MethodContext } from './auth-method.ts';

/** The options of every browser login. */
export const BROWSER_OPTIONS: readonly Option[] = [
  {
    name: 'skip-open-browser',
    cacheKey: { unusedBecause: 'only who opens the login address' },
    group: 'Browser',
    kind: 'switch',
    env: ['CLIENT_KEYSTONE_AUTH_SKIP_OPEN_BROWSER'],
    help: 'show the login address without opening a browser',
  },
];

/** For the auth methods whose port Keystone must know. */
export const REDIRECT_PORT_OPTION: Option = {
  name: 'redirect-port',
  cacheKey: { unusedBecause: 'the browser brings the same login to any port' },
  group: 'Browser',
  env: ['OS_REDIRECT_PORT'],
  help: 'port of this machine that the browser returns to (v3websso 9990, v4federation 8050)',
};

/** @throws ConfigError when the value is not a port */
export function readRedirectPort(config: ResolvedConfig, defaultPort: number): number {
  const text = config.text(REDIRECT_PORT_OPTION.name);
  if (text === undefined) return defaultPort;
  if (/^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535) return Number(text);
  const origin = config.origin(REDIRECT_PORT_OPTION.name);
  throw new ConfigError(`${origin} must be a port from 1 to 65535, not "${text}"`, {
    hint: `set ${origin} to ${String(defaultPort)}, for example`,
  });
}

/**
 * Opens a listener that the browser returns to.
 *
 * @throws InteractionRequired when no user can see the login address
 * @throws ConfigError when the port is not available
 */
export async function listenForCallback(
  tools: MethodContext,
  settings: Omit<CallbackListenerSettings, 'detail'>,
): Promise<CallbackListener> {
  tools.user.requirePresence();
  return openCallbackListener({ ...settings, detail: tools.detail });
}

/** A prepared browser login. */
export interface BrowserLogin<T> {
  readonly listener: CallbackListener;
  /** The address where the user logs in. */
  readonly loginUrl: string;
  readonly accept: CallbackHandler<T>;
  /** `state` of this login, if the user can paste the result: a pasted code comes without it. */
  readonly state?: string;
  /** Another possible cause of a timeout, as a clause. */
  readonly timeoutHint?: string;
}

/**
 * Waits until the user has logged in with a browser.
 *
 * @throws InteractionRequired when no user is present
 * @throws AuthRejected when the login timeout has passed
 * @throws UserCanceled when the user cancels the prompt
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

/** The login that an authorization code must belong to. */
interface CodeLogin {
  readonly state: string;
  /** Who logs in, as text for messages. */
  readonly subject: string;
  /** Checks `iss` (RFC 9207); an error that it throws ends the login. */
  readonly isExpectedIssuer?: (issuer: string | undefined) => boolean;
}

/**
 * Reads the authorization code that a browser brings (RFC 6749, section 4.1.2). Without the check of the state, an
 * attacker's page could finish the login as the attacker (section 10.12).
 *
 * @returns undefined when the parameters belong to another login
 * @throws OAuthError when the provider reports an error
 */
export function readAuthorizationCode(
  values: CallbackParameters,
  { state, subject, isExpectedIssuer = () => true }: CodeLogin,
): Secret | undefined {
  if (values.get('state') !== state || !isExpectedIssuer(values.get('iss'))) return undefined;
  const error = values.get('error');
  if (error !== undefined) throw explainOAuthError(error, values.get('error_description'), subject);
  const code = values.get('code');
  return code === undefined || code === '' ? undefined : new Secret(code);
}

/** Adds the state to a pasted code: the user pasted it, so it cannot come from another page. */
function withState(values: CallbackParameters, state: string | undefined): CallbackParameters {
  const isCodeAlone = values.size === 1 && values.has('code') && state !== undefined;
  return isCodeAlone ? new Map([...values, ['state', state]]) : values;
}
