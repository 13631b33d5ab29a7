// Finds a real Keystone for the tests and the demo.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { describeSystem, pathExists, findOrUnpack } from '../lib/debian-packages.ts';

/** Where Python finds Keystone (`pythonPath` undefined: without being told), or why there is none. */
export type KeystonePackages = { pythonPath: string | undefined } | { missing: string };

/** The system's own Python: Debian's packages are compiled for it, not for one from elsewhere in PATH. */
export const PYTHON = '/usr/bin/python3';

// `keystone` alone would also match an unrelated assembler of that name.
const importCheck = 'import importlib.util, sys; sys.exit(importlib.util.find_spec("keystone.server.wsgi") is None)';

const run = promisify(execFile);
let found: Promise<KeystonePackages> | undefined;

/** Returns where Keystone is, unpacking it first where no earlier run has; `say` hears about that slow step. */
export function findKeystone(say: (line: string) => void = () => undefined): Promise<KeystonePackages> {
  return (found ??= searchKeystone(say));
}

async function searchKeystone(say: (line: string) => void): Promise<KeystonePackages> {
  if (!(await pathExists(PYTHON))) return { missing: `there is no ${PYTHON}` };
  const folder = `keystone-${await describeSystem()}-${await describePython()}`;
  const wanted = { what: 'Keystone', packages: ['python3-keystone'], folder, canRun: hasKeystone };
  const packages = await findOrUnpack(wanted, say);
  return 'missing' in packages ? packages : { pythonPath: pythonPathBelow(packages.root) };
}

async function hasKeystone(root: string | undefined): Promise<boolean> {
  const pythonPath = pythonPathBelow(root);
  const env = pythonPath === undefined ? {} : { PYTHONPATH: pythonPath };
  return run(PYTHON, ['-s', '-c', importCheck], { env, cwd: '/' }).then(
    () => true,
    () => false,
  );
}

function pythonPathBelow(root: string | undefined): string | undefined {
  return root === undefined ? undefined : join(root, 'usr/lib/python3/dist-packages');
}

/** Compiled modules are for one version of Python. */
async function describePython(): Promise<string> {
  const version = 'import sys; print("py%d.%d" % sys.version_info[:2])';
  const { stdout } = await run(PYTHON, ['-s', '-c', version], { cwd: '/' });
  return stdout.trim();
}
