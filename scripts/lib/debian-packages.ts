// Provides real servers for the tests and the demo from packages of Debian and Ubuntu. If a package is not installed,
// it is only unpacked into the user's cache, because an installation would need root and change the machine.

import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { fillCacheFolder, findDevelopmentCache } from './development-cache.ts';
import type { CacheStaging } from './development-cache.ts';
import { pathExists } from './path-exists.ts';

/** The root folder of the packages (undefined: the system itself), or why they are missing. */
export type UnpackedPackages = { root: string | undefined } | { missing: string };

/** Packages to find or unpack. */
export interface PackageRequest {
  /** The name in messages. */
  readonly what: string;
  readonly packages: readonly string[];
  /** Name of the folder, unique for the packages, the release and the processor. */
  readonly folder: string;
  /** Whether the program runs from below `root`, or as installed if `root` is undefined. */
  readonly canRun: (root: string | undefined) => Promise<boolean>;
}

const aptTimeoutMs = 600_000;

const run = promisify(execFile);

/** Returns where packages are, and unpacks them the first time. It announces that slow step with `say`. */
export async function findOrUnpack(request: PackageRequest, say: (line: string) => void): Promise<UnpackedPackages> {
  const { what, packages, canRun } = request;
  if (await canRun(undefined)) return { root: undefined };
  for (const tool of ['/usr/bin/apt-get', '/usr/bin/dpkg']) {
    if (!(await pathExists(tool)))
      return { missing: `${what} is not installed, and ${tool}, which could unpack it, does not exist` };
  }
  const root = join(findDevelopmentCache(), request.folder);
  if (await pathExists(root)) return { root };
  say(`Unpacking ${what} from packages of this system into ${root}, once …`);
  try {
    await fillCacheFolder(root, async ({ work, done }) => {
      await unpack(packages, { work, done });
      if (!(await canRun(done))) throw new PackageError(`${packages.join(' and ')} do not run on this machine`);
    });
    return { root };
  } catch (error) {
    if (error instanceof PackageError) return { missing: `${what} is not installed, and ${error.message}` };
    throw error;
  }
}

/** Describes what unpacked files depend on: the release and the processor. */
export async function describeSystem(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const valueOf = (key: string): string => new RegExp(`^${key}="?([^"\n]*)`, 'm').exec(release)?.[1] ?? 'unknown';
  const name = [valueOf('ID'), valueOf('VERSION_ID'), process.arch].join('-');
  return name.replaceAll(/[^\w.-]/g, '_');
}

/** Whether a program below `root`, or an installed one, runs with this argument. */
export async function canRunProgram(root: string | undefined, path: string, argument: string): Promise<boolean> {
  return run(join(root ?? '/', path), [argument], { cwd: '/' }).then(
    () => true,
    () => false,
  );
}

class PackageError extends Error {}

async function unpack(names: readonly string[], { work, done }: CacheStaging): Promise<void> {
  const lists = join(work, 'lists');
  await mkdir(join(work, 'archives/partial'), { recursive: true });
  await mkdir(join(lists, 'partial'), { recursive: true });
  const cache = ['-o', `Dir::Cache=${work}`, '-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User='];
  const install = ['install', '--yes', '--no-install-recommends', '--download-only', ...names];

  // The package lists of the system may be missing (as in most container images) or outdated.
  await runApt([...cache, ...install]).catch(async () => {
    const own = [...cache, '-o', `Dir::State::lists=${lists}`];
    await runApt([...own, 'update']);
    await runApt([...own, ...install]);
  });

  const archives = (await readdir(join(work, 'archives'))).filter((file) => file.endsWith('.deb'));
  for (const archive of archives) await run('/usr/bin/dpkg', ['-x', join(work, 'archives', archive), done]);
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
      // Without apt's progress lines.
      .filter((line) => line.trim() !== '' && !line.endsWith('...'))
      .slice(-5);
    throw new PackageError(['apt-get could not download it:', ...tail].join('\n  '));
  }
}
