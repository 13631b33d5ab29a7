import type { AuthMethod } from './auth-method.ts';
import { userMethod } from './factors.ts';
import { describeUser, identifyUser, readUser, USER_OPTIONS } from './user.ts';

/** Keystone API v3, "Password authentication". */
export const password: AuthMethod = {
  names: ['password', 'v3password'],
  about: 'a user and a password',
  options: [
    ...USER_OPTIONS,
    {
      name: 'password',
      group: 'User',
      env: ['OS_PASSWORD'],
      help: "the user's password",
      secret: true,
      prompt: 'Password',
    },
  ],
  signs: ['password'],
  conflicts: [],
  keepable: {
    option: 'password',
    identify: identifyUser,
    describe: (config) => `the password of ${describeUser(config)}`,
  },
  ...userMethod({
    name: 'password',
    missing: (config) => (config.has('password') ? [] : ['password']),
    content: (config) => ({ user: { ...readUser(config), password: config.secret('password') ?? '' } }),
    doubt: 'wrong credentials',
  }),
};
