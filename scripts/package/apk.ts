/**
 * Makes a package for Alpine. It is not signed.
 *
 * Source: the apk-tools wiki, "Apk spec" (version 2): two gzip streams, of which the first is a tar without an end.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import { PROJECT } from '../lib/project.ts';
import { compressWithGzip } from './archive-formats.ts';
import { apkPath, toApkVersion } from './package-paths.ts';
import { findSourceDate, KUBECTL_PLUGIN_NAME, PROGRAM_NAME, SUMMARY } from './product.ts';
import { copyLicenses, layOutFiles } from './system-files.ts';
import type { PackageDocuments } from './system-files.ts';
import { executablePath } from './targets.ts';
import type { Target } from './targets.ts';

type Member = { readonly path: string } & (
  { readonly folder: true } | { readonly link: string } | { readonly contents: Buffer; readonly mode: number }
);

/** A tar ends with two empty blocks. */
const TAR_END_BYTES = 1_024;

/** What the executable needs besides musl, as a package of Alpine provides it. */
const LIBRARY = 'so:libstdc++.so.6';

/** Reads what is below a folder. A folder comes before what it contains. */
async function readMembers(root: string, program: string): Promise<readonly Member[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const members = entries.map(async (entry): Promise<Member> => {
    const file = join(entry.parentPath, entry.name);
    const path = relative(root, file);
    if (entry.isDirectory()) return { path, folder: true };
    if (entry.isSymbolicLink()) return { path, link: await readlink(file) };
    return { path, contents: await readFile(file), mode: path === program ? 0o755 : 0o644 };
  });
  return (await Promise.all(members)).toSorted((one, other) => (one.path < other.path ? -1 : 1));
}

/** apk compares each file, and the target of each link, with its checksum. */
const describeContents = (contents: string | Buffer): { readonly pax: Record<string, string> } => ({
  pax: { 'APK-TOOLS.checksum.SHA1': createHash('sha1').update(contents).digest('hex') },
});

async function writeTar(members: readonly Member[], time: Date): Promise<Buffer> {
  const archive = pack();
  const written = buffer(archive);
  for (const member of members) {
    const entry = { name: member.path, mtime: time, uid: 0, gid: 0, uname: 'root', gname: 'root' };
    if ('folder' in member) archive.entry({ ...entry, type: 'directory', mode: 0o755 });
    else if ('link' in member)
      archive.entry({
        ...entry,
        ...describeContents(member.link),
        type: 'symlink',
        linkname: member.link,
        mode: 0o777,
      });
    else archive.entry({ ...entry, ...describeContents(member.contents), mode: member.mode }, member.contents);
  }
  archive.finalize();
  return written;
}

const sizeOf = (member: Member): number => ('contents' in member ? member.contents.length : 0);

function renderInfo(architecture: string, version: string, size: number, data: Buffer): string {
  const apkVersion = toApkVersion(version);
  return `pkgname = ${PROGRAM_NAME}
pkgver = ${apkVersion}
pkgdesc = ${SUMMARY}
url = ${PROJECT.homepage}
builddate = ${findSourceDate()}
packager = ${PROJECT.authors} <${PROJECT.email}>
size = ${size}
arch = ${architecture}
origin = ${PROGRAM_NAME}
license = Apache-2.0
depend = so:libc.musl-${architecture}.so.1
depend = ${LIBRARY}
provides = cmd:${PROGRAM_NAME}=${apkVersion}
provides = cmd:${KUBECTL_PLUGIN_NAME}=${apkVersion}
datahash = ${createHash('sha256').update(data).digest('hex')}
`;
}

/** Makes the package of a target. The target needs an executable and an `apkArchitecture`. */
export async function makeApk(target: Target, version: string, documents: PackageDocuments): Promise<string> {
  const path = apkPath(target, version);
  const root = await mkdtemp(join(dirname(path), '.apk-'));
  try {
    await layOutFiles(root, executablePath(target), documents, 'site-functions');
    await copyLicenses(root, documents.licensesFile);

    const members = await readMembers(root, `usr/bin/${PROGRAM_NAME}`);
    const time = new Date(Number(findSourceDate()) * 1_000);
    const data = await compressWithGzip(await writeTar(members, time));
    const size = members.reduce((sum, member) => sum + sizeOf(member), 0);
    const info = renderInfo(target.apkArchitecture ?? '', version, size, data);
    const control = await writeTar([{ path: '.PKGINFO', contents: Buffer.from(info), mode: 0o644 }], time);
    const first = await compressWithGzip(control.subarray(0, control.length - TAR_END_BYTES));
    await writeFile(path, Buffer.concat([first, data]));
    return path;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
