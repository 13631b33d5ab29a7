import type { AuthMethod } from './method.ts';
import { userMethod } from './factors.ts';
import { readUser, USER_OPTIONS } from './user.ts';

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
  ...userMethod({
    name: 'password',
    missing: (config) => (config.has('password') ? [] : ['password']),
    content: (config) => ({ user: { ...readUser(config), password: config.secret('password') ?? '' } }),
    doubt: 'wrong credentials',
  }),
};
