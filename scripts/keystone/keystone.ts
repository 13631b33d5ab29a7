// Runs a real Keystone on loopback for the tests and the demo, the same server that clouds run. Several servers can
// share one data folder, so that the same users can log in with and without TLS.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { pathExists } from '../lib/path-exists.ts';
import { lastLines, readTail, START_TIMEOUT_MS, startServer } from '../lib/server-process.ts';
import type { ServerProcess } from '../lib/server-process.ts';
import { findKeystone } from './find-keystone.ts';
import { PYTHON } from '../lib/python.ts';

export interface KeystoneTls {
  /** Paths of PEM files. */
  readonly cert: string;
  readonly key: string;
  /** Accept client certificates from this CA. */
  readonly clientCa?: string;
  /** Reject clients without such a certificate. */
  readonly requireClientCert?: boolean;
}

/** Settings of the data folder. The first server that starts with the folder decides. */
export interface KeystoneSettings {
  /** Lifetime of a token in seconds. Default: one hour. */
  readonly expirationSeconds?: number;
  readonly adminPassword?: string;
}

/** Settings for logins with Kerberos tickets. */
export interface KeystoneKerberos {
  /** The domain of the users, by name. */
  readonly domain: string;
  /** The folder in which Python finds gssapi. */
  readonly pythonPath: string;
  /** Variables for Kerberos: `KRB5_CONFIG`, `KRB5_KTNAME`. */
  readonly env: Readonly<Record<string, string>>;
}

/** A database server instead of a file. */
export interface KeystoneDatabase {
  /** An SQLAlchemy URL of an empty database. */
  readonly url: string;
  /** The folder in which Python finds the driver; undefined means its default path. */
  readonly pythonPath: string | undefined;
  /** Where the driver's libraries are; undefined means the system's. */
  readonly libraryPath: string | undefined;
}

export interface KeystoneOptions extends KeystoneSettings {
  /** Filled if it does not exist or is empty. Only the first server of a folder may do that. */
  readonly dir: string;
  /** Default: a port that the system chooses. */
  readonly port?: number;
  readonly tls?: KeystoneTls;
  /** More ports of the same server, which the system chooses. */
  readonly moreTls?: readonly Required<KeystoneTls>[];
  /**
   * Whether the server keeps what it has read from the database in memory, as clouds do. A login then takes a tenth of
   * the time. Another server with the same data can revoke tokens, but must not change anything else.
   */
  readonly hasCache?: boolean;
  /** Additional lines of keystone.conf, for this server only. */
  readonly extraConfig?: string;
  readonly kerberos?: KeystoneKerberos;
  readonly database?: KeystoneDatabase;
  /** Another folder in which Python finds packages, for this server only. */
  readonly pythonPath?: string;
}

/** What a client needs to know about a running server. It can be written as JSON. */
export interface KeystoneAddress {
  /** Without `/v3`. */
  readonly url: string;
  /** The password of the user `admin` in the domain `Default`. */
  readonly adminPassword: string;
  /** One line per request: `METHOD PATH?QUERY STATUS cn=NAME`. */
  readonly accessLog: string;
}

export interface Keystone extends KeystoneAddress, ServerProcess {
  /** The URLs of `moreTls`. */
  readonly moreUrls: readonly string[];
  readonly dir: string;
}

// With pickle, each reader gets a copy: Keystone decrypts credentials in place.
const cacheConfig = `[cache]
backend = dogpile.cache.memory_pickle
[token]
caching = false
[revoke]
caching = false
`;

const run = promisify(execFile);

