import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listUnset } from '../config/resolve-config.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import { parseHeaderToken } from '../../shared/base/secret.ts';
import type { Secret } from '../../shared/base/secret.ts';
import type { AuthMethod } from './auth-method.ts';
import { buildFederatedRequest, identifyFederation, listMissingFederation } from './federated-request.ts';
import { FEDERATION_OPTIONS, TOKEN_KIND_OPTION } from './oidc-options.ts';
import { makeProviderToken, wantsProviderToken } from './provider-token.ts';

/** @throws ConfigError when the token is not valid in an HTTP header */
function readAccessToken(config: ResolvedConfig): Secret {
  const token = parseHeaderToken(config.secret('access-token')?.reveal().trim());
  if (token !== undefined) return token;
  throw new ConfigError(`${config.origin('access-token')} is not a token: it contains spaces or is too long`, {
    hint: 'set it to the token alone, without "Bearer"',
  });
}

/** An existing access token of a provider (Keystone API v3, "OS-FEDERATION"). */
export const oidcAccessToken: AuthMethod = {
  name: 'v3oidcaccesstoken',
  aliases: [],
  use: 'Token',
  summary: 'an existing token of an OpenID Connect provider',
  options: [
    ...FEDERATION_OPTIONS,
    {
      name: 'access-token',
      cacheKey: 'identity',
      group: 'OpenID Connect',
      flag: false,
      env: ['OS_ACCESS_TOKEN'],
      help: 'access token of the provider',
      secret: true,
      prompt: 'Access token',
    },
    TOKEN_KIND_OPTION,
  ],
  impliedBy: ['access-token'],
  conflictsWith: [],
  canGiveProviderToken: true,
  worksWithoutKeystoneUrl: wantsProviderToken,
  listMissing: (config) => [...listMissingFederation(config), ...listUnset(config, 'access-token')],
  identify: (config) => [...identifyFederation(config), config.secret('access-token')?.reveal()],
  async prepareRequest(config, { host }) {
    const token = readAccessToken(config);
    const subject = `the token in ${config.origin('access-token')}`;
    if (wantsProviderToken(config))
      return makeProviderToken(token, { receivedAt: host.now(), serverAheadMs: 0, subject });
    return buildFederatedRequest(config, { subject, token });
  },
};
