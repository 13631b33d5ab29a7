import { listUnset } from '../config/resolve-config.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import { parseHeaderToken } from '../../shared/base/secret.ts';
import type { Secret } from '../../shared/base/secret.ts';
import type { AuthMethod } from './auth-method.ts';
import {
  buildFederatedRequest,
  FEDERATION_OPTIONS,
  makeProviderToken,
  identifyFederation,
  listMissingFederation,
  TOKEN_KIND_OPTION,
  wantsProviderToken,
} from './oidc.ts';

/** @throws ConfigError for what no HTTP header can carry */
function readAccessToken(config: ResolvedConfig): Secret {
  const token = parseHeaderToken(config.secret('access-token')?.reveal().trim());
  if (token !== undefined) return token;
  throw new ConfigError(`${config.origin('access-token')} holds no token: it has spaces or is too long`, {
    hint: 'set it to the token alone, without "Bearer"',
  });
}

/** A provider's access token that one has already (Keystone API v3, "OS-FEDERATION"). */
export const oidcAccessToken: AuthMethod = {
  name: 'v3oidcaccesstoken',
  aliases: [],
  summary: "an OpenID Connect provider's token that one has already",
  options: [
    ...FEDERATION_OPTIONS,
    {
      name: 'access-token',
      group: 'OpenID Connect',
      flag: false,
      env: ['OS_ACCESS_TOKEN'],
      help: "the provider's access token",
      secret: true,
      random: true,
      prompt: 'Access token',
    },
    TOKEN_KIND_OPTION,
  ],
  impliedBy: ['access-token'],
  conflictsWith: [],
  worksWithoutKeystoneUrl: wantsProviderToken,
  listMissing: (config) => [...listMissingFederation(config), ...listUnset(config, 'access-token')],
  identify: (config) => [...identifyFederation(config), config.secret('access-token')?.reveal()],
  async prepareRequest(config, { host }) {
    const token = readAccessToken(config);
    const subject = `the token in ${config.origin('access-token')}`;
    if (wantsProviderToken(config))
      return makeProviderToken(token, { receivedAt: host.now(), serverAheadMs: 0, subject });
    return buildFederatedRequest(config, token, { subject });
  },
};
