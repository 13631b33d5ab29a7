/** The Keystone side of a federated login (Keystone API v3, "OS-FEDERATION"). */
import { Secret } from '../../shared/base/secret.ts';
import type { AuthRequest, StatusExplanation } from '../../shared/keystone/auth-request.ts';
import { describeScope, findRescopeTarget, listScopeFields } from '../../shared/keystone/scope.ts';
import type { OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listUnset } from '../config/resolve-config.ts';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { wantsProviderToken } from './provider-token.ts';
import { readPathSegment } from './path-segment.ts';

/** Lists the missing options of a login at Keystone. */
export function listMissingAtKeystone(config: ResolvedConfig): OptionName[] {
  return [...listUnset(config, 'identity-provider', 'protocol'), ...listMissingScope(config)];
}

/** Lists the missing options that Keystone needs, if the provider's own token is not enough. */
export function listMissingFederation(config: ResolvedConfig): OptionName[] {
  return wantsProviderToken(config) ? [] : listMissingAtKeystone(config);
}

/** Lists the Keystone side as fields of a cache key, unless the provider's own token is enough. */
export function identifyFederation(config: ResolvedConfig): (string | undefined)[] {
  return wantsProviderToken(config) ? ['provider', config.text('token-kind')] : identifyAtKeystone(config);
}

/** Lists a login at Keystone as fields of a cache key. */
export function identifyAtKeystone(config: ResolvedConfig): (string | undefined)[] {
  return [
    'keystone',
    config.text('identity-provider'),
    config.text('protocol'),
    ...listScopeFields(resolveScope(config)),
  ];
}

function readFederation(config: ResolvedConfig): { idp: string; protocol: string } {
  return { idp: config.text('identity-provider') ?? '', protocol: config.text('protocol') ?? '' };
}

function explainStatuses(
  config: ResolvedConfig,
  subject: string,
): Readonly<Partial<Record<number, StatusExplanation>>> {
  const { idp, protocol } = readFederation(config);
  return {
    401: {
      code: 'auth-rejected',
      message:
        `Keystone refused the provider's token for ${subject}: its mapping does not match the user, ` +
        'it does not trust the provider, or the token is too old or of the wrong type',
      hint:
        'check OS_IDENTITY_PROVIDER, OS_PROTOCOL and OS_ACCESS_TOKEN_TYPE, ' +
        'or ask the Keystone operator about the mapping',
    },
    403: {
      code: 'auth-rejected',
      message:
        `Keystone forbids the login for ${subject}: ` +
        'the provider or the user is disabled, or the mapping gives no role',
      hint: 'ask the Keystone operator',
    },
    404: {
      code: 'credential-unknown',
      message: `Keystone has no identity provider "${idp}" with the protocol "${protocol}"`,
      hint: 'check OS_IDENTITY_PROVIDER and OS_PROTOCOL',
    },
  };
}

/** Who logs in, and how to renew the login. */
export interface FederatedLogin {
  /** As text for messages: "alice". */
  readonly subject: string;
  /** The token of the provider, if the request proves the login with one. */
  readonly token?: Secret;
  readonly refreshToken?: Secret | undefined;
}

/** Builds the request for an unscoped Keystone token, which is rescoped if needed. */
export function buildFederatedRequest(config: ResolvedConfig, login: FederatedLogin): AuthRequest {
  const { token } = login;
  const scope = resolveScope(config);
  const { idp } = readFederation(config);
  const provider = readPathSegment(config, 'identity-provider');
  const subject = `${login.subject} of identity provider ${idp} ${describeScope(scope)}`;
  return {
    verb: 'POST',
    path: `OS-FEDERATION/identity_providers/${provider}/protocols/${readPathSegment(config, 'protocol')}/auth`,
    ...(token === undefined ? {} : { headers: { authorization: new Secret(`Bearer ${token.reveal()}`) } }),
    subject,
    // The provider decides who owns the token.
    expected: { scope },
    rescopeTarget: findRescopeTarget(scope),
    refreshToken: login.refreshToken,
    statusExplanations: explainStatuses(config, subject),
  };
}
