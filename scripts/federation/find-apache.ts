// Finds a real Apache with a module for federation, which clouds run in front of Keystone.

import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { describeSystem, findOrUnpack } from '../lib/debian-packages.ts';
import { pathExists } from '../lib/path-exists.ts';

export interface ApachePackages {
  readonly program: string;
  readonly modules: string;
  /** The variables that the program needs. */
  readonly env: Readonly<Record<string, string>>;
}

/** A module that checks who logs in. */
export type ApacheModule = 'auth_openidc' | 'auth_gssapi' | 'auth_mellon';

interface ModulePackage {
  readonly name: string;
  /** What the name of the folder in the cache starts with. */
  readonly folder: string;
}

const packages: Readonly<Record<ApacheModule, ModulePackage>> = {
  auth_openidc: { name: 'libapache2-mod-auth-openidc', folder: 'apache' },
  auth_gssapi: { name: 'libapache2-mod-auth-gssapi', folder: 'apache-gssapi' },
  auth_mellon: { name: 'libapache2-mod-auth-mellon', folder: 'apache-mellon' },
};

const run = promisify(execFile);
const searches = new Map<ApacheModule, Promise<ApachePackages | { missing: string }>>();

/** Returns where Apache is, and unpacks it the first time. It announces that slow step with `say`. */
export function findApache(
  module: ApacheModule,
  say: (line: string) => void = () => undefined,
): Promise<ApachePackages | { missing: string }> {
  const search = searches.get(module) ?? searchApache(module, say);
  searches.set(module, search);
  return search;
}

async function searchApache(
  module: ApacheModule,
  say: (line: string) => void,
): Promise<ApachePackages | { missing: string }> {
  // setpriv makes the kernel stop Apache when this process dies.
  if (!(await pathExists('/usr/bin/setpriv')))
    return { missing: '/usr/bin/setpriv (package util-linux) does not exist' };
  const { name, folder } = packages[module];
  const answer = await findOrUnpack(
    {
      what: `Apache with mod_${module}`,
      packages: ['apache2-bin', name],
      folder: `${folder}-${await describeSystem()}`,
      canRun: (root) => hasApache(module, root),
    },
    say,
  );
  return 'missing' in answer ? answer : locate(answer.root);
}

async function locate(root = '/'): Promise<ApachePackages> {
  const lib = join(root, 'usr/lib');
  const architectures = (await readdir(lib).catch(() => [])).filter((name) => name.includes('-linux-gnu'));
  // liblasso, which mod_auth_mellon needs, is not in the folder of its architecture.
  const libraries = [...architectures.map((name) => join(lib, name)), lib].join(':');
  return {
    program: join(root, 'usr/sbin/apache2'),
    modules: join(root, 'usr/lib/apache2/modules'),
    env: root === '/' ? {} : { LD_LIBRARY_PATH: libraries },
  };
}

/** Whether Apache can load the module and its libraries. */
async function hasApache(module: ApacheModule, root: string | undefined): Promise<boolean> {
  const { program, modules, env } = await locate(root);
  const load = (name: string): string[] => ['-C', `LoadModule ${name}_module ${join(modules, `mod_${name}.so`)}`];
  const needed = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', module].flatMap(load);
  const args = ['-t', '-f', '/dev/null', '-C', 'ServerName localhost', '-C', 'ErrorLog /dev/null', ...needed];
  return run(program, args, { env, cwd: '/' }).then(
    () => true,
    () => false,
  );
}
