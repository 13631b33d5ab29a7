/** Logging in with one proof or several in one request (Keystone API v3, "Multi-Factor Authentication"). */
import type { OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { describeScope, listScopeFields } from '../../shared/keystone/scope.ts';
import type { Scope } from '../../shared/keystone/scope.ts';
import { buildTokensRequest } from '../../shared/keystone/auth-request.ts';
import type { AuthRequest } from '../../shared/keystone/auth-request.ts';
import type { AuthMethod, Factor } from './auth-method.ts';
import { readExpectedUser, describeUser, identifyUser, listMissingUser } from './user.ts';

/** What is missing for a user who proves `factors`: first who it is, then where to, then the proofs. */
export function listMissingForFactors(config: ResolvedConfig, factors: readonly Factor[]): OptionName[] {
  return [
    ...listMissingUser(config),
    ...listMissingScope(config),
    ...factors.flatMap((factor) => factor.listMissing(config)),
  ];
}

/** A user and a scope as fields of a cache key, however the user proves who it is. */
export function identifyUserAndScope(config: ResolvedConfig): (string | undefined)[] {
  return [...identifyUser(config), ...listScopeFields(resolveScope(config))];
}

/** The part of a request that holds the proofs. */
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

/** The request of a user who proves `factors`. */
export function buildFactorRequest(config: ResolvedConfig, factors: readonly Factor[]): AuthRequest {
  const scope = resolveScope(config);
  const subject = `${describeUser(config)} ${describeScope(scope)}`;
  return {
    ...buildFactorPayload(config, factors, scope),
    expected: { ...readExpectedUser(config), scope },
    subject,
    statusExplanations: {
      401: {
        code: 'auth-rejected',
        message: `Keystone refused the login for ${subject}: ${factors.map(({ rejectionCause }) => rejectionCause).join(' or ')}, disabled or locked account, or no role there (Keystone does not say which)`,
        hint: 'check user, password, domain, and project or trust',
      },
    },
  };
}

/** The parts that all methods with one factor of a user have in common. */
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
