/** A login of alice at a stand-in Keystone, which many tests share. */
import type { Test } from 'tap';
import { startStandInKeystone } from './stand-in-keystone.ts';
import { recordedUsers } from './stand-in-keystone/users.ts';
import type { StandInKeystone, StandInKeystoneOptions } from './stand-in-keystone.ts';

/** A canary: it must appear only in the login request. */
export const PASSWORD = 'canary-w7Qz-password';

/** The recorded users, all with {@link PASSWORD}. */
export const testUsers = recordedUsers.map((user) => ({ ...user, password: PASSWORD }));

/** Starts a stand-in whose users have {@link PASSWORD}. It stops after the test. */
export async function startKeystoneForTest(t: Test, options: StandInKeystoneOptions = {}): Promise<StandInKeystone> {
  const standIn = await startStandInKeystone({ users: testUsers, ...options });
  t.teardown(() => standIn.close());
  return standIn;
}

/** Makes the settings for a login of alice to her project web. */
export function makeLoginSettings(authUrl: string): Record<string, string> {
  return {
    OS_AUTH_URL: authUrl,
    OS_USERNAME: 'alice',
    OS_USER_DOMAIN_NAME: 'acme',
    OS_PASSWORD: PASSWORD,
    OS_PROJECT_NAME: 'web',
    OS_PROJECT_DOMAIN_NAME: 'acme',
  };
}
