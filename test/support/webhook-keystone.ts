/** A stand-in Keystone for a webhook: its tokens, and the requests with which the webhook validates them. */
import { startStandInKeystone } from './stand-in-keystone.ts';
import type { StandInKeystone, StandInKeystoneOptions } from './stand-in-keystone.ts';
import { findRecordedUser } from './stand-in-keystone/users.ts';
import type { StandInUser } from './stand-in-keystone/users.ts';
import type { VirtualClock } from './virtual-clock.ts';
import type { Owner, WebhookClient } from './webhook-client.ts';

/** The start of a request that validates a token. */
export const VALIDATION = 'GET /v3/auth/tokens';

const WEB = { project: { name: 'web', domain: { name: 'acme' } } };

/** Starts a stand-in that stops after the test. */
export async function startTestKeystone(t: Owner, options: StandInKeystoneOptions = {}): Promise<StandInKeystone> {
  const keystone = await startStandInKeystone(options);
  t.teardown(() => keystone.close());
  return keystone;
}

/**
 * Starts a stand-in that has the clock of a server which the test starts after it. Time passes for neither of them while
 * the test does something, however long that takes.
 */
export async function startKeystoneWithClock(
  t: Owner,
  options: Omit<StandInKeystoneOptions, 'now'> = {},
): Promise<{ readonly keystone: StandInKeystone; readonly follow: (clock: Pick<VirtualClock, 'now'>) => void }> {
  let { now } = Date;
  const keystone = await startTestKeystone(t, { ...options, now: () => now() });
  return {
    keystone,
    follow: (clock) => {
      ({ now } = clock);
    },
  };
}

/** Issues a token for the project web, without a request. */
export function issueToken(keystone: StandInKeystone, user: StandInUser = findRecordedUser('alice')): string {
  const token = keystone.issueToken(user, ['password'], WEB).headers['x-subject-token'];
  if (token === undefined) throw new Error(`the stand-in issued no token for ${user.name}`);
  return token;
}

/** Counts the requests that validate a token. */
export function countValidations({ requests }: StandInKeystone): number {
  return requests.filter(({ method, path }) => `${method} ${path}`.startsWith(VALIDATION)).length;
}

/** Counts the tokens that the webhook has found valid at Keystone, whose verdicts it has cached. */
export async function countValidTokens(webhook: WebhookClient): Promise<number> {
  const { body } = await webhook.sendRequest({ path: '/metrics' });
  return Number(/keystone_validations_total\{outcome="valid"\} (\d+)/.exec(String(body))?.[1]);
}
