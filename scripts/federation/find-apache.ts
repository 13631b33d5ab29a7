// Finds a real Apache with mod_auth_openidc, which most clouds run in front of Keystone for federation.

import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { describeSystem, pathExists, findOrUnpack } from '../lib/debian-packages.ts';

export interface ApachePackages {
  readonly program: string;
  readonly modules: string;
  /** The variables that the program needs. */
  readonly env: Readonly<Record<string, string>>;
}

const run = promisify(execFile);
let search: Promise<ApachePackages | { missing: string }> | undefined;

/** Returns where Apache is, and unpacks it the first time. It announces that slow step with `say`. */
export function findApache(
  say: (line: string) => void = () => undefined,
): Promise<ApachePackages | { missing: string }> {
  return (search ??= searchApache(say));
}

async function searchApache(say: (line: string) => void): Promise<ApachePackages | { missing: string }> {
  // setpriv makes the kernel stop Apache when this process dies.
  if (!(await pathExists('/usr/bin/setpriv')))
    return { missing: '/usr/bin/setpriv (package util-linux) does not exist' };
  const what = 'Apache with mod_auth_openidc';
  const packages = ['apache2-bin', 'libapache2-mod-auth-openidc'];
  const answer = await findOrUnpack(
    { what, packages, folder: `apache-${await describeSystem()}`, canRun: hasApache },
    say,
  );
  return 'missing' in answer ? answer : locate(answer.root);
}

async function locate(root = '/'): Promise<ApachePackages> {
  const lib = join(root, 'usr/lib');
  const architectures = (await readdir(lib).catch(() => [])).filter((name) => name.includes('-linux-gnu'));
  const libraries = architectures.map((name) => join(lib, name)).join(':');
  return {
    program: join(root, 'usr/sbin/apache2'),
    modules: join(root, 'usr/lib/apache2/modules'),
    env: root === '/' ? {} : { LD_LIBRARY_PATH: libraries },
  };
}

/** Whether Apache can load the module and its libraries. */
async function hasApache(root: string | undefined): Promise<boolean> {
  const { program, modules, env } = await locate(root);
  const load = (name: string): string[] => ['-C', `LoadModule ${name}_module ${join(modules, `mod_${name}.so`)}`];
  const needed = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'auth_openidc'].flatMap(load);
  const args = ['-t', '-f', '/dev/null', '-C', 'ServerName localhost', '-C', 'ErrorLog /dev/null', ...needed];
  return run(program, args, { env, cwd: '/' }).then(
    () => true,
    () => false,
  );
}
