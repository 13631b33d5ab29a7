import { listUnset } from '../config/resolve-config.ts';
import type { AuthMethod } from './auth-method.ts';
import { makeUserMethod } from './factors.ts';
import { readUser, USER_OPTIONS } from './user.ts';

/** Keystone API v3, "TOTP": what an authenticator shows, by RFC 6238. */
export const totp: AuthMethod = {
  name: 'v3totp',
  aliases: [],
  summary: "a user and an authenticator's passcode",
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
  impliedBy: [],
  conflictsWith: [],
  ...makeUserMethod({
    name: 'totp',
    listMissing: (config) => listUnset(config, 'passcode'),
    buildContent: (config) => ({ user: { ...readUser(config), passcode: config.secret('passcode') ?? '' } }),
    rejectionCause: 'wrong, old or used passcode',
    isSingleUse: true,
  }),
};
