// Runs a Keystone whose users log in elsewhere: Apache, which checks the login, in front of another Keystone server. That
// server uses the data of a running Keystone, so federated users get access to the same projects.

import { join } from 'node:path';

import { startKeystone } from '../keystone/keystone.ts';
import type { KeystoneAddress } from '../keystone/keystone.ts';
import type { Tenancy } from '../../test/support/tenancy.ts';
import type { CertificateFiles, Pki } from '../lib/pki.ts';
import type { ServerProcess } from '../lib/server-process.ts';
import { startParts } from '../lib/start-parts.ts';
import { startApache } from './apache.ts';
import type { ApacheLogin } from './apache.ts';

export interface FederatedKeystoneOptions {
  /** A folder for Apache's files. */
  readonly dir: string;
  /** The data folder of the Keystone whose data it uses, and that Keystone. */
  readonly dataDir: string;
  readonly home: KeystoneAddress;
  /** The certificate of Apache. */
  readonly tls: CertificateFiles;
  readonly port: number;
  readonly login: ApacheLogin;
  /** Sections of Keystone's configuration. */
  readonly config: string;
  /** A folder with more Python modules for Keystone. */
  readonly pythonPath?: string;
}

/** What a federation needs to know of the Keystone whose data it uses. */
export interface FederationHome {
  /** Its data folder. */
  readonly dataDir: string;
  readonly home: KeystoneAddress;
  readonly pki: Pki;
  readonly tenancy: Tenancy;
}

export interface FederatedKeystone extends ServerProcess {
  /** Apache. Its log is written right *after* a response was sent. */
  readonly keystone: KeystoneAddress;
  /**
   * The log of Keystone behind Apache, without the requests that Apache rejected. Written before the response is sent.
   */
  readonly upstreamLog: string;
}

/** A Keystone with an identity provider. */
export interface KeystoneWithProvider extends FederatedKeystone {
  /** IDs in Keystone. */
  readonly provider: string;
  readonly protocol: string;
}

/** Starts both servers. */
export function startFederatedKeystone(options: FederatedKeystoneOptions): Promise<FederatedKeystone> {
  const { dir, dataDir, home, tls, port, login, config, pythonPath } = options;
  return startParts(async (onStop) => {
    const upstream = await startKeystone({
      dir: dataDir,
      ...(pythonPath === undefined ? {} : { pythonPath }),
      extraConfig: `${config}[oslo_middleware]
enable_proxy_headers_parsing = true
`,
    });
    onStop(() => upstream.stop());
    const apache = await startApache({ ...tls, dir: join(dir, 'apache'), port, upstream: upstream.url, login });
    onStop(() => apache.stop());
    return {
      keystone: { url: apache.url, accessLog: apache.accessLog, adminPassword: home.adminPassword },
      upstreamLog: upstream.accessLog,
      readLog: async () => `${await upstream.readLog()}\n${await apache.readLog()}`,
    };
  });
}
