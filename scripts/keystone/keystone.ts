// Runs a private, real Keystone on loopback: tests and the demo are worth something only against the server that
// clouds run. Several servers may share one data folder, so that the same users are reachable with and without TLS.

import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { access, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { findKeystone, PYTHON } from './find-keystone.ts';

export interface KeystoneTls {
  /** Paths of PEM files. */
  readonly cert: string;
  readonly key: string;
  /** Accept client certificates of this authority. */
  readonly clientCa?: string;
  /** Refuse clients without such a certificate. */
  readonly requireClientCert?: boolean;
}

/** Settings of the data folder: they count for the first server that is started over it. */
export interface KeystoneSettings {
  /** How long a token is valid; an hour where nothing is said. */
  readonly expirationSeconds?: number;
  /** Lock an account after so many wrong passwords; never where nothing is said. */
  readonly lockout?: { readonly attempts: number; readonly seconds: number };
  readonly adminPassword?: string;
}

/** A log-in with Kerberos tickets. */
export interface KeystoneKerberos {
  /** Where its users are looked up, by name. */
  readonly domain: string;
  /** Where Python finds gssapi. */
  readonly pythonPath: string;
  /** For Kerberos itself: `KRB5_CONFIG`, `KRB5_KTNAME`. */
  readonly env: Readonly<Record<string, string>>;
}

export interface KeystoneOptions extends KeystoneSettings {
  /** Made with its content where it is absent or empty. Only the first start over a folder may do that. */
  readonly dir: string;
  /** Chosen by the system where nothing is said. */
  readonly port?: number;
  readonly tls?: KeystoneTls;
  /** More of keystone.conf, for this server only. */
  readonly extraConfig?: string;
  readonly kerberos?: KeystoneKerberos;
}

/** What a client needs to know of a running server; fit for JSON. */
export interface KeystoneAddress {
  /** Without `/v3`. */
  readonly url: string;
  /** Of the user `admin` in the domain `Default`. */
  readonly adminPassword: string;
  /** One line per request: `METHOD PATH?QUERY STATUS cn=NAME`. */
  readonly accessLog: string;
}

export interface Keystone extends KeystoneAddress {
  readonly dir: string;
  /** The end of what the server said of its own troubles. */
  readLog(): Promise<string>;
  stop(): Promise<void>;
}

const startTimeoutMs = 60_000;
const stopTimeoutMs = 3000;
const run = promisify(execFile);

/** Starts a server and returns when it answers. It ends with `stop()`, and at the latest with this process. */
export async function startKeystone(options: KeystoneOptions): Promise<Keystone> {
  const packages = await findKeystone();
  if ('missing' in packages) throw new Error(packages.missing);
  const { dir, tls, kerberos } = options;
  const pythonPath = [packages.pythonPath, kerberos?.pythonPath].filter((path) => path !== undefined);
  const env: Record<string, string> = {
    // Nothing else of ours: OS_* and PYTHON* variables of a developer's shell would change the server.
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    LC_ALL: 'C.UTF-8',
    ...(pythonPath.length === 0 ? {} : { PYTHONPATH: pythonPath.join(':') }),
    ...kerberos?.env,
  };
  const adminPassword = await provideData(options, env);

  const name = randomBytes(4).toString('hex');
  const accessLog = join(dir, `access-${name}.log`);
  const serverLog = join(dir, `server-${name}.log`);
  await writeFile(accessLog, '', { mode: 0o600 });
  const args = ['-s', scriptPath('serve.py'), String(options.port ?? 0), '--access-log', accessLog, '--watch-stdin'];
  if (tls !== undefined) args.push('--tls', tls.cert, tls.key);
  if (tls?.clientCa !== undefined) args.push('--client-ca', tls.clientCa);
  if (kerberos !== undefined) args.push('--negotiate', kerberos.domain);
  if (tls?.requireClientCert === true) args.push('--require-client-cert');

  const configFiles = ['keystone.conf'];
  if (options.extraConfig !== undefined) {
    configFiles.push(`more-${name}.conf`);
    await writeFile(join(dir, 'conf', `more-${name}.conf`), options.extraConfig, { mode: 0o600 });
  }

  const log = openSync(serverLog, 'a', 0o600);
  const child = spawn(PYTHON, args, {
    env: { ...env, OS_KEYSTONE_CONFIG_DIR: join(dir, 'conf'), OS_KEYSTONE_CONFIG_FILES: configFiles.join(';') },
    // The pipe to stdin ends with this process however it ends, and the server with the pipe.
    stdio: ['pipe', 'pipe', log],
  });
  closeSync(log);
  const stopNow = (): void => void child.kill('SIGKILL');
  process.once('exit', stopNow);
  const stop = async (): Promise<void> => {
    await endChild(child);
    process.off('exit', stopNow);
  };
  try {
    const port = await waitForPort(child);
    const url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${String(port)}`;
    return { url, adminPassword, accessLog, dir, readLog: () => readTail(serverLog), stop };
  } catch (error) {
    await stop();
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Keystone did not start: ${reason}\n${await readTail(serverLog)}`, { cause: error });
  }
}

/** Makes the data folder unless it is there, and returns the administrator's password. */
async function provideData(options: KeystoneOptions, env: Record<string, string>): Promise<string> {
  const { dir, lockout } = options;
  // Written last, so its presence says that all the rest is complete.
  const passwordFile = join(dir, 'admin-password');
  const isMade = await access(passwordFile).then(
    () => true,
    () => false,
  );
  if (isMade) return readFile(passwordFile, 'utf8');

  await mkdir(dir, { recursive: true, mode: 0o700 });
  if ((await readdir(dir)).length > 0) throw new Error(`${dir} is neither empty nor a complete Keystone`);
  const adminPassword = options.adminPassword ?? randomBytes(12).toString('hex');
  const settings: Record<string, string> = { OS_BOOTSTRAP_PASSWORD: adminPassword };
  if (options.port !== undefined) {
    settings['PUBLIC_URL'] = `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${String(options.port)}`;
  }
  if (options.expirationSeconds !== undefined) settings['TOKEN_EXPIRATION'] = String(options.expirationSeconds);
  if (lockout !== undefined) {
    settings['LOCKOUT_ATTEMPTS'] = String(lockout.attempts);
    settings['LOCKOUT_SECONDS'] = String(lockout.seconds);
  }
  try {
    await run(PYTHON, ['-s', scriptPath('init.py'), dir], { env: { ...env, ...settings }, timeout: startTimeoutMs });
  } catch (error) {
    const output = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    const details = await readTail(join(dir, 'keystone.log'));
    throw new Error(`Keystone's data could not be made:\n${lastLines(output)}\n${details}`, { cause: error });
  }
  await writeFile(passwordFile, adminPassword, { mode: 0o600 });
  return adminPassword;
}

function scriptPath(name: string): string {
  return join(import.meta.dirname, name);
}

function waitForPort(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`no answer in ${String(startTimeoutMs / 1000)} s`));
    }, startTimeoutMs);
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      const port = /^listening (\d+)\n/m.exec(output)?.[1];
      if (port === undefined) return;
      clearTimeout(timer);
      resolve(Number(port));
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      reject(new Error(`it ended with ${signal ?? `status ${String(code)}`}`));
    });
  });
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) =>
    child.once('exit', () => {
      resolve();
    }),
  );
  const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
  child.kill('SIGTERM');
  await ended;
  clearTimeout(timer);
}

async function readTail(file: string): Promise<string> {
  return lastLines(await readFile(file, 'utf8').catch(() => ''));
}

function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-10).join('\n');
}
