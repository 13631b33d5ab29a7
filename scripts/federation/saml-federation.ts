// Runs a real cloud whose programs log in with SAML (profile "Enhanced Client or Proxy"): Apache with mod_auth_mellon in
// front of another Keystone server, and an identity provider with passwords. That server uses the data of a running
// Keystone.

import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { findFreePorts } from '../lib/free-port.ts';
import { makeSigningCertificate } from '../lib/pki.ts';
import type { CertificateFiles } from '../lib/pki.ts';
import { startParts } from '../lib/start-parts.ts';
import { federatedPaths, quote, workerUid } from './apache.ts';
import type { ApacheLogin } from './apache.ts';
import { startFederatedKeystone } from './federated-keystone.ts';
import type { FederationHome, KeystoneWithProvider } from './federated-keystone.ts';
import { findApache } from './find-apache.ts';
import { registerProvider } from './register-provider.ts';
import { describeServiceProvider, describeIdentityProvider } from './saml-metadata.ts';
import { findSamlTools, startSamlIdentityProvider } from './saml-identity-provider.ts';
import type { SamlIdentityProvider, SamlUser } from './saml-identity-provider.ts';

export interface SamlFederationOptions extends FederationHome {
  /** Who can log in at the identity provider. The mapping admits addresses at acme.example. */
  readonly users: readonly SamlUser[];
}

export interface SamlFederation extends KeystoneWithProvider {
  readonly identityProvider: Pick<SamlIdentityProvider, 'url' | 'accessLog'>;
  /** Where the service provider takes responses, below Apache's address. */
  readonly consumerPath: string;
}

const provider = 'campus';
const protocol = 'saml2';
const endpointPath = '/mellon';
const consumerPath = `${endpointPath}/paosResponse`;
const providerId = 'https://idp.campus.example/saml';

/** Starts all servers, and registers the identity provider with Keystone. */
export async function startSamlFederation(
  options: SamlFederationOptions,
): Promise<SamlFederation | { missing: string }> {
  const { dataDir, home, pki, users } = options;
  const packages = await findApache('auth_mellon');
  if ('missing' in packages) return packages;
  const tools = await findSamlTools();
  if ('missing' in tools) return tools;
  return startParts(async (onStop) => {
    // The workers of Apache can be another user, who must read the key.
    const dir = await mkdtemp(join(tmpdir(), 'cka-mellon-'));
    onStop(() => rm(dir, { recursive: true, force: true }));
    const [port = 0, providerPort = 0] = await findFreePorts(2);
    const own = await makeSigningCertificate(dir, 'service-provider');
    const signing = await makeSigningCertificate(dir, 'identity-provider');
    const metadata = await writeMetadata(dir, { port, providerPort, own, signing });
    const identityProvider = await startSamlIdentityProvider(tools, {
      ...{ dir, port: providerPort, tls: pki.server, signing, users },
      entityId: providerId,
      metadata: metadata.ofServiceProvider,
    });
    onStop(() => identityProvider.stop());
    const cloud = await startFederatedKeystone({
      ...{ dir, dataDir, home, tls: pki.server, port },
      login: await makeMellonLogin(dir, own, metadata),
      config: `[${protocol}]
remote_id_attribute = HTTP_MELLON_IDP
`,
    });
    onStop(() => cloud.stop());
    await registerProvider(home, options.tenancy, {
      ...{ provider, protocol, remoteId: providerId, group: 'of-the-campus' },
      remote: [
        { type: 'HTTP_MELLON_MAIL' },
        { type: 'HTTP_MELLON_MAIL', any_one_of: ['@acme\\.example$'], regex: true },
      ],
    });
    return {
      ...cloud,
      identityProvider,
      ...{ consumerPath, provider, protocol },
      readLog: async () => `${await cloud.readLog()}\n${await identityProvider.readLog()}`,
    };
  });
}

interface Metadata {
  /** Paths of files. */
  readonly ofServiceProvider: string;
  readonly ofIdentityProvider: string;
}

async function writeMetadata(
  dir: string,
  {
    port,
    providerPort,
    own,
    signing,
  }: Record<'port' | 'providerPort', number> & Record<'own' | 'signing', CertificateFiles>,
): Promise<Metadata> {
  const url = `https://127.0.0.1:${port}${endpointPath}`;
  const [ofServiceProvider, ofIdentityProvider] = [join(dir, 'sp.xml'), join(dir, 'idp.xml')];
  const [ownPem, signingPem] = await Promise.all([readFile(own.cert, 'utf8'), readFile(signing.cert, 'utf8')]);
  await writeFile(
    ofServiceProvider,
    describeServiceProvider({
      entityId: `${url}/metadata`,
      pem: ownPem,
      url,
      consumer: `https://127.0.0.1:${port}${consumerPath}`,
    }),
  );
  await writeFile(
    ofIdentityProvider,
    describeIdentityProvider({ entityId: providerId, pem: signingPem, url: `https://127.0.0.1:${providerPort}/ecp` }),
  );
  return { ofServiceProvider, ofIdentityProvider };
}

async function makeMellonLogin(dir: string, own: CertificateFiles, metadata: Metadata): Promise<ApacheLogin> {
  if (workerUid !== undefined) {
    for (const path of [dir, own.cert, own.key, metadata.ofServiceProvider, metadata.ofIdentityProvider])
      await chown(path, workerUid, 0);
  }
  return {
    module: 'auth_mellon',
    ownPaths: [endpointPath],
    config: `MellonLockFile ${quote(join(dir, 'mellon.lock'))}
MellonPostDirectory ${quote(join(dir, 'posts'))}
<Location "/">
  MellonEndpointPath ${endpointPath}
  MellonSPPrivateKeyFile ${quote(own.key)}
  MellonSPCertFile ${quote(own.cert)}
  MellonSPMetadataFile ${quote(metadata.ofServiceProvider)}
  MellonIdPMetadataFile ${quote(metadata.ofIdentityProvider)}
  MellonSetEnvNoPrefix MELLON_MAIL urn:oid:0.9.2342.19200300.100.1.3
  MellonIdP IDP
  MellonSecureCookie On
  MellonEnable info
</Location>
<LocationMatch "${federatedPaths.program}">
  AuthType Mellon
  MellonEnable auth
  Require valid-user
  RequestHeader set MELLON-MAIL "%{MELLON_MAIL}e"
  RequestHeader set MELLON-IDP "%{MELLON_IDP}e"
</LocationMatch>`,
  };
}
