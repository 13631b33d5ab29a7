// Runs a real Kerberos realm on loopback: Debian's KDC, unpacked without root, with users and passwords. If it is not
// available, the tests that need it are skipped by name.

import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describeSystem, findOrUnpack } from '../../scripts/lib/debian-packages.ts';
import { pathExists } from '../../scripts/lib/path-exists.ts';
import type { UnpackedPackages } from '../../scripts/lib/debian-packages.ts';
import { PYTHON } from '../../scripts/lib/python.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { skipBecause } from './missing-tools.ts';
import { waitUntil } from './wait-until.ts';

const run = promisify(execFile);

const REALM = 'CKA.TEST';
const PASSWORD = 'canary-of-a-kerberos-password';
const PACKAGES = ['krb5-kdc', 'krb5-admin-server', 'krb5-user', 'python3-gssapi'];

export interface Realm {
  readonly name: string;
  /** Variables for all programs that use Kerberos. */
  readonly env: Readonly<Record<string, string>>;
  /** Variables for the web server, with its keytab. */
  readonly serverEnv: Readonly<Record<string, string>>;
  /** The folder in which Python finds gssapi. */
  readonly pythonPath: string;
  /** A folder for PATH that contains only klist. */
  readonly bin: string;
  /** Gets tickets for a user into a cache, such as `FILE:/path`. */
  kinit(user: string, cache: string): Promise<void>;
  /** Removes the tickets. */
  kdestroy(cache: string): Promise<void>;
  stop(): void;
}

/** The folders of the parts of Kerberos. */
interface Programs {
  readonly sbin: string;
  readonly bin: string;
  /** Contains the libraries. The database modules are below it. */
  readonly libraries: string;
  /** Where Python finds gssapi. */
  readonly pythonPath: string;
}

async function locate(root = '/'): Promise<Programs> {
  const lib = join(root, 'usr/lib');
  const folders = (await readdir(lib).catch(() => [])).filter((name) => name.includes('-linux-gnu'));
  return {
    sbin: join(root, 'usr/sbin'),
    bin: join(root, 'usr/bin'),
    libraries: join(lib, folders[0] ?? ''),
    pythonPath: join(root, 'usr/lib/python3/dist-packages'),
  };
}

async function hasKerberos(root: string | undefined): Promise<boolean> {
  const { sbin, bin, libraries, pythonPath } = await locate(root);
  const programs = ['krb5kdc', 'kadmin.local', 'kdb5_util'].map((name) => join(sbin, name));
  const files = [...programs, ...['kinit', 'klist', 'kdestroy'].map((name) => join(bin, name))];
  for (const file of [...files, join(libraries, 'krb5/plugins/kdb')]) if (!(await pathExists(file))) return false;
  return run(PYTHON, ['-s', '-c', 'import gssapi'], { env: { PYTHONPATH: pythonPath }, cwd: '/' }).then(
    () => true,
    () => false,
  );
}

async function findKerberos(): Promise<UnpackedPackages> {
  const what = 'Kerberos with a KDC and gssapi for Python';
  const folder = `kerberos-${await describeSystem()}`;
  return findOrUnpack({ what, packages: PACKAGES, folder, canRun: hasKerberos }, () => undefined);
}

/** Runs a program with input, such as a password. */
async function feed(file: string, args: readonly string[], env: NodeJS.ProcessEnv, input: string): Promise<void> {
  const child = spawn(file, args, { env, stdio: ['pipe', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  // A program that fails early does not read its input; its status tells that.
  child.stdin.on('error', () => undefined).end(input);
  const status = await new Promise((resolve) => child.once('close', resolve));
  if (status !== 0) throw new Error(`${file} ended with ${String(status)}: ${said}`);
}

async function waitForKdc(kdc: ChildProcess, tryOnce: () => Promise<void>): Promise<void> {
  await waitUntil('an answer of the KDC', async () => {
    try {
      await tryOnce();
      return true;
    } catch (error) {
      if (kdc.exitCode !== null) throw error;
      return false;
    }
  });
}

/**
 * Starts a realm in `dir` with these users and the service HTTP on 127.0.0.1 and localhost.
 *
 * @returns the realm, or the reason why it is not available
 */
export async function startKerberosRealm(dir: string, users: readonly string[]): Promise<Realm | { missing: string }> {
  const unpacked = await findKerberos();
  if ('missing' in unpacked) return { missing: skipBecause(unpacked.missing) };
  const programs = await locate(unpacked.root);
  const { libraries, pythonPath } = programs;
  const port = await findFreePort();
  const bin = join(dir, 'bin');
  await mkdir(bin, { recursive: true });
  const config = join(dir, 'krb5.conf');
  await writeFile(
    config,
    `[libdefaults]
default_realm = ${REALM}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
udp_preference_limit = 1
[realms]
${REALM} = {
  kdc = 127.0.0.1:${String(port)}
}
[domain_realm]
127.0.0.1 = ${REALM}
localhost = ${REALM}
[dbmodules]
db_module_dir = ${join(libraries, 'krb5/plugins/kdb')}
`,
  );
  const profile = join(dir, 'kdc.conf');
  await writeFile(
    profile,
    `[realms]
${REALM} = {
  database_name = ${join(dir, 'principal')}
  key_stash_file = ${join(dir, 'stash')}
  kdc_listen = 127.0.0.1:${String(port)}
  kdc_tcp_listen = 127.0.0.1:${String(port)}
  acl_file = ${join(dir, 'acl')}
}
[logging]
kdc = FILE:${join(dir, 'kdc.log')}
`,
  );
  const env = { KRB5_CONFIG: config };
  const keytab = join(dir, 'http.keytab');
  const own = { PATH: '/usr/bin:/bin', LC_ALL: 'C', LD_LIBRARY_PATH: libraries, KRB5_KDC_PROFILE: profile, ...env };
  const sbin = (name: string): string => join(programs.sbin, name);
  const program = (name: string): string => join(programs.bin, name);
  await run(sbin('kdb5_util'), ['create', '-s', '-W', '-r', REALM, '-P', 'master'], { env: own });
  const commands = [
    ...users.map((user) => `addprinc -pw ${PASSWORD} ${user}`),
    ...['127.0.0.1', 'localhost'].flatMap((host) => [
      `addprinc -randkey HTTP/${host}`,
      `ktadd -k ${keytab} HTTP/${host}`,
    ]),
  ];
  for (const command of commands) await run(sbin('kadmin.local'), ['-r', REALM, '-q', command], { env: own });
  const kdc = spawn(sbin('krb5kdc'), ['-n', '-r', REALM], { env: own, stdio: 'ignore' });
  const stop = (): void => void kdc.kill('SIGKILL');
  process.once('exit', stop);
  const kinit = (user: string, cache: string): Promise<void> =>
    feed(program('kinit'), ['-c', cache, user], own, `${PASSWORD}\n`);
  await waitForKdc(kdc, () => kinit(users[0] ?? '', `FILE:${join(dir, 'first')}`));
  await symlink(program('klist'), join(bin, 'klist'));
  return {
    name: REALM,
    env,
    serverEnv: { ...env, KRB5_KTNAME: `FILE:${keytab}` },
    pythonPath,
    bin,
    kinit,
    kdestroy: async (cache) => {
      await run(program('kdestroy'), ['-c', cache], { env: own });
    },
    stop,
  };
}
