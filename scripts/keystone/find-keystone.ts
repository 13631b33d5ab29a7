// Finds a real Keystone for the tests and the demo.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { describeSystem, findOrUnpack } from '../lib/debian-packages.ts';
import { pathExists } from '../lib/path-exists.ts';
import { describePython, PYTHON } from '../lib/python.ts';

/** Where Keystone and what it depends on are. */
export interface FoundKeystone {
  /** Where Python finds it; undefined means its default path. */
  readonly pythonPath: string | undefined;
  /** The root folder of the packages; undefined means the system itself. */
  readonly root: string | undefined;
}

/** Where Keystone is, or why it is missing. */
export type KeystonePackages = FoundKeystone | { missing: string };

// `keystone` alone would also match an unrelated assembler with that name.
const importCheck = 'import importlib.util, sys; sys.exit(importlib.util.find_spec("keystone.server.wsgi") is None)';

const run = promisify(execFile);
let found: Promise<KeystonePackages> | undefined;

/** Returns where Keystone is, and unpacks it the first time. It announces that slow step with `say`. */
export function findKeystone(say: (line: string) => void = () => undefined): Promise<KeystonePackages> {
  return (found ??= searchKeystone(say));
}

async function searchKeystone(say: (line: string) => void): Promise<KeystonePackages> {
  if (!(await pathExists(PYTHON))) return { missing: `${PYTHON} does not exist` };
  const folder = `keystone-${await describeSystem()}-${await describePython()}`;
  const wanted = { what: 'Keystone', packages: ['python3-keystone'], folder, canRun: hasKeystone };
  const packages = await findOrUnpack(wanted, say);
  return 'missing' in packages ? packages : { pythonPath: pythonPathBelow(packages.root), root: packages.root };
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
