// Finds a real Keystone for the tests and the demo. Debian and Ubuntu package one; installing it would need root and
// change the machine, so where it is not installed its packages are only unpacked, into a folder of our own.

import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** Where Python finds Keystone (`pythonPath` undefined: without being told), or why there is none. */
export type KeystonePackages = { pythonPath: string | undefined } | { missing: string };

/** The system's own Python: Debian's packages are compiled for it, not for one from elsewhere in PATH. */
export const python = '/usr/bin/python3';

const aptTimeoutMs = 600_000;
const abandonedAfterMs = 3_600_000;
// `keystone` alone would also match an unrelated assembler of that name.
const importCheck = 'import importlib.util, sys; sys.exit(importlib.util.find_spec("keystone.server.wsgi") is None)';

const run = promisify(execFile);
let found: Promise<KeystonePackages> | undefined;

/** Returns where Keystone is, unpacking it first where no earlier run has; `say` hears about that slow step. */
export function findKeystone(say: (line: string) => void = () => undefined): Promise<KeystonePackages> {
  return (found ??= searchKeystone(say));
}

async function searchKeystone(say: (line: string) => void): Promise<KeystonePackages> {
  if (!(await exists(python))) return { missing: `there is no ${python}` };
  if (await hasKeystone(undefined)) return { pythonPath: undefined };
  for (const tool of ['/usr/bin/apt-get', '/usr/bin/dpkg']) {
    if (!(await exists(tool)))
      return { missing: `Keystone is not installed, and there is no ${tool} to unpack it with` };
  }
  const configured = process.env['XDG_CACHE_HOME'] ?? '';
  const home = configured === '' ? join(homedir(), '.cache') : configured;
  const folder = join(home, 'client-keystone-auth-dev', `keystone-${await describeSystem()}`);
  const pythonPath = join(folder, 'usr/lib/python3/dist-packages');
  // The folder appears complete or not at all, so its existence is enough.
  if (await exists(folder)) return { pythonPath };
  await mkdir(dirname(folder), { recursive: true });
  await removeAbandoned(folder);
  say(`Unpacking Keystone from this system's packages, once, into ${folder} …`);
  // A sibling of the target, so that the rename stays on one file system; and one of its own for each process.
  const staging = await mkdtemp(stagingPrefix(folder));
  try {
    await unpack('python3-keystone', staging);
    if (!(await hasKeystone(join(staging, 'usr/lib/python3/dist-packages')))) {
      return { missing: `the package python3-keystone holds no Keystone that ${python} can import` };
    }
    await rename(staging, folder).catch((error: unknown) => {
      // Another process was faster; its folder is as good.
      if (codeOf(error) !== 'ENOTEMPTY' && codeOf(error) !== 'EEXIST') throw error;
    });
    return { pythonPath };
  } catch (error) {
    if (error instanceof PackageError) return { missing: error.message };
    throw error;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

class PackageError extends Error {}

async function unpack(name: string, folder: string): Promise<void> {
  const work = join(folder, '.apt');
  const lists = join(work, 'lists');
  await mkdir(join(work, 'archives/partial'), { recursive: true });
  await mkdir(join(lists, 'partial'), { recursive: true });
  const cache = ['-o', `Dir::Cache=${work}`, '-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User='];
  const install = ['install', '--yes', '--no-install-recommends', '--download-only', name];

  // The system's own package lists may be absent (as in most container images) or too old for today's archive.
  await runApt([...cache, ...install]).catch(async () => {
    const own = [...cache, '-o', `Dir::State::lists=${lists}`];
    await runApt([...own, 'update']);
    await runApt([...own, ...install]);
  });

  const archives = (await readdir(join(work, 'archives'))).filter((file) => file.endsWith('.deb'));
  for (const archive of archives) await run('/usr/bin/dpkg', ['-x', join(work, 'archives', archive), folder]);
  await rm(work, { recursive: true });
}

async function runApt(args: string[]): Promise<void> {
  const env = { ...process.env, LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' };
  try {
    await run('/usr/bin/apt-get', args, { env, timeout: aptTimeoutMs, maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    const stdout = error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
    const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    const output = `${stdout}\n${stderr}`;
    const tail = output
      .split('\n')
      // Without apt's reports of progress.
      .filter((line) => line.trim() !== '' && !line.endsWith('...'))
      .slice(-5);
    throw new PackageError(['Keystone is not installed, and apt-get could not download it:', ...tail].join('\n  '));
  }
}

async function hasKeystone(pythonPath: string | undefined): Promise<boolean> {
  const env = pythonPath === undefined ? {} : { PYTHONPATH: pythonPath };
  return run(python, ['-s', '-c', importCheck], { env, cwd: '/' }).then(
    () => true,
    () => false,
  );
}

/** Names what the unpacked files depend on: the release, the processor and the version of Python. */
async function describeSystem(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const valueOf = (key: string): string => new RegExp(`^${key}="?([^"\n]*)`, 'm').exec(release)?.[1] ?? 'unknown';
  const version = 'import sys; print("py%d.%d" % sys.version_info[:2])';
  const { stdout } = await run(python, ['-s', '-c', version], { cwd: '/' });
  const name = [valueOf('ID'), valueOf('VERSION_ID'), process.arch, stdout.trim()].join('-');
  return name.replaceAll(/[^\w.-]/g, '_');
}

function stagingPrefix(folder: string): string {
  return join(dirname(folder), `.${basename(folder)}-`);
}

/** Removes what killed processes left, but nothing a living one may still be filling. */
async function removeAbandoned(folder: string): Promise<void> {
  const prefix = basename(stagingPrefix(folder));
  for (const name of await readdir(dirname(folder))) {
    if (!name.startsWith(prefix)) continue;
    const path = join(dirname(folder), name);
    const made = await stat(path).catch(() => undefined);
    if (made !== undefined && Date.now() - made.mtimeMs > abandonedAfterMs) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
