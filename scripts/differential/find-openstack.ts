// Finds real OpenStack clients for `npm run differential`: the one of the system's packages, and a newer one from pip.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { describeSystem, findOrUnpack } from '../lib/debian-packages.ts';
import { pathExists } from '../lib/path-exists.ts';
import { findPythonPackages } from '../lib/python-packages.ts';
import { describePython, PYTHON } from '../lib/python.ts';

/** A client that can be started. */
export interface OpenStackClient {
  /** For messages: `python-openstackclient 6.0.0`. */
  readonly label: string;
  readonly python: string;
  /** Where Python finds the client; undefined: in its default path. */
  readonly pythonPath: string | undefined;
}

/** A client, or why it is missing. */
export type FoundClient = OpenStackClient | { readonly missing: string };

const run = promisify(execFile);

/** Exits with 0 if the client can be imported, and prints its version. */
const VERSION_CHECK = [
  'import importlib.metadata as m, openstackclient.shell, openstack.config',
  'print(m.version("python-openstackclient"))',
].join('\n');

async function readVersion(python: string, pythonPath: string | undefined): Promise<string | undefined> {
  const env = pythonPath === undefined ? {} : { PYTHONPATH: pythonPath };
  return run(python, ['-s', '-c', VERSION_CHECK], { env, cwd: '/' }).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
}

const pathBelow = (root: string | undefined): string | undefined =>
  root === undefined ? undefined : join(root, 'usr/lib/python3/dist-packages');

async function describeClient(python: string, pythonPath: string | undefined): Promise<FoundClient> {
  const version = await readVersion(python, pythonPath);
  if (version === undefined) return { missing: 'it cannot be imported' };
  return { label: `python-openstackclient ${version}`, python, pythonPath };
}

/** Finds the client of the system's packages, and unpacks it the first time. It announces that slow step with `say`. */
export async function findPackagedClient(say: (line: string) => void): Promise<FoundClient> {
  if (!(await pathExists(PYTHON))) return { missing: `${PYTHON} does not exist` };
  const request = {
    what: 'the OpenStack client',
    packages: ['python3-openstackclient'],
    folder: `openstackclient-${await describeSystem()}-${await describePython()}`,
    canRun: async (root: string | undefined) => (await readVersion(PYTHON, pathBelow(root))) !== undefined,
  };
  const packages = await findOrUnpack(request, say);
  return 'missing' in packages ? packages : describeClient(PYTHON, pathBelow(packages.root));
}

/** The versions that the list of differences is about. A newer one needs a look at the list. */
const PINNED = ['python-openstackclient==10.5.0', 'openstacksdk==4.22.0', 'keystoneauth1==5.18.0', 'osc-lib'];

/** Finds a newer client in a virtual environment, and fills it with pip the first time. */
export async function findPipClient(say: (line: string) => void): Promise<FoundClient> {
  const packages = await findPythonPackages('openstackclient-pip-10.5', PINNED, say);
  return 'missing' in packages ? packages : describeClient(packages.python, undefined);
}
