import { requestOAuthTokens } from '../../shared/oidc/token-request.ts';
import type { AuthMethod } from './auth-method.ts';
import { FEDERATION_OPTIONS, OIDC_OPTIONS, oidcMethod, readClient, readOpenidScope } from './oidc.ts';

/** RFC 6749, 4.4: the client logs in as itself. */
export const oidcClientCredentials: AuthMethod = {
  names: ['v3oidcclientcredentials'],
  about: 'a client of an OpenID Connect provider as itself, for programs',
  options: [...FEDERATION_OPTIONS, ...OIDC_OPTIONS],
  signs: [],
  conflicts: [],
  ...oidcMethod({
    grant: 'client_credentials',
    missing: (config) => (config.has('client-secret') ? [] : ['client-secret']),
    identify: () => [],
    subject: (config) => `the client ${readClient(config).id}`,
    obtain: (config, provider, { http }) =>
      requestOAuthTokens(http, provider, {
        client: readClient(config),
        form: { grant_type: 'client_credentials', scope: readOpenidScope(config) },
        subject: `the client ${readClient(config).id}`,
      }),
  }),
};
