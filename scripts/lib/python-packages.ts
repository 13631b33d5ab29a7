// Finds packages of PyPI in a virtual environment in the user's cache, and installs them with pip the first time.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pathExists } from './path-exists.ts';
import { findDevelopmentCache, tryToFillCacheFolder } from './development-cache.ts';
import { describePython, PYTHON } from './python.ts';

/** The Python that has the packages, or why they are missing. */
export type PythonPackages = { readonly python: string } | { readonly missing: string };

const run = promisify(execFile);

/**
 * Finds packages.
 *
 * @param name of the folder, unique for the packages and their versions
 * @param packages what pip installs, such as `kubernetes==37.0.2`
 * @param say announces the installation, which is slow
 */
export async function findPythonPackages(
  name: string,
  packages: readonly string[],
  say: (line: string) => void = () => undefined,
): Promise<PythonPackages> {
  if (!(await pathExists(PYTHON))) return { missing: `${PYTHON} does not exist` };
  const folder = join(findDevelopmentCache(), `${name}-${await describePython()}`);
  const python = join(folder, 'bin/python');
  if (await pathExists(folder)) return { python };
  say(`Installing ${name} with pip into ${folder}, once …`);
  // Its scripts name the folder where it was prepared, so run them as arguments of its python.
  const failure = await tryToFillCacheFolder(folder, async ({ done }) => {
    await run(PYTHON, ['-m', 'venv', done]);
    await run(join(done, 'bin/python'), ['-m', 'pip', 'install', '--quiet', ...packages], {
      maxBuffer: 64 * 1024 * 1024,
    });
  });
  return failure === undefined ? { python } : { missing: `pip could not install ${name}: ${failure}` };
}
