import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The Python of the system. Debian's packages are compiled for it, and not for another Python in PATH. */
export const PYTHON = '/usr/bin/python3';

/** Names the version of Python, which compiled modules depend on, for a folder: `py3.11`. */
export async function describePython(): Promise<string> {
  const version = 'import sys; print("py%d.%d" % sys.version_info[:2])';
  const { stdout } = await promisify(execFile)(PYTHON, ['-s', '-c', version], { cwd: '/' });
  return stdout.trim();
}
