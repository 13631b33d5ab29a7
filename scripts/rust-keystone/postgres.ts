// Runs a private PostgreSQL, which only a socket in a folder of its own leads to.

import { execFile, spawn } from 'node:child_process';
import { chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { endWithProcess, START_TIMEOUT_MS } from '../lib/server-process.ts';
import type { PostgresPrograms } from './find-rust-keystone.ts';

export interface Postgres {
  /** The URL of an empty database. */
  readonly url: string;
  /** Runs a statement of SQL. */
  execute(statement: string): Promise<void>;
  stop(): Promise<void>;
}

const run = promisify(execFile);

/** The user `nobody`, who owns no other files. */
const NOBODY = 65_534;
const USER = 'keystone';
const READY = 'database system is ready to accept connections';

/** How to run a program as someone else. */
interface OtherUser {
  readonly command: readonly string[];
  /** Who must own the files; undefined means this user. */
  readonly owner: number | undefined;
}

/** A user namespace, in which root has another number, and owns its files nevertheless. */
const IN_NAMESPACE: OtherUser = {
  command: ['unshare', '--map-user', String(NOBODY), '--map-group', String(NOBODY)],
  owner: undefined,
};

/** For a machine without user namespaces. This user cannot run programs in the home of root. */
const AS_NOBODY: OtherUser = {
  command: ['setpriv', '--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'],
  owner: NOBODY,
};

/** Returns how to run PostgreSQL, which refuses to run as root. */
async function findUser(): Promise<OtherUser> {
  if (process.getuid?.() !== 0) return { command: [], owner: undefined };
  const [program = '', ...args] = IN_NAMESPACE.command;
  return run(program, [...args, '/bin/true'], { cwd: '/' }).then(
    () => IN_NAMESPACE,
    () => AS_NOBODY,
  );
}

/**
 * Starts a server with one empty database, and waits until it accepts connections. It ends with `stop()`, or with this
 * process.
 *
 * @param dir a folder that does not exist, with a short path without special characters, because it is part of a URL and of the path of a socket
 */
export async function startPostgres(programs: PostgresPrograms, dir: string): Promise<Postgres> {
  await mkdir(dir, { mode: 0o700 });
  const { command, owner } = await findUser();
  if (owner !== undefined) await chown(dir, owner, owner);
  const asUser = (name: string, args: readonly string[]): [string, string[]] => {
    const [program = '', ...words] = [...command, join(programs.folder, name), ...args];
    return [program, words];
  };
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    LC_ALL: 'C.UTF-8',
    ...(programs.serverLibraries === undefined ? {} : { LD_LIBRARY_PATH: programs.serverLibraries }),
  };
  const data = join(dir, 'data');
  const [initialize, initializeArgs] = asUser('initdb', [
    ...['--pgdata', data, '--username', USER, '--auth', 'trust', '--encoding', 'UTF8', '--no-sync'],
  ]);
  await run(initialize, initializeArgs, { env, cwd: '/', timeout: START_TIMEOUT_MS });
  const settings = {
    listen_addresses: '',
    unix_socket_directories: dir,
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    shared_buffers: '16MB',
  };
  const [program, args] = asUser('postgres', [
    ...['-D', data],
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]);
  const child = spawn(program, args, { env, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
  // PostgreSQL's immediate shutdown: nothing is kept.
  const stop = endWithProcess(child, { signal: 'SIGQUIT' });
  await new Promise<void>((resolve, reject) => {
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      if (log.includes(READY)) resolve();
    });
    child.once('error', reject).once('exit', () => {
      reject(new Error(`PostgreSQL ended:\n${log}`));
    });
  });
  const url = `postgresql://${USER}@localhost/postgres?host=${dir}`;
  const execute = async (statement: string): Promise<void> => {
    const options = ['--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1'];
    await run(join(programs.folder, 'psql'), [...options, '--dbname', url, '--command', statement], { env, cwd: '/' });
  };
  return { url, execute, stop };
}
