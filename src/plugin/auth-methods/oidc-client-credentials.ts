import { requestOAuthTokens } from '../../shared/oidc/token-request.ts';
import { listUnset } from '../config/resolve-config.ts';
import type { AuthMethod } from './auth-method.ts';
import { makeOidcMethod, readOidcClient, readOpenidScope } from './oidc-method.ts';
import { FEDERATION_OPTIONS, OIDC_OPTIONS } from './oidc-options.ts';

/** RFC 6749, section 4.4: the client logs in as itself. */
export const oidcClientCredentials: AuthMethod = {
  name: 'v3oidcclientcredentials',
  aliases: [],
  use: 'Program',
  summary: 'a client of an OpenID Connect provider, for programs',
  options: [...FEDERATION_OPTIONS, ...OIDC_OPTIONS],
  impliedBy: [],
  conflictsWith: [],
  ...makeOidcMethod({
    grant: 'client_credentials',
    listMissing: (config) => listUnset(config, 'client-secret'),
    identify: () => [],
    describeSubject: (config) => `the client ${readOidcClient(config).id}`,
    fetchTokens: (config, provider, { http }) =>
      requestOAuthTokens(http, provider, {
        client: readOidcClient(config),
        form: { grant_type: 'client_credentials', scope: readOpenidScope(config) },
        subject: `the client ${readOidcClient(config).id}`,
      }),
  }),
};
