// Runs a real cloud whose users log in at Keycloak: Apache with mod_auth_openidc in front of another Keystone server. That
// server uses the data of a running Keystone.

import { mkdir } from 'node:fs/promises';

import { findFreePort } from '../lib/free-port.ts';
import { startParts } from '../lib/start-parts.ts';
import { startFederatedKeystone } from './federated-keystone.ts';
import type { FederationHome, KeystoneWithProvider } from './federated-keystone.ts';
import { findApache } from './find-apache.ts';
import { makeOpenidLogin } from './openid-login.ts';
import type { OpenidLoginOptions } from './openid-login.ts';
import { registerProvider } from './register-provider.ts';

export interface KeycloakFederationOptions extends FederationHome {
  /** An empty folder, or one that does not exist yet. */
  readonly dir: string;
  /** The URL of the realm. */
  readonly issuer: string;
  /** A client of the realm that is allowed to introspect tokens. */
  readonly client: OpenidLoginOptions['client'];
  /** The names that the mapping admits, as regular expressions. */
  readonly admitted: readonly string[];
}

const provider = 'keycloak';
const protocol = 'openid';

/** Starts both servers, and registers the realm as identity provider. */
export async function startKeycloakFederation(
  options: KeycloakFederationOptions,
): Promise<KeystoneWithProvider | { missing: string }> {
  const { dir, dataDir, home, pki, tenancy, issuer, client, admitted } = options;
  const packages = await findApache('auth_openidc');
  if ('missing' in packages) return packages;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  return startParts(async (onStop) => {
    const port = await findFreePort();
    const cloud = await startFederatedKeystone({
      ...{ dir, dataDir, home, tls: pki.server, port },
      login: makeOpenidLogin({
        ...{ port, issuer, client },
        introspectionEndpoint: `${issuer}/protocol/openid-connect/token/introspect`,
        // The account of a client has no address.
        userClaim: 'preferred_username',
      }),
      config: `[openid]
remote_id_attribute = HTTP_OIDC_ISS
`,
    });
    onStop(() => cloud.stop());
    const name = 'HTTP_OIDC_PREFERRED_USERNAME';
    await registerProvider(home, tenancy, {
      ...{ provider, protocol, remoteId: issuer, group: 'of-keycloak' },
      remote: [{ type: name }, { type: name, any_one_of: admitted, regex: true }],
    });
    return { ...cloud, provider, protocol };
  });
}
