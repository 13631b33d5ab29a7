import type { Clock } from '../../shared/base/clock.ts';
import type { AuthenticateFunction, AuthenticationResult } from './authenticator.ts';

interface AnswerSettings {
  /** How long a review waits, in ms. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/**
 * Answers each review in time, before the API server gives up. A question that takes longer runs on: its answer is
 * remembered, and the next review of the token gets it.
 */
export function answerInTime(
  authenticate: AuthenticateFunction,
  { timeoutMs, clock }: AnswerSettings,
): AuthenticateFunction {
  const reason = `there is no answer about the token after ${timeoutMs / 1_000} s; a later review gets it`;
  return (token) =>
    new Promise<AuthenticationResult>((resolve, reject) => {
      const cancelTimer = clock.startTimer(timeoutMs, () => {
        resolve({ verdict: { kind: 'unknown', reason }, source: 'timeout' });
      });
      authenticate(token).then(resolve, reject).finally(cancelTimer);
    });
}
