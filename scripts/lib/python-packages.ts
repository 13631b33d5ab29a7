// Finds packages of PyPI in a virtual environment in the user's cache, and installs them with pip the first time.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { pathExists } from './debian-packages.ts';
import { findDevelopmentCache } from './development-cache.ts';

/** The Python that has the packages, or why they are missing. */
export type PythonPackages = { readonly python: string } | { readonly missing: string };

const SYSTEM_PYTHON = '/usr/bin/python3';

const run = promisify(execFile);

/**
 * Finds packages.
 *
 * @param name of the folder, unique for the packages and their versions
 * @param packages what pip installs, such as `kubernetes==37.0.2`
 */
export async function findPythonPackages(name: string, packages: readonly string[]): Promise<PythonPackages> {
  if (!(await pathExists(SYSTEM_PYTHON))) return { missing: `${SYSTEM_PYTHON} does not exist` };
  const { stdout } = await run(SYSTEM_PYTHON, ['-s', '-c', 'import sys; print("py%d.%d" % sys.version_info[:2])']);
  const folder = join(findDevelopmentCache(), `${name}-${stdout.trim()}`);
  const python = join(folder, 'bin/python');
  if (await pathExists(folder)) return { python };
  await mkdir(dirname(folder), { recursive: true });
  // It is moved when it is complete. Its scripts name the old folder, so run them as arguments of its python.
  const staging = await mkdtemp(join(dirname(folder), `.${name}-`));
  try {
    await run(SYSTEM_PYTHON, ['-m', 'venv', staging]);
    await run(join(staging, 'bin/python'), ['-m', 'pip', 'install', '--quiet', ...packages], {
      maxBuffer: 64 * 1024 * 1024,
    });
    await rename(staging, folder);
    return { python };
  } catch (error) {
    const detail = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    return { missing: `pip could not install ${packages.join(', ')}: ${detail.trim().split('\n').at(-1) ?? ''}` };
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}
