// Runs Apache in front of Keystone, as clouds do. It terminates TLS, and a module of it checks who logs in and passes the
// user to Keystone in headers.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { CertificateFiles } from '../lib/pki.ts';
import { startServer, WITH_PARENT } from '../lib/server-process.ts';
import type { ServerProcess } from '../lib/server-process.ts';
import { findApache } from './find-apache.ts';
import type { ApacheModule } from './find-apache.ts';

export interface ApacheOptions extends CertificateFiles {
  /** Created if it does not exist. */
  readonly dir: string;
  readonly port: number;
  /** The URL of Keystone, without TLS. */
  readonly upstream: string;
  readonly login: ApacheLogin;
}

/** How Apache checks who logs in. */
export interface ApacheLogin {
  /** The module that does it. */
  readonly module: ApacheModule;
  /** Lines of its configuration. */
  readonly config: string;
  /** Paths that the module answers itself. */
  readonly ownPaths?: readonly string[];
  /** Variables that it needs. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Apache extends ServerProcess {
  readonly url: string;
  /** Same format as Keystone's (`METHOD PATH?QUERY STATUS cn=-`), but written right after the response was sent. */
  readonly accessLog: string;
}

const modules = [
  ...['mpm_event', 'authn_core', 'authz_core', 'authz_user'],
  ...['socache_shmcb', 'ssl', 'headers', 'proxy', 'proxy_http'],
];

/** The user that Apache becomes where root starts it, which it requires. Other users cannot change the user. */
export const workerUid = process.getuid?.() === 0 ? 65_534 : undefined;

/** The requests that start a federated login of a program, and of a browser. */
export const federatedPaths = {
  program: '^(/of-[0-9a-f]+)?/v3/OS-FEDERATION/identity_providers/[^/]+/protocols/[^/]+/auth$',
  browser: '^(/of-[0-9a-f]+)?/v3/auth/OS-FEDERATION/(identity_providers/[^/]+/protocols/[^/]+/websso|websso/[^/]+)$',
} as const;

/** Starts Apache on 127.0.0.1. It stops with `stop()`, or with this process. */
export async function startApache(options: ApacheOptions): Promise<Apache> {
  const { login } = options;
  const packages = await findApache(login.module);
  if ('missing' in packages) throw new Error(packages.missing);
  const { dir, port } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const config = join(dir, 'apache.conf');
  const errorLog = join(dir, 'error.log');
  const accessLog = join(dir, 'access.log');
  await writeFile(accessLog, '', { mode: 0o600 });
  const load = [...modules, login.module].map(
    (name) => `LoadModule ${name}_module ${quote(join(packages.modules, `mod_${name}.so`))}`,
  );
  const text = `${load.join('\n')}\n${describeSite(options, { errorLog, accessLog })}`;
  await writeFile(config, text, { mode: 0o600 });

  const server = await startServer({
    name: 'Apache',
    words: [...WITH_PARENT, packages.program, '-DFOREGROUND', '-f', config],
    options: {
      env: { ...packages.env, ...login.env, PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' },
      cwd: '/',
      // In its own session: a terminal sends SIGWINCH when its size changes, and Apache stops on SIGWINCH.
      detached: true,
    },
    logFile: errorLog,
    // Apache writes the PID file when it listens.
    isReady: async () => (await readFile(join(dir, 'apache.pid'), 'utf8')) !== '',
    // SIGKILL would leave its workers behind.
    ending: { signalAtExit: 'SIGTERM' },
  });
  return { url: `https://127.0.0.1:${port}`, accessLog, ...server };
}

function describeSite(
  { dir, port, upstream, login, cert, key }: ApacheOptions,
  { errorLog, accessLog }: { errorLog: string; accessLog: string },
): string {
  const user = workerUid === undefined ? '' : `User #${workerUid}\nGroup #${workerUid}\n`;
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
${(login.ownPaths ?? []).map((path) => `ProxyPass ${path} !\n`).join('')}ProxyPass / ${upstream}/ disablereuse=on
RequestHeader set X-Forwarded-Proto https

${login.config}
`;
}

/** Quotes a path in a configuration of Apache. */
export function quote(path: string): string {
  return `"${path.replaceAll(/["\\]/g, '\\$&')}"`;
}
