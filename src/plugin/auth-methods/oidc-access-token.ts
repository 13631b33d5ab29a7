import { listUnset } from '../config/resolve-config.ts';
import type { AuthMethod } from './auth-method.ts';
import { buildFederatedRequest, identifyFederation, listMissingFederation } from './federated-request.ts';
import { readHeaderToken } from './header-token.ts';
import { FEDERATION_OPTIONS, TOKEN_KIND_OPTION } from './oidc-options.ts';
import { makeProviderToken, wantsProviderToken } from './provider-token.ts';

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
      isToken: true,
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
    const token = readHeaderToken(config, 'access-token', 'set it to the token alone, without "Bearer"');
    const subject = `the token in ${config.origin('access-token')}`;
    if (wantsProviderToken(config))
      return makeProviderToken(token, { receivedAt: host.now(), serverAheadMs: 0, subject });
    return buildFederatedRequest(config, { subject, token });
  },
};
