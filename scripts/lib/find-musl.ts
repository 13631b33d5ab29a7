/**
 * Finds the libraries of a bare system with musl, such as Alpine: musl, libstdc++ and libgcc. musl is Debian's package. The
 * other two come from a wheel of PyPI for Alpine, which carries them, because Debian's are compiled for glibc.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describeSystem } from './debian-packages.ts';
import { pathExists } from './path-exists.ts';
import { findDevelopmentCache, tryToFillCacheFolder } from './development-cache.ts';
import { downloadPackages } from './download-packages.ts';
import { PYTHON } from './python.ts';
import { readZipMember } from './read-archive.ts';

interface Source {
  /** The processor, as Debian and as musl name it. */
  readonly architecture: string;
  readonly machine: string;
  /** The wheel's checksum, and the names of its libraries. */
  readonly sha256: string;
  readonly libgcc: string;
  readonly libstdcxx: string;
}

const WHEEL = { name: 'greenlet', version: '3.5.6', python: '312', libraries: 'greenlet.libs' };

const SOURCES = {
  x64: {
    architecture: 'amd64',
    machine: 'x86_64',
    sha256: '3dbb4596a6a4e5d47121a33ff20533a81e60f302d9e67b69909a8bc21a43f0a7',
    libgcc: 'libgcc_s-0cd532bd.so.1',
    libstdcxx: 'libstdc++-5d72f927.so.6.0.33',
  },
  arm64: {
    architecture: 'arm64',
    machine: 'aarch64',
    sha256: '0616b8f878098c5681fd8f0dc92d887551717402342a70f0abcbfea5f5ad8a44',
    libgcc: 'libgcc_s-2d945d6c.so.1',
    libstdcxx: 'libstdc++-85f2cd6d.so.6.0.33',
  },
} satisfies Record<string, Source>;

/**
 * The releases whose musl is older than 1.2.4, and the next release. Such a musl cannot load libraries with compact
 * relocations (DT_RELR), which today's libraries have.
 */
const NEXT_RELEASES: readonly (readonly [system: string, release: string])[] = [['debian-12-', 'trixie']];

/** The folder that has the libraries, in `lib` and `usr/lib`, or why they are missing. */
export type MuslLibraries = { readonly root: string } | { readonly missing: string };

const run = promisify(execFile);

async function placeMusl({ architecture, machine }: Source, root: string, work: string): Promise<void> {
  const system = await describeSystem();
  const release = NEXT_RELEASES.find(([prefix]) => system.startsWith(prefix))?.[1];
  await mkdir(work);
  const packages = [`musl:${architecture}`];
  const [file = ''] = await downloadPackages(work, { packages, architecture, ...(release && { release }) });
  await run('dpkg-deb', ['--extract', file, join(work, 'musl')]);
  const loader = `ld-musl-${machine}.so.1`;
  await copyFile(join(work, `musl/usr/lib/${machine}-linux-musl/libc.so`), join(root, 'lib', loader));
  await symlink(loader, join(root, `lib/libc.musl-${machine}.so.1`));
}

async function downloadWheel({ machine, sha256 }: Source, work: string): Promise<Buffer> {
  await run(PYTHON, ['-m', 'venv', work]);
  const requirements = join(work, 'requirements.txt');
  await writeFile(requirements, `${WHEEL.name}==${WHEEL.version} --hash=sha256:${sha256}\n`);
  const platform = ['--only-binary=:all:', '--platform', `musllinux_1_2_${machine}`, '--python-version', WHEEL.python];
  const what = ['--quiet', '--no-deps', '--require-hashes', '--requirement', requirements];
  await run(join(work, 'bin/python'), ['-m', 'pip', 'download', ...what, ...platform, '--dest', join(work, 'wheel')]);
  const [wheel = ''] = await readdir(join(work, 'wheel'));
  return readFile(join(work, 'wheel', wheel));
}

async function placeLibraries(source: Source, root: string, work: string): Promise<void> {
  const wheel = await downloadWheel(source, work);
  const folder = join(root, 'usr/lib');
  const place = async (member: string, name: string): Promise<void> => {
    await writeFile(join(folder, name), await readZipMember(wheel, `${WHEEL.libraries}/${member}`));
  };
  await place(source.libgcc, 'libgcc_s.so.1');
  await place(source.libstdcxx, 'libstdc++.so.6');
  // The libraries of a wheel need each other by their own names.
  await symlink('libgcc_s.so.1', join(folder, source.libgcc));
}

/** Finds the libraries for a processor, and fetches them the first time. */
export async function findMusl(processor: keyof typeof SOURCES): Promise<MuslLibraries> {
  const name = `musl-${processor}-${WHEEL.name}-${WHEEL.version}-${await describeSystem()}`;
  const root = join(findDevelopmentCache(), name);
  if (await pathExists(root)) return { root };
  for (const tool of ['/usr/bin/apt-get', '/usr/bin/dpkg-deb', PYTHON])
    if (!(await pathExists(tool))) return { missing: `musl is not available without ${tool}` };
  const failure = await tryToFillCacheFolder(root, async ({ work, done }) => {
    for (const folder of ['lib', 'usr/lib']) await mkdir(join(done, folder), { recursive: true });
    await placeMusl(SOURCES[processor], done, join(work, 'musl'));
    await placeLibraries(SOURCES[processor], done, join(work, 'wheel'));
  });
  return failure === undefined ? { root } : { missing: `musl could not be fetched: ${failure}` };
}
