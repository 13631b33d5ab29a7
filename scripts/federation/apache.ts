// Runs Apache with mod_auth_openidc in front of Keystone, as clouds do. It terminates TLS, introspects bearer tokens at
// the identity provider, logs browsers in, and passes the user to Keystone in headers.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { CertificateFiles } from '../lib/pki.ts';
import { findApache } from './find-apache.ts';

export interface ApacheOptions extends CertificateFiles {
  /** Created if it does not exist. */
  readonly dir: string;
  readonly port: number;
  /** The URL of Keystone, without TLS. */
  readonly upstream: string;
  /** The URL of the identity provider. */
  readonly issuer: string;
  readonly client: { readonly id: string; readonly secret: string };
}

export interface Apache {
  readonly url: string;
  /** Same format as Keystone's (`METHOD PATH?QUERY STATUS cn=-`), but written right after the response was sent. */
  readonly accessLog: string;
  /** Returns the end of Apache's error log. */
  readLog(): Promise<string>;
  stop(): Promise<void>;
}

const startTimeoutMs = 300_000;
const stopTimeoutMs = 5000;
const modules = [
  ...['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'auth_openidc'],
  ...['socache_shmcb', 'ssl', 'headers', 'proxy', 'proxy_http'],
];

/** Starts Apache on 127.0.0.1. It stops with `stop()`, or with this process. */
export async function startApache(options: ApacheOptions): Promise<Apache> {
  const packages = await findApache();
  if ('missing' in packages) throw new Error(packages.missing);
  const { dir, port } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const config = join(dir, 'apache.conf');
  const errorLog = join(dir, 'error.log');
  const accessLog = join(dir, 'access.log');
  await writeFile(accessLog, '', { mode: 0o600 });
  const load = modules.map((name) => `LoadModule ${name}_module ${quote(join(packages.modules, `mod_${name}.so`))}`);
  const text = `${load.join('\n')}\n${describeSite(options, { errorLog, accessLog })}`;
  await writeFile(config, text, { mode: 0o600 });

  const child = spawn('/usr/bin/setpriv', ['--pdeathsig', 'TERM', packages.program, '-DFOREGROUND', '-f', config], {
    env: { ...packages.env, PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' },
    cwd: '/',
    stdio: 'ignore',
    // In its own session: a terminal sends SIGWINCH when its size changes, and Apache stops on SIGWINCH.
    detached: true,
  });
  // Not SIGKILL, which would leave its workers behind.
  const stopNow = (): void => void child.kill('SIGTERM');
  process.once('exit', stopNow);
  const stop = async (): Promise<void> => {
    await endChild(child);
    process.off('exit', stopNow);
  };
  const readLog = async (): Promise<string> => {
    const log = await readFile(errorLog, 'utf8').catch(() => '');
    return log.trimEnd().split('\n').slice(-10).join('\n');
  };
  try {
    await waitUntilReady(child, join(dir, 'apache.pid'));
    return { url: `https://127.0.0.1:${port}`, accessLog, readLog, stop };
  } catch (error) {
    await stop();
    throw new Error(`Apache did not start: ${String(error)}\n${await readLog()}`, { cause: error });
  }
}

/**
 * Finds free ports of 127.0.0.1. Apache and Keystone's list of dashboards need them before they start. The ports are
 * outside the range that systems choose from, so that no other program gets one in the meantime.
 */
export async function findFreePorts(count: number): Promise<readonly number[]> {
  const free = new Set<number>();
  while (free.size < count) {
    const port = randomInt(12_000, 32_000);
    if (await isPortFree(port)) free.add(port);
  }
  return [...free];
}

export function isPortFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => {
      server.close(() => resolve(true));
    });
  });
}

function describeSite(
  { dir, port, upstream, issuer, client, cert, key }: ApacheOptions,
  { errorLog, accessLog }: { errorLog: string; accessLog: string },
): string {
  // Apache refuses to run as root, and other users cannot change the user.
  const user = process.getuid?.() === 0 ? 'User #65534\nGroup #65534\n' : '';
  const login = `
  AuthType openid-connect
  Require valid-user`;
  const v3 = '^(/of-[0-9a-f]+)?/v3';
  return `ServerRoot ${quote(dir)}
DefaultRuntimeDir ${quote(dir)}
PidFile ${quote(join(dir, 'apache.pid'))}
Mutex posixsem
${user}ServerName 127.0.0.1:${port}
Listen 127.0.0.1:${port}
ErrorLog ${quote(errorLog)}
LogLevel warn
LogFormat "%m %U%q %>s cn=-" requests
CustomLog ${quote(accessLog)} requests
StartServers 1
ServerLimit 1
ThreadsPerChild 32
MaxRequestWorkers 32
TraceEnable Off

SSLEngine on
SSLCertificateFile ${quote(cert)}
SSLCertificateKeyFile ${quote(key)}

ProxyRequests Off
ProxyPreserveHost On
ProxyPass / ${upstream}/ disablereuse=on
RequestHeader set X-Forwarded-Proto https

OIDCProviderMetadataURL ${issuer}/.well-known/openid-configuration
OIDCClientID ${client.id}
OIDCClientSecret ${client.secret}
OIDCRedirectURI https://127.0.0.1:${port}/redirect_uri
OIDCCryptoPassphrase ${randomBytes(16).toString('hex')}
OIDCClaimPrefix "OIDC-"
OIDCScope "openid email"
OIDCOAuthIntrospectionEndpoint ${issuer}/token/introspection
OIDCOAuthIntrospectionEndpointAuth client_secret_basic
OIDCOAuthClientID ${client.id}
OIDCOAuthClientSecret ${client.secret}
# Tokens of a client itself have no sub.
OIDCOAuthRemoteUserClaim email
# Ask each time, so that a revoked token is refused at once.
OIDCOAuthTokenIntrospectionInterval -1
# Its workers are another user where root started it, and could not read our authority.
OIDCSSLValidateServer Off
OIDCOAuthSSLValidateServer Off

<LocationMatch "${v3}/OS-FEDERATION/identity_providers/[^/]+/protocols/[^/]+/auth$">
  AuthType oauth20
  Require valid-user
</LocationMatch>
<LocationMatch "${v3}/auth/OS-FEDERATION/(identity_providers/[^/]+/protocols/[^/]+/websso|websso/[^/]+)$">${login}
</LocationMatch>
<Location "/redirect_uri">${login}
</Location>
`;
}

function quote(path: string): string {
  return `"${path.replaceAll(/["\\]/g, '\\$&')}"`;
}

/** Waits for the PID file, which Apache writes when it listens. */
async function waitUntilReady(child: ChildProcess, pidFile: string): Promise<void> {
  let problem: unknown;
  child.once('error', (error) => {
    problem = error;
  });
  const deadline = Date.now() + startTimeoutMs;
  while (Date.now() < deadline) {
    if (problem !== undefined) throw problem as Error;
    if (child.exitCode !== null) throw new Error(`it exited with status ${child.exitCode}`);
    if ((await readFile(pidFile, 'utf8').catch(() => '')) !== '') return;
    await sleep(20);
  }
  throw new Error(`it did not start within ${startTimeoutMs / 1000} s`);
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
  child.kill('SIGTERM');
  await ended;
  clearTimeout(timer);
}
