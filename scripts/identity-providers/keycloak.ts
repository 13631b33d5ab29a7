// Runs a real Keycloak with TLS on loopback, and calls its admin API.

import { cp, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';

import { sendRequest } from '../../test/support/send-request.ts';
import type { ReceivedResponse } from '../../test/support/send-request.ts';
import { pathExists } from '../lib/path-exists.ts';
import type { Pki } from '../lib/pki.ts';
import type { KeycloakFolder } from './find-keycloak.ts';
import type { ServerProcess } from '../lib/server-process.ts';
import { startProviderProcess } from './provider-process.ts';

/** What a client needs to know. It can be written as JSON. */
export interface KeycloakAddress {
  /** With the path of all realms, but without `/realms`. The host in the issuer is the one of the request. */
  readonly url: string;
  /** The password of the user `admin` in the realm `master`. */
  readonly adminPassword: string;
  /** The certificates: `pki.ca` has issued that of the server. */
  readonly pki: Pki;
}

export type Keycloak = KeycloakAddress & ServerProcess;

export interface KeycloakOptions {
  /** A folder that does not exist yet. */
  readonly dir: string;
  readonly pki: Pki;
  /** The password of the administrator. */
  readonly adminPassword?: string;
  /** Makes an administrator with this password in an empty database. */
  readonly bootstrapPassword?: string;
}

/** What the JVM must not take from the tests. The first compiler is enough for a server that lives for minutes. */
const JVM_LIMITS = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xms64m', '-Xmx384m', '-XX:MaxMetaspaceSize=256m'];

/**
 * How long Keycloak waits for its database and for its own transactions, in seconds. By default, it gives up after five
 * seconds without a connection, which a busy machine needs to open the database.
 */
const DATABASE_TIMEOUTS = [
  '-Dquarkus.datasource.jdbc.acquisition-timeout=900',
  '-Dquarkus.transaction-manager.default-transaction-timeout=900',
];

const PACKAGES_OF_JAVA = ['util', 'util.concurrent', 'security'];

const STOP_TIMEOUT_MS = 60_000;

/** Lists the arguments of `java`, as kc.sh of the distribution does. */
export function listKeycloakArguments(home: string, args: readonly string[]): readonly string[] {
  return [
    ...JVM_LIMITS,
    ...DATABASE_TIMEOUTS,
    ...PACKAGES_OF_JAVA.map((name) => `--add-opens=java.base/java.${name}=ALL-UNNAMED`),
    ...['-Duser.language=en', '-Duser.country=US', '-Dfile.encoding=UTF-8'],
    `-Dkc.home.dir=${home}`,
    `-Djboss.server.config.dir=${join(home, 'conf')}`,
    '-Djava.util.logging.manager=org.jboss.logmanager.LogManager',
    '-Djava.util.concurrent.ForkJoinPool.common.threadFactory=' +
      'io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory',
    ...['-Dpicocli.disable.closures=true', '-cp', join(home, 'lib/quarkus-run.jar')],
    ...['io.quarkus.bootstrap.runner.QuarkusEntryPoint', ...args],
  ];
}

/** Starts Keycloak on 127.0.0.1, with a copy of the prepared database. It stops with `stop()`, or with this process. */
export async function startKeycloak({ folder, java }: KeycloakFolder, options: KeycloakOptions): Promise<Keycloak> {
  const { dir, pki, bootstrapPassword, adminPassword = bootstrapPassword ?? '' } = options;
  await mkdir(dir, { mode: 0o700 });
  for (const name of ['lib', 'conf', 'providers', 'themes']) await symlink(join(folder, name), join(dir, name));
  if (await pathExists(join(folder, 'data'))) await cp(join(folder, 'data'), join(dir, 'data'), { recursive: true });
  const args = [
    ...['start', '--optimized', '--http-host=127.0.0.1', '--https-port=0', '--cache=local', '--hostname-strict=false'],
    ...[`--https-certificate-file=${pki.server.cert}`, `--https-certificate-key-file=${pki.server.key}`],
  ];
  const bootstrap: Readonly<Record<string, string>> =
    bootstrapPassword === undefined
      ? {}
      : { KC_BOOTSTRAP_ADMIN_USERNAME: 'admin', KC_BOOTSTRAP_ADMIN_PASSWORD: bootstrapPassword };
  let origin = '';
  const running = await startProviderProcess({
    name: 'Keycloak',
    program: java,
    args: listKeycloakArguments(dir, args),
    env: bootstrap,
    dir,
    isReady: (log) => {
      origin = /Listening on: (https:\/\/\S+)/.exec(log)?.[1] ?? '';
      return Promise.resolve(origin !== '');
    },
    // A database that is copied later must be closed. Nothing else needs the time that it takes to end.
    ending: { signal: bootstrapPassword === undefined ? 'SIGKILL' : 'SIGTERM', timeoutMs: STOP_TIMEOUT_MS },
  });
  return { ...running, url: `${origin}/auth`, adminPassword, pki };
}

const adminTokens = new Map<string, Promise<string>>();

async function requestAdminToken({ url, adminPassword, pki }: KeycloakAddress): Promise<string> {
  const { status, body } = await sendRequest(`${url}/realms/master/protocol/openid-connect/token`, {
    form: { grant_type: 'password', client_id: 'admin-cli', username: 'admin', password: adminPassword },
    ca: pki.ca,
  });
  if (status !== 200) throw new Error(`the administrator of Keycloak was refused: ${status} ${body}`);
  return (JSON.parse(body) as { access_token: string }).access_token;
}

export interface AdminCall {
  readonly method?: 'DELETE' | 'GET' | 'POST' | 'PUT';
  readonly json?: unknown;
}

/**
 * Calls the admin API.
 *
 * @param path below `/admin/realms`; empty for the list of realms
 * @throws Error if Keycloak refuses
 */
export async function callAdmin(
  keycloak: KeycloakAddress,
  path: string,
  { method, json }: AdminCall = {},
): Promise<ReceivedResponse> {
  const send = async (): Promise<ReceivedResponse> => {
    const token = adminTokens.get(keycloak.url) ?? requestAdminToken(keycloak);
    adminTokens.set(keycloak.url, token);
    return sendRequest(`${keycloak.url}/admin/realms${path}`, {
      method: method ?? (json === undefined ? 'GET' : 'POST'),
      headers: { Authorization: `Bearer ${await token}` },
      ...(json === undefined ? {} : { json }),
      ca: keycloak.pki.ca,
    });
  };
  let response = await send();
  if (response.status === 401) {
    // The token has expired.
    adminTokens.delete(keycloak.url);
    response = await send();
  }
  if (response.status > 299)
    throw new Error(`${method ?? ''} ${path} at Keycloak gave ${response.status}: ${response.body}`);
  return response;
}
