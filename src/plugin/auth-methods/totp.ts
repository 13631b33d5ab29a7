import { listUnset } from '../config/resolve-config.ts';
import type { AuthMethod } from './auth-method.ts';
import { makeUserMethod } from './factors.ts';
import { readUser, USER_OPTIONS } from './user.ts';

/** Keystone API v3, "Time-based One-time Password (TOTP)": the passcode of an authenticator (RFC 6238). */
export const totp: AuthMethod = {
  name: 'v3totp',
  aliases: [],
  use: 'Password',
  summary: 'a user and the passcode of an authenticator',
  options: [
    ...USER_OPTIONS,
    {
      name: 'passcode',
      cacheKey: 'proof',
      group: 'User',
      flag: false,
      env: ['OS_PASSCODE'],
      help: 'passcode of the authenticator, valid once',
      secret: true,
      singleUse: true,
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
