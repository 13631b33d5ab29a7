/** What an answer of a service that is not Keystone means, for the user. */
import { AuthRejected, KeystoneProtocolError, KeystoneUnreachable } from '../../../shared/base/errors.ts';
import type { PluginError } from '../../../shared/base/errors.ts';

/** Makes the error for an answer that cannot be used. */
export function makeAnswerError(message: string, hint = 'ask its operator'): KeystoneProtocolError {
  return new KeystoneProtocolError('protocol', message, { hint });
}

/**
 * Makes the error for an answer whose status is not 200.
 *
 * @param subject what was asked for
 */
export function explainStatus(status: number, server: string, subject: string, hint?: string): PluginError {
  const message = `${server} answered ${String(status)} instead of ${subject}`;
  if (status === 401 || status === 403)
    return new AuthRejected('auth-rejected', message, { hint: 'check user, project and roles; see "whoami"' });
  if (status === 429 || status >= 500)
    return new KeystoneUnreachable('unavailable', message, { hint: 'try again later' });
  return makeAnswerError(message, hint);
}
