import { listUnset } from '../config/resolve-config.ts';
import { requestOAuthTokens } from '../../shared/oidc/token-request.ts';
import type { AuthMethod } from './auth-method.ts';
import { FEDERATION_OPTIONS, OIDC_OPTIONS, makeOidcMethod, readOidcClient, readOpenidScope } from './oidc.ts';

/** RFC 6749, 4.4: the client logs in as itself. */
export const oidcClientCredentials: AuthMethod = {
  name: 'v3oidcclientcredentials',
  aliases: [],
  summary: 'a client of an OpenID Connect provider as itself, for programs',
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
