/** The files of an image: a program, the libraries that it loads, and what a program expects of a system. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Target } from '../targets.ts';
import { fetchDebianPackages } from './debian-files.ts';
import type { DebianPackage } from './debian-files.ts';

/** The user and group of the program. Nothing in an image is for another one. */
export const IMAGE_USER = 65532;

export const IMAGE_HOME = '/home/nonroot';

export const CA_FILE = '/etc/ssl/certs/ca-certificates.crt';

/** A file, a folder or a symbolic link in an image. */
export type ImageMember = {
  /** Without a slash at the start. */
  readonly path: string;
  /** Root by default. */
  readonly owner?: number;
  /** 0755 for folders and programs by default, else 0644. */
  readonly mode?: number;
} & ({ readonly contents: Buffer } | { readonly link: string } | { readonly isFolder: true });

/** Libraries that a program with Node loads: itself, for C++, and to look up the names of hosts. */
const LIBRARIES =
  /^(?:ld-linux-[\w-]+\.so\.\d|lib(?:c|m|dl|pthread|rt|resolv|nss_dns|nss_files|gcc_s|stdc\+\+)\.so\.[\d.]+)$/;

const file = (path: string, contents: string | Buffer): ImageMember => ({ path, contents: Buffer.from(contents) });

/** Lists regular files and links below a folder. */
async function listFiles(root: string): Promise<readonly { readonly path: string; readonly isLink: boolean }[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map((entry) => ({
      path: join(entry.parentPath, entry.name).slice(root.length + 1),
      isLink: entry.isSymbolicLink(),
    }))
    .toSorted((one, other) => (one.path < other.path ? -1 : 1));
}

async function listLibraries({ root }: DebianPackage): Promise<readonly ImageMember[]> {
  const members: ImageMember[] = [];
  for (const { path, isLink } of await listFiles(root)) {
    if (!LIBRARIES.test(basename(path))) continue;
    if (isLink) members.push({ path, link: await readlink(join(root, path)) });
    else members.push({ path, mode: 0o755, contents: await readFile(join(root, path)) });
  }
  return members;
}

/** Joins the certificates of the authorities that Debian trusts. */
async function joinAuthorities({ root }: DebianPackage): Promise<Buffer> {
  const folder = join(root, 'usr/share/ca-certificates');
  const names = (await listFiles(folder)).filter(({ path }) => path.endsWith('.crt'));
  return Buffer.concat(await Promise.all(names.map(({ path }) => readFile(join(folder, path)))));
}

async function describePackage({ name, control, root }: DebianPackage): Promise<readonly ImageMember[]> {
  const copyright = `usr/share/doc/${name}/copyright`;
  const listed = await readFile(join(root, copyright)).catch(() => undefined);
  // libgcc-s1 and libstdc++6 have a link to the folder of gcc-12-base, which has the text.
  return [file(`var/lib/dpkg/status.d/${name}`, control), ...(listed === undefined ? [] : [file(copyright, listed)])];
}

/** Lists what the image of every program contains: libraries, certificates, a user, a home and a folder for temporary files. */
export async function listSystemFiles(target: Target): Promise<readonly ImageMember[]> {
  const packages = await fetchDebianPackages(target.debianArchitecture ?? '');
  const members = await Promise.all(
    packages.map(async (each) => [...(await listLibraries(each)), ...(await describePackage(each))]),
  );
  const authorities = packages.find(({ name }) => name === 'ca-certificates');
  return [
    ...members.flat(),
    ...(authorities === undefined ? [] : [file(CA_FILE.slice(1), await joinAuthorities(authorities))]),
    file('etc/passwd', `nonroot:x:${IMAGE_USER}:${IMAGE_USER}::${IMAGE_HOME}:/sbin/nologin\n`),
    file('etc/group', `nonroot:x:${IMAGE_USER}:\n`),
    file('etc/nsswitch.conf', 'hosts: files dns\n'),
    { path: IMAGE_HOME.slice(1), isFolder: true, owner: IMAGE_USER, mode: 0o700 },
    { path: 'tmp', isFolder: true, mode: 0o1777 },
    // For the mounts of a runtime, which cannot add folders to a read-only image.
    ...['dev', 'proc', 'sys'].map((path) => ({ path, isFolder: true }) as const),
  ];
}

/** Adds the folders that the members are in, and sorts all by path. */
export function completeFolders(members: readonly ImageMember[]): readonly ImageMember[] {
  const all = new Map(members.map((member) => [member.path, member]));
  for (const { path } of members)
    for (let folder = dirname(path); folder !== '.'; folder = dirname(folder))
      if (!all.has(folder)) all.set(folder, { path: folder, isFolder: true });
  return [...all.values()].toSorted((one, other) => (one.path < other.path ? -1 : 1));
}
