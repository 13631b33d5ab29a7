// Runs the published Rust Keystone for the tests, on loopback only. Python Keystone shares its database and keys: it
// makes the tables, the users and the projects.

import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startKeystone } from '../keystone/keystone.ts';
import type { Keystone } from '../keystone/keystone.ts';
import { listenOnLoopback } from '../lib/listen-on-loopback.ts';
import { PYTHON } from '../lib/python.ts';
import { endChild, readTail, START_TIMEOUT_MS, waitForPorts } from '../lib/server-process.ts';
import { startParts } from '../lib/start-parts.ts';
import type { RustKeystonePrograms } from './find-rust-keystone.ts';
import { startPostgres } from './postgres.ts';
import { listenAt, makeRelay } from './relay.ts';

export interface RustKeystoneOptions {
  readonly programs: RustKeystonePrograms;
  /** A folder that does not exist, with a short path. */
  readonly dir: string;
  /** Ports of loopback that Rust Keystone may connect to. */
  readonly reachablePorts: readonly number[];
}

export interface RustKeystone {
  /** Without `/v3`. */
  readonly url: string;
  /** Python Keystone with the same database and keys. */
  readonly python: Keystone;
  /** Returns the end of the log. */
  readLog(): Promise<string>;
  stop(): Promise<void>;
}

/** A build for debugging panics if a token is from a later one: it writes their bits as a number below 128. */
const MAX_METHODS = 7;
/** What Rust Keystone expects of the tables of a newer Python Keystone than Debian's. */
const NEWER_TABLES = ["ALTER TABLE mapping ADD COLUMN schema_version VARCHAR(5) NOT NULL DEFAULT '1.0'"];
const run = promisify(execFile);

/** How to get a network namespace: as any user, and as root where users may not have namespaces. */
const NAMESPACES = [['--map-root-user', '--net'], ['--net']] as const;

const inOwnNetwork = (namespace: readonly string[], command: readonly string[]): string[] => [
  ...namespace,
  PYTHON,
  join(import.meta.dirname, 'own-network.py'),
  ...command,
];

/** Returns the arguments of unshare that work on this machine; undefined if none do. */
async function findNamespace(): Promise<readonly string[] | undefined> {
  for (const namespace of NAMESPACES) {
    const works = await run('unshare', inOwnNetwork(namespace, ['/bin/true']), { cwd: '/' }).then(
      () => true,
      () => false,
    );
    if (works) return namespace;
  }
  return undefined;
}

/** Returns why this machine cannot give Rust Keystone a network of its own; undefined if it can. */
export async function findNetworkProblem(): Promise<string | undefined> {
  const namespace = await findNamespace();
  return namespace === undefined ? 'this machine allows no network namespace' : undefined;
}

/** The URL of a PostgreSQL for SQLAlchemy. */
const forPython = (url: string): string => url.replace('postgresql://', 'postgresql+psycopg2://');

/**
 * Starts PostgreSQL, Python Keystone and Rust Keystone. They end with `stop()`, or with this process.
 *
 * @throws Error if one of them does not start
 */
export async function startRustKeystone(options: RustKeystoneOptions): Promise<RustKeystone> {
  const { programs, dir, reachablePorts } = options;
  await mkdir(dir, { mode: 0o711 });
  const log = join(dir, 'rust-keystone.log');
  const readLog = (): Promise<string> => readTail(log);
  const start = startParts(async (onStop) => {
    const postgres = await startPostgres(programs.postgres, join(dir, 'pg'));
    onStop(() => postgres.stop());
    const { pythonPath, clientLibraries: libraryPath } = programs.postgres;
    const database = { url: forPython(postgres.url), pythonPath, libraryPath };
    const python = await startKeystone({ dir: join(dir, 'python'), database });
    onStop(() => python.stop());
    const config = await writeConfig(dir, python, postgres.url);
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' };
    await run(programs.database, ['--config', config, 'up'], { env, cwd: '/', timeout: START_TIMEOUT_MS });
    for (const statement of NEWER_TABLES) await postgres.execute(statement);

    const outputs: string[] = [];
    for (const port of reachablePorts) {
      const path = join(dir, `${port}.sock`);
      const server = makeRelay({ host: '127.0.0.1', port });
      await listenAt({ path }, server);
      onStop(() => close(server));
      outputs.push(`${port}=${path}`);
    }
    const socket = join(dir, 'keystone.sock');
    const entrance = makeRelay({ path: socket });
    const port = await listenOnLoopback(entrance);
    onStop(() => close(entrance));
    const namespace = (await findNamespace()) ?? [];
    const serve = [join(import.meta.dirname, 'serve.ts'), programs.keystone, config, socket, ...outputs];
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', ...serve];
    const child = startChild(inOwnNetwork(namespace, node), env, log);
    onStop(() => endChild(child));
    await waitForPorts(child);
    return { url: `http://127.0.0.1:${port}`, python, readLog };
  });
  return start.catch(async (error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Rust Keystone did not start: ${reason}\n${await readLog()}`, { cause: error });
  });
}

/** Writes a configuration with Python Keystone's keys, and with its methods, because a token has their numbers. */
async function writeConfig(dir: string, python: Keystone, databaseUrl: string): Promise<string> {
  const configuration = await readFile(join(python.dir, 'conf/keystone.conf'), 'utf8');
  const methods = (/^methods = (.*)$/m.exec(configuration)?.[1] ?? '').split(',').slice(0, MAX_METHODS);
  const path = join(dir, 'keystone.conf');
  const text = `[DEFAULT]
use_stderr = true
[auth]
methods = ${methods.join(',')}
[database]
connection = ${databaseUrl}
[fernet_tokens]
key_repository = ${join(python.dir, 'fernet-keys')}
[identity]
password_hash_rounds = 4
`;
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

function startChild(args: readonly string[], env: NodeJS.ProcessEnv, log: string): ChildProcess {
  const descriptor = openSync(log, 'a', 0o600);
  // The pipe to stdin closes when this process ends for any reason, and then the server ends.
  const child = spawn('unshare', args, { env, cwd: '/', stdio: ['pipe', 'pipe', descriptor] });
  closeSync(descriptor);
  return child;
}

async function close(server: Server): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
}
