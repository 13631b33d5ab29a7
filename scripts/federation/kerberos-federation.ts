// Runs a real cloud whose users log in with Kerberos tickets and a mapping, as at CERN: Apache with mod_auth_gssapi in front
// of another Keystone server. That server uses the data of a running Keystone.

import { chown, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { findFreePort } from '../lib/free-port.ts';
import { startParts } from '../lib/start-parts.ts';
import { federatedPaths, quote, workerUid } from './apache.ts';
import type { ApacheLogin } from './apache.ts';
import { startFederatedKeystone } from './federated-keystone.ts';
import type { FederationHome, KeystoneWithProvider } from './federated-keystone.ts';
import { findApache } from './find-apache.ts';
import { registerProvider } from './register-provider.ts';

export interface KerberosFederationOptions extends FederationHome {
  /** The realm, and the variables of a server in it. */
  readonly realm: { readonly name: string; readonly serverEnv: Readonly<Record<string, string>> };
  /** The users of the realm whom the mapping admits. */
  readonly users: readonly string[];
}

const provider = 'sssd';
const protocol = 'kerberos';

/** Starts both servers, and registers the realm as identity provider. */
export async function startKerberosFederation(
  options: KerberosFederationOptions,
): Promise<KeystoneWithProvider | { missing: string }> {
  const { dataDir, home, pki, realm } = options;
  const packages = await findApache('auth_gssapi');
  if ('missing' in packages) return packages;
  return startParts(async (onStop) => {
    // The workers of Apache can be another user, who must read the keytab.
    const dir = await mkdtemp(join(tmpdir(), 'cka-gssapi-'));
    onStop(() => rm(dir, { recursive: true, force: true }));
    const port = await findFreePort();
    const cloud = await startFederatedKeystone({
      ...{ dir, dataDir, home, tls: pki.server, port },
      login: await makeKerberosLogin(dir, realm),
      pythonPath: await writeMethod(join(dir, 'python')),
      config: `[auth]
${protocol} = mapped
[federation]
remote_id_attribute = HTTP_KRB_REALM
`,
    });
    onStop(() => cloud.stop());
    const admitted = options.users.map((user) => `${user}@${realm.name}`);
    await registerProvider(home, options.tenancy, {
      ...{ provider, protocol, remoteId: realm.name, group: 'of-the-realm' },
      remote: [{ type: 'HTTP_KRB_USER' }, { type: 'HTTP_KRB_USER', any_one_of: admitted }],
    });
    return { ...cloud, provider, protocol };
  });
}

/** Gives Keystone an auth method of this name that uses mappings, as an operator does with a package of entry points. */
async function writeMethod(folder: string): Promise<string> {
  const info = join(folder, 'kerberos_mapped-1.0.dist-info');
  await mkdir(info, { recursive: true });
  await writeFile(join(info, 'METADATA'), 'Metadata-Version: 2.1\nName: kerberos-mapped\nVersion: 1.0\n');
  await writeFile(
    join(info, 'entry_points.txt'),
    `[keystone.auth.${protocol}]\nmapped = keystone.auth.plugins.mapped:Mapped\n`,
  );
  return folder;
}

async function makeKerberosLogin(
  dir: string,
  { name, serverEnv }: KerberosFederationOptions['realm'],
): Promise<ApacheLogin> {
  const [config, keytab] = [join(dir, 'krb5.conf'), join(dir, 'http.keytab')];
  await copyFile(serverEnv['KRB5_CONFIG'] ?? '', config);
  await copyFile((serverEnv['KRB5_KTNAME'] ?? '').replace(/^FILE:/, ''), keytab);
  if (workerUid !== undefined) for (const path of [dir, config, keytab]) await chown(path, workerUid, 0);
  return {
    module: 'auth_gssapi',
    env: { KRB5_CONFIG: config },
    config: `<LocationMatch "${federatedPaths.program}">
  AuthType GSSAPI
  AuthName "Kerberos"
  GssapiCredStore ${quote(`keytab:${keytab}`)}
  GssapiAllowedMech krb5
  Require valid-user
  RequestHeader set KRB-USER "expr=%{REMOTE_USER}"
  RequestHeader set KRB-REALM ${name}
  RequestHeader unset Authorization
</LocationMatch>`,
  };
}
