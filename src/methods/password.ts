import { describeScope, missingScope, resolveScope, scopeFields } from '../config/scope.ts';
import { tokensRequest } from '../keystone/auth-request.ts';
import type { AuthMethod } from './method.ts';
import { askedUser, describeUser, identifyUser, missingUser, readUser, USER_OPTIONS } from './user.ts';

/** Keystone API v3, "Password authentication". */
export const password: AuthMethod = {
  names: ['password', 'v3password'],
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
  missing: (config) => [
    ...missingUser(config),
    ...missingScope(config),
    ...(config.has('password') ? [] : ['password']),
  ],
  identify: (config) => [...identifyUser(config), ...scopeFields(resolveScope(config))],
  request(config) {
    const scope = resolveScope(config);
    const content = { user: { ...readUser(config), password: config.secret('password') ?? '' } };
    return {
      ...tokensRequest([{ method: 'password', content }], scope),
      asked: { ...askedUser(config), scope },
      subject: `${describeUser(config)} ${describeScope(scope)}`,
    };
  },
};
