/** Logs in with one or more factors in one request (Keystone API v3, "Multi-Factor Authentication"). */
import type { OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { describeScope, listScopeFields } from '../../shared/keystone/scope.ts';
import type { Scope } from '../../shared/keystone/scope.ts';
import { buildTokensRequest } from '../../shared/keystone/auth-request.ts';
import type { AuthRequest } from '../../shared/keystone/auth-request.ts';
import type { AuthMethod, Factor } from './auth-method.ts';
import { readExpectedUser, describeUser, identifyUser, listMissingUser } from './user.ts';

/** Lists the missing options of a user with `factors`: first the user, then the scope, then the factors. */
export function listMissingForFactors(config: ResolvedConfig, factors: readonly Factor[]): OptionName[] {
  return [
    ...listMissingUser(config),
    ...listMissingScope(config),
    ...factors.flatMap((factor) => factor.listMissing(config)),
  ];
}

/** Lists the user and the scope as fields of a cache key; they do not depend on the factors. */
export function identifyUserAndScope(config: ResolvedConfig): (string | undefined)[] {
  return [...identifyUser(config), ...listScopeFields(resolveScope(config))];
}

/** Builds the part of a request that contains the factors. */
export function buildFactorPayload(
  config: ResolvedConfig,
  factors: readonly Factor[],
  scope: Scope | undefined,
): Pick<AuthRequest, 'verb' | 'path' | 'body' | 'isSingleUse'> {
  const parts = factors.map((factor) => ({ method: factor.name, content: factor.buildContent(config) }));
  return {
    ...buildTokensRequest(parts, scope),
    ...(factors.some(({ isSingleUse }) => isSingleUse) ? { isSingleUse: true } : {}),
  };
}

/** Builds the request of a user with `factors`. */
export function buildFactorRequest(config: ResolvedConfig, factors: readonly Factor[]): AuthRequest {
  const scope = resolveScope(config);
  const subject = `${describeUser(config)} ${describeScope(scope)}`;
  const expected = { ...readExpectedUser(config), scope };
  const causes = factors.map(({ rejectionCause }) => rejectionCause).join(' or ');
  return {
    ...buildFactorPayload(config, factors, scope),
    expected,
    subject,
    statusExplanations: {
      401: {
        code: 'auth-rejected',
        message:
          `Keystone refused the login for ${subject}: ${causes}, ` +
          'disabled or locked account, or no role in the scope (Keystone does not tell which)',
        hint: 'check user, password, domain, and project or trust',
      },
    },
  };
}

/** Makes the common parts of the auth methods with one factor of a user. */
export function makeUserMethod(
  factor: Factor,
): Pick<AuthMethod, 'factor' | 'listMissing' | 'identify' | 'prepareRequest'> {
  return {
    factor,
    listMissing: (config) => listMissingForFactors(config, [factor]),
    identify: identifyUserAndScope,
    prepareRequest: async (config) => buildFactorRequest(config, [factor]),
  };
}
