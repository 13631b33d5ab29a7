/** Logs in on another device (RFC 8628): the provider issues a short code, which the user enters in any browser. */
import { createHash, randomBytes } from 'node:crypto';
import { sleep, SYSTEM_CLOCK } from '../base/clock.ts';
import type { Clock } from '../base/clock.ts';
import { AuthRejected, KeystoneProtocolError, KeystoneUnreachable } from '../base/errors.ts';
import type { PluginErrorCode } from '../base/errors.ts';
import { textAt } from '../base/json.ts';
import type { HttpClient } from '../http/http-client.ts';
import { Secret } from '../base/secret.ts';
import type { Provider } from './provider.ts';
import { OAuthError } from './explain-oauth-error.ts';
import { postForm, readSeconds, requestOAuthTokens } from './token-request.ts';
import type { OAuthClient, FormFields, OAuthTokens } from './token-request.ts';

/** `grant_type` (RFC 8628, 3.4). */
export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

const INTERVAL_MS = 5_000;

/** What `slow_down`, or a poll without a response, adds to the interval permanently (RFC 8628, section 3.5). */
const SLOWER_MS = 5_000;

/** Failures that a later poll may not have. */
const TEMPORARY_CODES: readonly PluginErrorCode[] = ['unreachable', 'timed-out', 'unavailable', 'rate-limited'];

/** Where the user logs in. */
export interface DeviceInstructions {
  /** http or https, in normal form. */
  readonly url: string;
  /** Whether the URL contains the code. */
  readonly hasCodeInUrl: boolean;
  readonly userCode: string;
}

/** A login on another device. */
export interface DeviceLogin {
  readonly client: OAuthClient;
  readonly scope: string;
  /** Whether the codes are bound to this run (RFC 7636). */
  readonly usesPkce: boolean;
  readonly subject: string;
  /** How long the user has, in ms; the provider may allow less. */
  readonly loginTimeoutMs: number;
  readonly showInstructions: (instructions: DeviceInstructions) => void;
  /** Times the waits between polls; the clock of this machine by default. */
  readonly clock?: Clock;
}

interface Authorization {
  readonly deviceCode: Secret;
  readonly instructions: DeviceInstructions;
  readonly expiresMs: number;
  readonly intervalMs: number;
}

const ADVICE = { hint: 'ask its operator' };

/** The user opens the URL: it must be a page, and user info must not make it look like another one's. */
function parsePageUrl(text: string | undefined): string | undefined {
  if (text === undefined || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const page = /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
  return page && url.href.length <= 2_000 ? url.href : undefined;
}

async function authorize(
  http: HttpClient,
  provider: Provider,
  { client, scope, subject }: DeviceLogin,
  challenge: FormFields,
): Promise<Authorization> {
  // The ID is in the form even with Basic: some providers read it there only.
  const form = { client_id: client.id, scope, ...challenge };
  const { body } = await postForm(http, provider, 'device_authorization', { client, form, subject });
  const deviceCode = textAt(body, 'device_code');
  const userCode = textAt(body, 'user_code');
  // Google's name for it is older than the RFC.
  const page = parsePageUrl(textAt(body, 'verification_uri') ?? textAt(body, 'verification_url'));
  const complete = parsePageUrl(textAt(body, 'verification_uri_complete'));
  const url = complete ?? page;
  if (deviceCode === undefined || userCode === undefined || userCode.length > 100 || url === undefined) {
    throw new KeystoneProtocolError('protocol', 'the identity provider sent no usable code for the login', ADVICE);
  }
  return {
    deviceCode: new Secret(deviceCode),
    instructions: { url, hasCodeInUrl: complete !== undefined, userCode },
    expiresMs: (readSeconds(body, 'expires_in') ?? Infinity) * 1000,
    intervalMs: (readSeconds(body, 'interval') ?? INTERVAL_MS / 1000) * 1000,
  };
}

function makeTimeoutError(subject: string, ms: number): AuthRejected {
  const seconds = String(Math.round(ms / 1000));
  return new AuthRejected('auth-rejected', `the login of ${subject} was not finished within ${seconds} s`, {
    hint: 'log in again, or raise --login-timeout',
  });
}

/** What to add to the interval, in ms; undefined for a final failure. */
function slowDown(error: unknown): number | undefined {
  if (error instanceof OAuthError) {
    if (error.reason === 'authorization_pending') return 0;
    return error.reason === 'slow_down' ? SLOWER_MS : undefined;
  }
  return error instanceof KeystoneUnreachable && TEMPORARY_CODES.includes(error.code) ? SLOWER_MS : undefined;
}

/**
 * Waits for the user to log in elsewhere, and returns the tokens.
 *
 * @throws OAuthError if the user or the provider refuses
 * @throws AuthRejected if the user does not finish in time
 * @throws KeystoneProtocolError | KeystoneUnreachable
 */
export async function logInWithDevice(http: HttpClient, provider: Provider, login: DeviceLogin): Promise<OAuthTokens> {
  const { client, usesPkce, subject, loginTimeoutMs, showInstructions, clock = SYSTEM_CLOCK } = login;
  const verifier = usesPkce ? randomBytes(32).toString('base64url') : undefined;
  const challenge: FormFields =
    verifier === undefined
      ? {}
      : {
          code_challenge: createHash('sha256').update(verifier).digest('base64url'),
          code_challenge_method: 'S256',
        };
  const { deviceCode, instructions, expiresMs, intervalMs } = await authorize(http, provider, login, challenge);
  showInstructions(instructions);
  const form = {
    grant_type: DEVICE_GRANT,
    device_code: deviceCode,
    code_verifier: verifier === undefined ? undefined : new Secret(verifier),
  };
  const maxMs = Math.min(expiresMs, loginTimeoutMs);
  const end = clock.monotonicMs() + maxMs;
  let waitMs = intervalMs;
  let lastFailure: Error | undefined;
  while (clock.monotonicMs() + waitMs <= end) {
    await sleep(clock, waitMs);
    try {
      return await requestOAuthTokens(http, provider, { client, form, subject, isSingleUse: true, isPoll: true });
    } catch (error) {
      const addedMs = slowDown(error);
      if (addedMs === undefined) throw error;
      waitMs += addedMs;
      lastFailure = error instanceof KeystoneUnreachable ? error : undefined;
    }
  }
  throw lastFailure ?? makeTimeoutError(subject, maxMs);
}
