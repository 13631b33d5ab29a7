import { listUnset } from '../config/resolve-config.ts';
import type { AuthMethod } from './auth-method.ts';
import { makeUserMethod } from './factors.ts';
import { describeUser, identifyUser, readUser, USER_OPTIONS } from './user.ts';

/** Keystone API v3, "Password authentication". */
export const password: AuthMethod = {
  name: 'password',
  aliases: ['v3password'],
  use: 'Password',
  summary: 'a user and a password',
  options: [
    ...USER_OPTIONS,
    {
      name: 'password',
      cacheKey: 'proof',
      group: 'User',
      env: ['OS_PASSWORD'],
      help: 'password of the user',
      secret: true,
      prompt: 'Password',
    },
  ],
  impliedBy: ['password'],
  conflictsWith: [],
  savableSecret: {
    option: 'password',
    identify: identifyUser,
    describe: (config) => `the password of ${describeUser(config)}`,
  },
  ...makeUserMethod({
    name: 'password',
    listMissing: (config) => listUnset(config, 'password'),
    buildContent: (config) => ({ user: { ...readUser(config), password: config.secret('password') ?? '' } }),
    rejectionCause: 'wrong credentials',
  }),
};
