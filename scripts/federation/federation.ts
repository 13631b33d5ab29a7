// Runs a real cloud with federation on loopback: an identity provider, and Apache in front of another Keystone server.
// That server uses the data of a running Keystone, so that federated users get access to the same projects.

import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Tenancy } from '../../test/support/tenancy.ts';
import type { Keystone } from '../keystone/keystone.ts';
import { findFreePorts } from '../lib/free-port.ts';
import type { Pki } from '../lib/pki.ts';
import { startParts } from '../lib/start-parts.ts';
import { startFederatedKeystone } from './federated-keystone.ts';
import type { FederatedKeystone } from './federated-keystone.ts';
import { startIdentityProvider } from './identity-provider.ts';
import type { OidcClient, IdentityProviderUser } from './identity-provider.ts';
import { makeOpenidLogin } from './openid-login.ts';
import { registerProvider } from './register-provider.ts';

/** What a client needs to know. It can be written as JSON. */
export interface FederationAddress extends Pick<FederatedKeystone, 'keystone' | 'upstreamLog'> {
  /** The issuer, with `pki.server`. See identity-provider.ts for its endpoints and its /control/ interface. */
  readonly identityProvider: { readonly url: string; readonly accessLog: string };
  /** IDs in Keystone. */
  readonly provider: string;
  readonly protocol: string;
  readonly clients: {
    readonly confidential: OidcClient & { readonly secret: string };
    /** Its secret needs encoding in a header (RFC 6749, section 2.3.1). */
    readonly awkward: OidcClient & { readonly secret: string };
    /** Without a secret, with PKCE. */
    readonly public: OidcClient;
  };
  readonly users: {
    /**
     * A federated user with the roles `member` and `reader` on the project demo, and `reader` on its domain. No role on
     * the system, because Keystone 22 fails with status 500 for such a token of a federated user.
     */
    readonly alice: IdentityProviderUser;
    /** The same, but logs in with a one-time password as well. */
    readonly otto: IdentityProviderUser & { readonly otp: string };
    /** Can log in at the identity provider, but no mapping of Keystone matches her. */
    readonly stranger: IdentityProviderUser;
  };
  /** Keystone trusts http://localhost:PORT/auth/websso/ for these ports and for 9990. They were free at the start. */
  readonly dashboardPorts: readonly number[];
  /** A folder in which tests reserve ports. */
  readonly portsDir: string;
}

export interface Federation extends FederationAddress {
  /** Registers the identity provider with Keystone, and gives its users roles. Call it once, before the first login. */
  admitUsers(tenancy: Tenancy): Promise<void>;
  readLog(): Promise<string>;
  stop(): Promise<void>;
}

const dashboardCount = 32;
const provider = 'acme-idp';
const protocol = 'openid';
const dashboardOf = (port: number): string => `http://localhost:${port}/auth/websso/`;

/**
 * Starts all servers.
 *
 * @param home the Keystone whose data they use
 * @param dir a folder that does not exist yet
 */
export async function startFederation(home: Keystone, pki: Pki, dir: string): Promise<Federation> {
  await mkdir(dir, { mode: 0o700 });
  const portsDir = join(dir, 'ports');
  await mkdir(portsDir, { mode: 0o700 });
  const [port = 0, ...dashboardPorts] = await findFreePorts(1 + dashboardCount);
  const secretOf = (): string => randomBytes(16).toString('hex');
  const client = { id: 'apache', secret: secretOf() };
  const clients = {
    confidential: { id: 'kubectl', secret: secretOf(), email: 'kubectl@acme.example' },
    awkward: { id: 'kubectl:2', secret: 'a+b/c%d e:f=&', email: 'kubectl-2@acme.example' },
    public: { id: 'kubectl-public', email: 'kubectl-public@acme.example' },
  };
  const users = {
    alice: { name: 'alice', password: 'p@ss w0rd&+=%é', email: 'alice@acme.example' },
    otto: { name: 'otto', password: 'otto-password', email: 'otto@acme.example', otp: '246810' },
    stranger: { name: 'stranger', password: 'stranger-password', email: 'stranger@elsewhere.example' },
  };
  return startParts(async (onStop) => {
    const idp = await startIdentityProvider({
      ...pki.server,
      users: Object.values(users),
      clients: Object.values(clients),
      apacheClient: client,
      apacheUrl: `https://127.0.0.1:${port}`,
      accessLog: join(dir, 'identity-provider.log'),
    });
    onStop(() => idp.close());
    const callbackPage = join(dir, 'sso-callback.html');
    await writeFile(callbackPage, callbackTemplate, { mode: 0o600 });
    const cloud = await startFederatedKeystone({
      ...{ dir, dataDir: home.dir, home, tls: pki.server, port },
      login: makeOpenidLogin({
        ...{ port, issuer: idp.url, client },
        introspectionEndpoint: `${idp.url}/token/introspection`,
        // Tokens of a client itself have no sub.
        userClaim: 'email',
      }),
      config: describeFederation([9990, ...dashboardPorts].map(dashboardOf), callbackPage),
    });
    onStop(() => cloud.stop());
    return {
      ...cloud,
      identityProvider: { url: idp.url, accessLog: idp.accessLog },
      provider,
      protocol,
      clients,
      users,
      dashboardPorts,
      portsDir,
      admitUsers: (tenancy) =>
        registerProvider(home, tenancy, {
          ...{ provider, protocol, remoteId: idp.url, group: 'federated', areReaders: true },
          remote: [
            { type: 'HTTP_OIDC_EMAIL' },
            { type: 'HTTP_OIDC_EMAIL', any_one_of: ['@acme\\.example$'], regex: true },
          ],
        }),
    };
  });
}

// Posts the token to the waiting program, as Keystone's own page does.
const callbackTemplate = `<!doctype html>
<html>
  <body onload="document.forms[0].submit()">
    <form method="post" action="$host">
      <input type="hidden" name="token" value="$token">
      <noscript><input type="submit" value="Continue"></noscript>
    </form>
  </body>
</html>
`;

function describeFederation(dashboards: readonly string[], callbackPage: string): string {
  return `[federation]
${dashboards.map((dashboard) => `trusted_dashboard = ${dashboard}`).join('\n')}
sso_callback_template = ${callbackPage.replaceAll('$', '$$$$')}
[openid]
remote_id_attribute = HTTP_OIDC_ISS
`;
}
