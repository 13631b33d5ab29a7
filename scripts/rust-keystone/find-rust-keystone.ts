// Finds the programs that run Rust Keystone for the tests: the published crate, which a script builds once, and a
// PostgreSQL, because Rust Keystone's first version has no other database that Python Keystone has too.

import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describeSystem, findOrUnpack } from '../lib/debian-packages.ts';
import { pathExists } from '../lib/path-exists.ts';
import { findDevelopmentCache } from '../lib/development-cache.ts';
import { PYTHON } from '../lib/python.ts';

/** The only version that is published. */
export const RUST_KEYSTONE_VERSION = '0.1.1';

/** Where the build writes. */
export interface RustKeystoneFolders {
  /** Complete if it exists. */
  readonly installed: string;
  /** What an interrupted build has made, for the next one. */
  readonly target: string;
  /** Locked during a build. */
  readonly lock: string;
}

/** Paths of the programs. */
export interface RustKeystonePrograms {
  readonly keystone: string;
  readonly database: string;
  readonly postgres: PostgresPrograms;
}

export interface PostgresPrograms {
  /** The folder of `initdb` and `postgres`. */
  readonly folder: string;
  /** Where their libraries are; undefined means the system's. */
  readonly serverLibraries: string | undefined;
  /** The folder in which Python finds psycopg2; undefined means its default path. */
  readonly pythonPath: string | undefined;
  /** Where psycopg2's libraries are; undefined means the system's. */
  readonly clientLibraries: string | undefined;
}

const run = promisify(execFile);

/** Returns where the build writes. */
export async function findRustKeystoneFolders(): Promise<RustKeystoneFolders> {
  const installed = join(
    findDevelopmentCache(),
    `rust-keystone-${RUST_KEYSTONE_VERSION}-debug-${await describeSystem()}`,
  );
  return { installed, target: `${installed}.target`, lock: `${installed}.lock` };
}

/** Whether a build runs now. */
export async function isBeingBuilt({ lock }: RustKeystoneFolders): Promise<boolean> {
  if (!(await pathExists(lock))) return false;
  return run('flock', ['--nonblock', lock, 'true']).then(
    () => false,
    () => true,
  );
}

/** Returns the paths of the programs. It does not build Keystone. */
export async function findRustKeystone(
  say: (line: string) => void,
): Promise<RustKeystonePrograms | { readonly missing: string; readonly isBeingBuilt: boolean }> {
  const folders = await findRustKeystoneFolders();
  if (!(await pathExists(folders.installed))) {
    if (await isBeingBuilt(folders))
      return { missing: 'the build of Rust Keystone has not finished yet', isBeingBuilt: true };
    const script = 'node scripts/setup.mjs scripts/build-rust-keystone.ts';
    return { missing: `Rust Keystone is not built; run "${script}"`, isBeingBuilt: false };
  }
  const postgres = await findPostgres(say);
  if ('missing' in postgres) return { ...postgres, isBeingBuilt: false };
  const program = (name: string): string => join(folders.installed, 'bin', name);
  return { keystone: program('keystone'), database: program('keystone-db'), postgres };
}

const findLibraries = async (root: string | undefined): Promise<string | undefined> => {
  if (root === undefined) return undefined;
  const names = (await readdir(join(root, 'usr/lib'))).filter((name) => name.includes('-linux-gnu'));
  return names.map((name) => join(root, 'usr/lib', name)).join(':');
};

async function findPostgres(say: (line: string) => void): Promise<PostgresPrograms | { readonly missing: string }> {
  const system = await describeSystem();
  const server = await findOrUnpack(
    {
      what: 'PostgreSQL',
      packages: ['postgresql'],
      folder: `postgresql-${system}`,
      canRun: async (root) => runsServer(await findProgramFolder(root), await findLibraries(root)),
    },
    say,
  );
  if ('missing' in server) return server;
  const client = await findOrUnpack(
    {
      what: 'Python for PostgreSQL',
      packages: ['python3-psycopg2'],
      folder: `psycopg2-${system}`,
      canRun: async (root) => importsClient(findPythonPath(root), await findLibraries(root)),
    },
    say,
  );
  if ('missing' in client) return client;
  return {
    folder: (await findProgramFolder(server.root)) ?? '',
    serverLibraries: await findLibraries(server.root),
    pythonPath: findPythonPath(client.root),
    clientLibraries: await findLibraries(client.root),
  };
}

/** Finds the programs of the newest version below `root`. */
async function findProgramFolder(root: string | undefined): Promise<string | undefined> {
  const versions = join(root ?? '/', 'usr/lib/postgresql');
  const names = await readdir(versions).catch(() => []);
  const newest = names.toSorted((one, other) => Number(one) - Number(other)).at(-1);
  return newest === undefined ? undefined : join(versions, newest, 'bin');
}

const findPythonPath = (root: string | undefined): string | undefined =>
  root === undefined ? undefined : join(root, 'usr/lib/python3/dist-packages');

async function runsServer(folder: string | undefined, libraries: string | undefined): Promise<boolean> {
  if (folder === undefined || !(await pathExists(join(folder, 'initdb')))) return false;
  return runs(join(folder, 'postgres'), ['--version'], { LD_LIBRARY_PATH: libraries });
}

const importsClient = (pythonPath: string | undefined, libraries: string | undefined): Promise<boolean> =>
  runs(PYTHON, ['-s', '-c', 'import psycopg2'], { PYTHONPATH: pythonPath, LD_LIBRARY_PATH: libraries });

/** Whether a program succeeds. A variable that is undefined is not set. */
async function runs(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<boolean> {
  return run(program, args, { env, cwd: '/' }).then(
    () => true,
    () => false,
  );
}
