// Runs the SAML identity provider of saml-identity-provider.py, with what Debian's package of Keystone brings.

import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { findKeystone } from '../keystone/find-keystone.ts';
import type { FoundKeystone } from '../keystone/find-keystone.ts';
import { PYTHON } from '../lib/python.ts';
import { pathExists } from '../lib/path-exists.ts';
import type { CertificateFiles } from '../lib/pki.ts';
import { startServer } from '../lib/server-process.ts';
import type { ServerProcess } from '../lib/server-process.ts';

export interface SamlUser {
  readonly name: string;
  readonly password: string;
  readonly email: string;
}

export interface SamlIdentityProviderOptions {
  /** For its files. */
  readonly dir: string;
  readonly port: number;
  readonly tls: CertificateFiles;
  readonly signing: CertificateFiles;
  readonly entityId: string;
  /** The file that describes the service providers. */
  readonly metadata: string;
  readonly users: readonly SamlUser[];
}

export interface SamlIdentityProvider extends ServerProcess {
  /** Without `/ecp`. */
  readonly url: string;
  /** The same format as Keystone's, written before the response is sent. */
  readonly accessLog: string;
}

/** What the identity provider needs of Debian's packages. */
export interface SamlTools {
  readonly packages: FoundKeystone;
  /** The path of a program. */
  readonly xmlsec: string;
}

export async function findSamlTools(): Promise<SamlTools | { missing: string }> {
  const packages = await findKeystone();
  if ('missing' in packages) return packages;
  const xmlsec = join(packages.root ?? '/', 'usr/bin/xmlsec1');
  if (!(await pathExists(xmlsec))) return { missing: `${xmlsec} (package xmlsec1) does not exist` };
  return { packages, xmlsec };
}

export async function startSamlIdentityProvider(
  { packages, xmlsec }: SamlTools,
  options: SamlIdentityProviderOptions,
): Promise<SamlIdentityProvider> {
  const { dir, port, tls, signing, entityId, metadata, users } = options;
  const { pythonPath } = packages;
  const accessLog = join(dir, 'identity-provider.log');
  const settings = {
    ...{ port, metadata, xmlsec, users },
    entity_id: entityId,
    tls: [tls.cert, tls.key],
    signing: [signing.cert, signing.key],
    access_log: accessLog,
  };
  await writeFile(accessLog, '', { mode: 0o600 });
  const file = join(dir, 'identity-provider.json');
  await writeFile(file, JSON.stringify(settings), { mode: 0o600 });
  const server = await startServer({
    name: 'The SAML identity provider',
    words: [PYTHON, '-s', join(import.meta.dirname, 'saml-identity-provider.py'), file],
    options: {
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        LC_ALL: 'C.UTF-8',
        ...(pythonPath === undefined ? {} : { PYTHONPATH: pythonPath }),
        ...(packages.root === undefined ? {} : { LD_LIBRARY_PATH: await findLibraries(packages.root) }),
      },
    },
    logFile: join(dir, 'identity-provider-errors.log'),
  });
  return { url: `https://127.0.0.1:${port}`, accessLog, ...server };
}

async function findLibraries(root: string): Promise<string> {
  const lib = join(root, 'usr/lib');
  return (await readdir(lib))
    .filter((name) => name.includes('-linux-gnu'))
    .map((name) => join(lib, name))
    .join(':');
}
