// Runs a real API server of Krake on loopback, with the etcd that it needs.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { sendRequest } from '../../test/support/send-request.ts';
import { findEtcd } from '../kubernetes/find-etcd.ts';
import { findFreePort } from '../lib/free-port.ts';
import type { Pki } from '../lib/pki.ts';
import { findPythonPackages } from '../lib/python-packages.ts';
import { startServer, WITH_PARENT } from '../lib/server-process.ts';
import type { ServerProcess } from '../lib/server-process.ts';
import { startProviderProcess } from './provider-process.ts';

export const KRAKE_VERSION = '1.0.1';

/**
 * Krake, and what its API server needs. pip must not choose the versions: Krake asks for some that cannot be built on
 * Python 3.11, such as PyYAML 5.
 */
const PACKAGES = [
  '--no-deps',
  `krake==${KRAKE_VERSION}`,
  'PyYAML==6.0.4',
  'aiohappyeyeballs==2.7.1',
  'aiohttp-cors==0.7.0',
  'aiohttp==3.14.5',
  'aiosignal==1.4.0',
  'attrs==26.1.0',
  'certifi==2026.10.19.post1',
  'charset-normalizer==3.5.3',
  'etcd3-py==0.1.6',
  'frozenlist==1.8.0',
  'idna==3.20',
  'kubernetes-asyncio==22.6.5',
  'lark-parser==0.11.3',
  'makefun==1.16.0',
  'marshmallow-enum==1.5.1',
  'marshmallow-oneofschema==3.2.0',
  'marshmallow-union==0.1.15.post1',
  'marshmallow==3.26.2',
  'multidict==7.2.1',
  'packaging==26.4',
  'pbr==7.1.3',
  'propcache==0.5.4',
  'python-dateutil==4.0.0',
  'requests==2.34.2',
  'semantic-version==2.10.0',
  'six==1.17.0',
  'stevedore==5.10.0',
  'tosca-parser==2.6.0',
  'typing_extensions==4.16.0',
  'urllib3==2.8.0',
  'webargs==6.1.1',
  'yarl==1.25.1',
];

export interface KrakePrograms {
  /** A Python that has the packages. */
  readonly python: string;
  readonly etcd: string;
}

/**
 * Finds Krake and etcd. The first time, pip installs the one into the user's cache, and the other is unpacked there.
 *
 * @param say announces a step that is slow
 */
export async function findKrake(say: (line: string) => void): Promise<KrakePrograms | { missing: string }> {
  const packages = await findPythonPackages(`krake-${KRAKE_VERSION}`, PACKAGES, say);
  if ('missing' in packages) return packages;
  const etcd = await findEtcd(say);
  return 'missing' in etcd ? etcd : { python: packages.python, etcd: etcd.path };
}

export interface KrakeOptions {
  /** A folder for its files. */
  readonly dir: string;
  readonly etcdPort: number;
  readonly pki: Pki;
  /** `authentication.strategy` of the configuration. */
  readonly strategy: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Whether it serves https, and accepts client certificates of `pki.ca`. */
  readonly hasTls?: boolean;
}

/** An API server. */
export interface Krake extends ServerProcess {
  readonly url: string;
}

/** Starts the etcd of API servers. */
export async function startEtcd({ etcd }: KrakePrograms, dir: string): Promise<ServerProcess & { port: number }> {
  const [port, peers] = [await findFreePort(), await findFreePort()];
  const url = `http://127.0.0.1:${port}`;
  const isReady = async (): Promise<boolean> => (await sendRequest(`${url}/health`, { ca: '' })).status === 200;
  const args = [
    ...['--data-dir', join(dir, 'etcd'), '--listen-client-urls', url, '--advertise-client-urls', url],
    ...['--listen-peer-urls', `http://127.0.0.1:${peers}`, '--unsafe-no-fsync'],
  ];
  return { port, ...(await startProviderProcess({ name: 'etcd', program: etcd, args, dir, isReady })) };
}

/** Starts an API server on 127.0.0.1. It stops with `stop()`, or with this process. */
export async function startKrake({ python }: KrakePrograms, options: KrakeOptions): Promise<Krake> {
  const { dir, etcdPort, pki, strategy, hasTls = false } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const file = join(dir, 'api.json');
  const tls = { enabled: hasTls, cert: pki.server.cert, key: pki.server.key, client_ca: pki.ca };
  const config = {
    tls,
    etcd: { host: '127.0.0.1', port: etcdPort },
    // Each part must be there, with its defaults.
    authentication: { strategy: { keystone: {}, keycloak: {}, static: {}, ...strategy } },
    authorization: 'always-allow',
    ...{ docs: {}, log: {} },
  };
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });

  const program = join(import.meta.dirname, 'krake_api.py');
  const server = await startServer({
    name: 'Krake',
    words: [...WITH_PARENT, python, '-s', program, file],
    options: {
      // Its client of Keycloak trusts the authorities of OpenSSL.
      env: { PATH: '/usr/bin:/bin', HOME: dir, LC_ALL: 'C.UTF-8', SSL_CERT_FILE: pki.ca },
      cwd: dir,
    },
    logFile: join(dir, 'log'),
  });
  return { url: `${hasTls ? 'https' : 'http'}://127.0.0.1:${server.ports[0] ?? 0}`, ...server };
}
