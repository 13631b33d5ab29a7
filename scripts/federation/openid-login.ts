// Configures Apache's mod_auth_openidc: it introspects bearer tokens at the identity provider, and logs browsers in.

import { randomBytes } from 'node:crypto';

import { federatedPaths } from './apache.ts';
import type { ApacheLogin } from './apache.ts';

export interface OpenidLoginOptions {
  /** The port of Apache. */
  readonly port: number;
  /** The URL of the identity provider. */
  readonly issuer: string;
  readonly client: { readonly id: string; readonly secret: string };
  readonly introspectionEndpoint: string;
  /** The claim that every token has, and that names the user. */
  readonly userClaim: string;
}

const browserLogin = `
  AuthType openid-connect
  Require valid-user`;

export function makeOpenidLogin({
  port,
  issuer,
  client,
  introspectionEndpoint,
  userClaim,
}: OpenidLoginOptions): ApacheLogin {
  return {
    module: 'auth_openidc',
    config: `OIDCProviderMetadataURL ${issuer}/.well-known/openid-configuration
OIDCClientID ${client.id}
OIDCClientSecret ${client.secret}
OIDCRedirectURI https://127.0.0.1:${port}/redirect_uri
OIDCCryptoPassphrase ${randomBytes(16).toString('hex')}
OIDCClaimPrefix "OIDC-"
OIDCScope "openid email"
OIDCOAuthIntrospectionEndpoint ${introspectionEndpoint}
OIDCOAuthIntrospectionEndpointAuth client_secret_basic
OIDCOAuthClientID ${client.id}
OIDCOAuthClientSecret ${client.secret}
OIDCOAuthRemoteUserClaim ${userClaim}
# Ask each time, so that a revoked token is refused at once.
OIDCOAuthTokenIntrospectionInterval -1
# Its workers are another user where root started it, and could not read our authority.
OIDCSSLValidateServer Off
OIDCOAuthSSLValidateServer Off

<LocationMatch "${federatedPaths.program}">
  AuthType oauth20
  Require valid-user
</LocationMatch>
<LocationMatch "${federatedPaths.browser}">${browserLogin}
</LocationMatch>
<Location "/redirect_uri">${browserLogin}
</Location>`,
  };
}