/** Starts a server and waits until it responds. It stops with `stop()`, or with this process. */
export async function startKeystone(options: KeystoneOptions): Promise<Keystone> {
  const packages = await findKeystone();
  if ('missing' in packages) throw new Error(packages.missing);
  const { dir, tls, moreTls = [], kerberos } = options;
  const { database } = options;
  const pythonPath = [packages.pythonPath, kerberos?.pythonPath, database?.pythonPath, options.pythonPath].filter(
    (path) => path !== undefined,
  );
  const env: Record<string, string> = {
    // OS_* and PYTHON* variables of a developer's shell would change the server, so it does not inherit them.
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    LC_ALL: 'C.UTF-8',
    ...(pythonPath.length === 0 ? {} : { PYTHONPATH: pythonPath.join(':') }),
    ...(database?.libraryPath === undefined ? {} : { LD_LIBRARY_PATH: database.libraryPath }),
    ...kerberos?.env,
  };
  const adminPassword = await provideData(options, env);

  const name = randomBytes(4).toString('hex');
  const accessLog = join(dir, `access-${name}.log`);
  await writeFile(accessLog, '', { mode: 0o600 });
  const args = ['-s', scriptPath('serve.py'), String(options.port ?? 0), '--access-log', accessLog, '--watch-stdin'];
  if (tls !== undefined) args.push('--tls', tls.cert, tls.key);
  if (tls?.clientCa !== undefined) args.push('--client-ca', tls.clientCa);
  for (const { cert, key, clientCa, requireClientCert } of moreTls)
    args.push('--more-tls', cert, key, clientCa, requireClientCert ? 'required' : 'optional');
  if (kerberos !== undefined) args.push('--negotiate', kerberos.domain);
  if (tls?.requireClientCert === true) args.push('--require-client-cert');

  const configFiles = ['keystone.conf'];
  const extraConfig = (options.hasCache === true ? cacheConfig : '') + (options.extraConfig ?? '');
  if (extraConfig !== '') {
    configFiles.push(`more-${name}.conf`);
    await writeFile(join(dir, 'conf', `more-${name}.conf`), extraConfig, { mode: 0o600 });
  }

  const server = await startServer({
    name: 'Keystone',
    // It ends when its stdin closes.
    words: [PYTHON, ...args],
    options: {
      env: { ...env, OS_KEYSTONE_CONFIG_DIR: join(dir, 'conf'), OS_KEYSTONE_CONFIG_FILES: configFiles.join(';') },
    },
    logFile: join(dir, `server-${name}.log`),
  });
  const [port = 0, ...morePorts] = server.ports;
  const url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${String(port)}`;
  const moreUrls = morePorts.map((each) => `https://127.0.0.1:${String(each)}`);
  return { ...server, url, moreUrls, adminPassword, accessLog, dir };
}

/** Creates the data folder if it does not exist, and returns the administrator's password. */
async function provideData(options: KeystoneOptions, env: Record<string, string>): Promise<string> {
  const { dir, database } = options;
  // This file is written last, so if it exists, the folder is complete.
  const passwordFile = join(dir, 'admin-password');
  if (await pathExists(passwordFile)) return readFile(passwordFile, 'utf8');

  await mkdir(dir, { recursive: true, mode: 0o700 });
  if ((await readdir(dir)).length > 0)
    throw new Error(`${dir} is not empty and not a complete data folder of Keystone`);
  const adminPassword = options.adminPassword ?? randomBytes(12).toString('hex');
  const settings: Record<string, string> = { OS_BOOTSTRAP_PASSWORD: adminPassword };
  if (options.port !== undefined) {
    settings['PUBLIC_URL'] = `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${String(options.port)}`;
  }
  if (database !== undefined) settings['DATABASE'] = database.url;
  if (options.expirationSeconds !== undefined) settings['TOKEN_EXPIRATION'] = String(options.expirationSeconds);
  try {
    await run(PYTHON, ['-s', scriptPath('init.py'), dir], { env: { ...env, ...settings }, timeout: START_TIMEOUT_MS });
  } catch (error) {
    const output = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    const details = await readTail(join(dir, 'keystone.log'));
    throw new Error(`the data of Keystone could not be created:\n${lastLines(output)}\n${details}`, { cause: error });
  }
  await writeFile(passwordFile, adminPassword, { mode: 0o600 });
  return adminPassword;
}

function scriptPath(name: string): string {
  return join(import.meta.dirname, name);
}
