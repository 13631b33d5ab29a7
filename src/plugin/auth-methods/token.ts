import type { OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listUnset } from '../config/resolve-config.ts';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { describeScope, listScopeFields } from '../../shared/keystone/scope.ts';
import { buildTokensRequest, explainMissingUser } from '../../shared/keystone/auth-request.ts';
import type { StatusExplanation, StatusExplanations } from '../../shared/keystone/auth-request.ts';
import { Secret } from '../../shared/base/secret.ts';
import type { AuthMethod } from './auth-method.ts';
import { buildValidationRequest } from './existing-token.ts';
import { readHeaderToken } from './header-token.ts';

function explainStatuses(origin: string): StatusExplanations {
  const rejection: StatusExplanation = {
    code: 'auth-rejected',
    message:
      `Keystone does not accept the token in ${origin}: it is expired, ` +
      'revoked or mistyped, or its user has no role in the scope',
    hint: `get a new one ("openstack token issue") or unset ${origin}`,
  };
  const notExchanged: StatusExplanation = {
    code: 'auth-rejected',
    message: `Keystone does not exchange the token in ${origin} for one with another scope`,
    hint: 'log in with a password or an application credential, or unset the project to use the token unchanged',
  };
  return {
    // Rust Keystone says this about a token restriction.
    400: ({ text }) => (text === 'selected authentication is forbidden' ? notExchanged : undefined),
    401: rejection,
    403: notExchanged,
    404: rejection,
    ...explainMissingUser(`Keystone has no user to exchange the token in ${origin} for another one`),
  };
}

/**
 * Reads the Keystone token of the settings; empty if it is missing, which is noticed elsewhere.
 *
 * @throws ConfigError if no header can carry it
 */
export function readToken(config: ResolvedConfig): Secret {
  if (!config.has('token')) return new Secret('');
  const hint = 'set it to the token alone, as "openstack token issue -f value -c id" prints it';
  return readHeaderToken(config, 'token', hint);
}

const listMissingToken = (config: ResolvedConfig): OptionName[] => listUnset(config, 'token');

/** Keystone API v3, "Token authentication": exchanges a token for one with another scope and the same expiry. */
export const token: AuthMethod = {
  name: 'token',
  aliases: ['v3token'],
  use: 'Token',
  summary: 'an existing Keystone token',
  options: [
    {
      name: 'token',
      cacheKey: 'identity',
      group: 'Token',
      env: ['OS_TOKEN', 'OS_AUTH_TOKEN'],
      help: 'a Keystone token to exchange, or to use unchanged if no scope is set',
      secret: true,
      isToken: true,
      prompt: 'Token',
    },
  ],
  impliedBy: ['token'],
  conflictsWith: [],
  factor: {
    name: 'token',
    listMissing: listMissingToken,
    buildContent: (config) => ({ id: readToken(config) }),
    rejectionCause: 'expired or revoked token',
  },
  listMissing: (config) => [...listMissingScope(config), ...listMissingToken(config)],
  identify: (config) => ['token', config.secret('token')?.reveal(), ...listScopeFields(resolveScope(config))],
  async prepareRequest(config) {
    const scope = resolveScope(config);
    const id = readToken(config);
    const common = {
      // Only Keystone knows the owner of the token.
      expected: { scope },
      subject: `the token in ${config.origin('token')} ${describeScope(scope)}`,
      statusExplanations: explainStatuses(config.origin('token')),
    };
    if (scope.kind === 'default') {
      return { ...buildValidationRequest(id), ...common };
    }
    return {
      ...buildTokensRequest([{ method: 'token', content: { id } }], scope),
      headers: { 'x-auth-token': id },
      ...common,
    };
  },
};
