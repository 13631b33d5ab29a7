/**
 * Makes a package for Alpine. The executables need glibc, which Alpine does not have, so it contains the bundles for
 * Alpine's own Node, and is for every processor.
 *
 * Source: the apk-tools wiki, "Apk spec" (version 2): two gzip streams, of which the first is a tar without an end.
 */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gzip, gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import manifest from '../../package.json' with { type: 'json' };
import type { Bundle } from '../build.ts';
import { PROJECT } from '../lib/project.ts';
import { apkPath } from './package-paths.ts';
import { findSourceDate, KUBECTL_PLUGIN_NAME, PROGRAM_NAME, SUMMARY } from './product.ts';
import { listBundledComponents, renderLicenses } from './sbom.ts';
import type { PackageDocuments } from './system-files.ts';

type Member = { readonly path: string; readonly mode?: number } & (
  { readonly contents: Buffer } | { readonly link: string }
);

/** A tar ends with two empty blocks. */
const TAR_END_BYTES = 1_024;

const compress = promisify<Buffer, object, Buffer>(gzip);

const sha1 = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex');

const file = (path: string, contents: string | Buffer, mode = 0o644): Member => ({
  path,
  mode,
  contents: Buffer.from(contents),
});

/** Lists the folders above the members, the outer ones first. */
function listFolders(members: readonly Member[]): readonly string[] {
  const folders = new Set<string>();
  for (const { path } of members)
    for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) folders.add(folder);
  return [...folders].toSorted();
}

async function writeTar(members: readonly Member[], time: Date): Promise<Buffer> {
  const archive = pack();
  const written = buffer(archive);
  const common = { mtime: time, uid: 0, gid: 0, uname: 'root', gname: 'root' };
  for (const folder of listFolders(members)) archive.entry({ ...common, name: folder, type: 'directory', mode: 0o755 });
  for (const member of members) {
    if ('link' in member) {
      const pax = { 'APK-TOOLS.checksum.SHA1': sha1(Buffer.from(member.link)) };
      archive.entry({ ...common, name: member.path, type: 'symlink', linkname: member.link, mode: 0o777, pax });
    } else {
      const pax = { 'APK-TOOLS.checksum.SHA1': sha1(member.contents) };
      archive.entry({ ...common, name: member.path, mode: member.mode ?? 0o644, pax }, member.contents);
    }
  }
  archive.finalize();
  return written;
}

/** apk knows only some words after a dash, so a prerelease is one of them. */
function toApkVersion(version: string): string {
  const [numbers = '', suffix] = version.split(/-(.*)/s);
  const [, word = 'pre', count = ''] = /^(alpha|beta|pre|rc)?\D*(\d*)/.exec(suffix ?? '') ?? [];
  return `${numbers}${suffix === undefined ? '' : `_${word}${count}`}-r0`;
}

/**
 * Makes the package. It is not signed.
 *
 * @param bundles those of the plugin
 */
export async function makeApk(
  version: string,
  bundles: readonly Bundle[],
  { manPage, completions }: Pick<PackageDocuments, 'manPage' | 'completions'>,
): Promise<string> {
  const library = `usr/lib/${PROGRAM_NAME}`;
  const program = `../lib/${PROGRAM_NAME}/${PROGRAM_NAME}.cjs`;
  const main = `${PROGRAM_NAME}.cjs`;
  const licenses = renderLicenses(PROGRAM_NAME, await listBundledComponents(bundles));
  const members: readonly Member[] = [
    { path: `usr/bin/${PROGRAM_NAME}`, link: program },
    { path: `usr/bin/${KUBECTL_PLUGIN_NAME}`, link: program },
    ...(await Promise.all(
      bundles.map(async ({ name }) =>
        file(`${library}/${name}`, await readFile(join('dist', name)), name === main ? 0o755 : 0o644),
      ),
    )),
    file(`usr/share/man/man1/${PROGRAM_NAME}.1.gz`, gzipSync(manPage, { level: 9 })),
    file(`usr/share/bash-completion/completions/${PROGRAM_NAME}`, completions.bash),
    file(`usr/share/zsh/site-functions/_${PROGRAM_NAME}`, completions.zsh),
    file(`usr/share/fish/vendor_completions.d/${PROGRAM_NAME}.fish`, completions.fish),
    file(`usr/share/licenses/${PROGRAM_NAME}/LICENSE`, await readFile('LICENSE')),
    file(`usr/share/licenses/${PROGRAM_NAME}/THIRD-PARTY-LICENSES.txt`, licenses),
  ];
  const seconds = findSourceDate();
  const time = new Date(Number(seconds) * 1_000);
  const data = await compress(await writeTar(members, time), { level: 9 });
  const size = members.reduce((sum, member) => sum + ('contents' in member ? member.contents.length : 0), 0);
  const info = `pkgname = ${PROGRAM_NAME}
pkgver = ${toApkVersion(version)}
pkgdesc = ${SUMMARY}
url = ${PROJECT.homepage}
builddate = ${seconds}
packager = ${PROJECT.authors} <${PROJECT.email}>
size = ${size}
arch = noarch
origin = ${PROGRAM_NAME}
license = Apache-2.0
depend = nodejs${manifest.engines.node}
provides = cmd:${PROGRAM_NAME}=${toApkVersion(version)}
provides = cmd:${KUBECTL_PLUGIN_NAME}=${toApkVersion(version)}
datahash = ${createHash('sha256').update(data).digest('hex')}
`;
  const control = await writeTar([file('.PKGINFO', info)], time);
  const first = await compress(control.subarray(0, control.length - TAR_END_BYTES), { level: 9 });
  const path = apkPath(version);
  await writeFile(path, Buffer.concat([first, data]));
  return path;
}
