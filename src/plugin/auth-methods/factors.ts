/** Logging in with one proof or several in one request (Keystone API v3, "Multi-Factor Authentication"). */
import type { ResolvedConfig } from '../../shared/options/resolve-config.ts';
import { missingScope, resolveScope } from '../config/resolve-scope.ts';
import { describeScope, listScopeFields } from '../../shared/keystone/scope.ts';
import type { Scope } from '../../shared/keystone/scope.ts';
import { buildTokensRequest } from '../../shared/keystone/auth-request.ts';
import type { AuthRequest } from '../../shared/keystone/auth-request.ts';
import type { AuthMethod, Factor } from './auth-method.ts';
import { askedUser, describeUser, identifyUser, missingUser } from './user.ts';

/** What is missing for a user who proves `factors`: first who it is, then where to, then the proofs. */
export function missingFactors(config: ResolvedConfig, factors: readonly Factor[]): string[] {
  return [...missingUser(config), ...missingScope(config), ...factors.flatMap((factor) => factor.missing(config))];
}

/** A user and a scope as fields of a cache key, however the user proves who it is. */
export function identifyLogin(config: ResolvedConfig): (string | undefined)[] {
  return [...identifyUser(config), ...listScopeFields(resolveScope(config))];
}

/** The part of a request that holds the proofs. */
export function proofs(
  config: ResolvedConfig,
  factors: readonly Factor[],
  scope: Scope | undefined,
): Pick<AuthRequest, 'verb' | 'path' | 'body' | 'isSingleUse'> {
  const parts = factors.map((factor) => ({ method: factor.name, content: factor.content(config) }));
  return {
    ...buildTokensRequest(parts, scope),
    ...(factors.some(({ once }) => once) ? { isSingleUse: true } : {}),
  };
}

/** The request of a user who proves `factors`. */
export function requestFactors(config: ResolvedConfig, factors: readonly Factor[]): AuthRequest {
  const scope = resolveScope(config);
  const subject = `${describeUser(config)} ${describeScope(scope)}`;
  return {
    ...proofs(config, factors, scope),
    expected: { ...askedUser(config), scope },
    subject,
    statusExplanations: {
      401: {
        code: 'auth-rejected',
        message: `Keystone refused the login for ${subject}: ${factors.map(({ doubt }) => doubt).join(' or ')}, disabled or locked account, or no role there (Keystone does not say which)`,
        hint: 'check user, password, domain, and project or trust',
      },
    },
  };
}

/** The parts that all methods with one factor of a user have in common. */
export function userMethod(factor: Factor): Pick<AuthMethod, 'factor' | 'missing' | 'identify' | 'request'> {
  return {
    factor,
    missing: (config) => missingFactors(config, [factor]),
    identify: identifyLogin,
    request: async (config) => requestFactors(config, [factor]),
  };
}
