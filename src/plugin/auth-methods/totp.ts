import type { AuthMethod } from './auth-method.ts';
import { userMethod } from './factors.ts';
import { readUser, USER_OPTIONS } from './user.ts';

/** Keystone API v3, "TOTP": what an authenticator shows, by RFC 6238. */
export const totp: AuthMethod = {
  names: ['v3totp'],
  about: "a user and an authenticator's passcode",
  options: [
    ...USER_OPTIONS,
    {
      name: 'passcode',
      group: 'User',
      flag: false,
      env: ['OS_PASSCODE'],
      help: "the authenticator's code, which works once",
      secret: true,
      prompt: 'Passcode',
    },
  ],
  signs: [],
  conflicts: [],
  ...userMethod({
    name: 'totp',
    missing: (config) => (config.has('passcode') ? [] : ['passcode']),
    content: (config) => ({ user: { ...readUser(config), passcode: config.secret('passcode') ?? '' } }),
    doubt: 'wrong, old or used passcode',
    once: true,
  }),
};
