import { listUnset } from '../config/resolve-config.ts';
import type { OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { describeScope, listScopeFields } from '../../shared/keystone/scope.ts';
import { buildTokensRequest } from '../../shared/keystone/auth-request.ts';
import type { StatusExplanation } from '../../shared/keystone/auth-request.ts';
import { Secret } from '../../shared/base/secret.ts';
import type { AuthMethod } from './auth-method.ts';

function refusals(origin: string): Readonly<Partial<Record<number, StatusExplanation>>> {
  const dead: StatusExplanation = {
    code: 'auth-rejected',
    message: `Keystone does not know the token in ${origin}: it is expired, revoked or mistyped, or has no role there`,
    hint: `get a new one ("openstack token issue") or unset ${origin}`,
  };
  return {
    401: dead,
    404: dead,
    403: {
      code: 'auth-rejected',
      message: `Keystone does not let the token in ${origin} be exchanged for one with another scope`,
      hint: 'log in with a password or an application credential, or unset the project to use the token as it is',
    },
  };
}

const missingToken = (config: ResolvedConfig): OptionName[] => listUnset(config, 'token');

/** Keystone API v3, "Token authentication": another scope for a token one already has, with the same expiry. */
export const token: AuthMethod = {
  name: 'token',
  aliases: ['v3token'],
  summary: 'a Keystone token that one has already',
  options: [
    {
      name: 'token',
      group: 'Token',
      env: ['OS_TOKEN', 'OS_AUTH_TOKEN'],
      help: 'a Keystone token to exchange, or to use as it is where no scope is set',
      secret: true,
      random: true,
      prompt: 'Token',
    },
  ],
  impliedBy: ['token'],
  conflictsWith: [],
  factor: {
    name: 'token',
    listMissing: missingToken,
    buildContent: (config) => ({ id: config.secret('token') ?? '' }),
    rejectionCause: 'a dead token',
  },
  listMissing: (config) => [...listMissingScope(config), ...missingToken(config)],
  identify: (config) => ['token', config.secret('token')?.reveal(), ...listScopeFields(resolveScope(config))],
  async prepareRequest(config) {
    const scope = resolveScope(config);
    const id = config.secret('token') ?? new Secret('');
    const common = {
      // Whose token it is, is for Keystone to say.
      expected: { scope },
      subject: `the token in ${config.origin('token')} ${describeScope(scope)}`,
      statusExplanations: refusals(config.origin('token')),
    };
    if (scope.kind === 'default') {
      return {
        verb: 'GET',
        path: 'auth/tokens?nocatalog=true',
        headers: { 'x-auth-token': id, 'x-subject-token': id },
        existingToken: id,
        ...common,
      };
    }
    return {
      ...buildTokensRequest([{ method: 'token', content: { id } }], scope),
      headers: { 'x-auth-token': id },
      ...common,
    };
  },
};
