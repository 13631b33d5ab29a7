// Finds packages of PyPI in a virtual environment in the user's cache, and installs them with pip the first time.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { pathExists } from './debian-packages.ts';
import { findDevelopmentCache, moveIntoCache } from './development-cache.ts';
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
  await mkdir(dirname(folder), { recursive: true });
  // It is moved when it is complete. Its scripts name the old folder, so run them as arguments of its python.
  const staging = await mkdtemp(join(dirname(folder), `.${name}-`));
  try {
    await run(PYTHON, ['-m', 'venv', staging]);
    await run(join(staging, 'bin/python'), ['-m', 'pip', 'install', '--quiet', ...packages], {
      maxBuffer: 64 * 1024 * 1024,
    });
    await moveIntoCache(staging, folder);
    return { python };
  } catch (error) {
    const detail = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    return { missing: `pip could not install ${name}: ${detail.trim().split('\n').at(-1) ?? ''}` };
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}
