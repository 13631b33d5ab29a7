/**
 * A package for Debian and Ubuntu: the executable, and its second name, by which kubectl finds it as `kubectl keystone-auth`.
 * Made by dpkg-deb, which writes the same bytes for the same files when SOURCE_DATE_EPOCH tells it the time.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { findSourceDate, PROGRAM_NAME, SUMMARY } from './product.ts';
import { layOutFiles, setPermissions } from './system-files.ts';
import type { PackageDocuments } from './system-files.ts';
import { executablePath } from './targets.ts';
import type { Target } from './targets.ts';

const run = promisify(execFile);

function renderControl(architecture: string, version: string, bytes: number): string {
  return `Package: ${PROGRAM_NAME}
Version: ${version}
Architecture: ${architecture}
Maintainer: The authors of client-keystone-auth <nobody@localhost>
Installed-Size: ${Math.ceil(bytes / 1024)}
Depends: libc6 (>= 2.28), libstdc++6 (>= 9)
Section: admin
Priority: optional
Description: ${SUMMARY}
 A credential plugin for kubectl: it exchanges an openrc, flags or answers for a
 Keystone token, keeps the token while it lives, and hands it to kubectl.
`;
}

/** The file that a target's package is written to. */
export function debianPackagePath(target: Target, version: string): string {
  return `out/${target.name}/${PROGRAM_NAME}_${version}_${target.debianArchitecture ?? ''}.deb`;
}

/** Makes the package of a target for which there is an executable and a name of Debian's. */
export async function makeDebianPackage(target: Target, version: string, documents: PackageDocuments): Promise<string> {
  const executable = executablePath(target);
  const path = debianPackagePath(target, version);
  const root = await mkdtemp(join(dirname(path), '.deb-'));
  try {
    const texts = join(root, 'usr/share/doc', PROGRAM_NAME);
    await layOutFiles(root, executable, documents, 'vendor-completions');
    await mkdir(texts, { recursive: true });
    await mkdir(join(root, 'DEBIAN'));
    await copyFile(documents.licensesFile, join(texts, 'THIRD-PARTY-LICENSES.txt'));
    await writeFile(join(texts, 'copyright'), await readFile('LICENSE'));
    const { size } = await stat(executable);
    await writeFile(join(root, 'DEBIAN/control'), renderControl(target.debianArchitecture ?? '', version, size));
    await setPermissions(root);
    // Little is won by packing harder: nearly all of it is Node.
    const options = ['--root-owner-group', '-Zxz', '-z1', '--build', root, path];
    await run('dpkg-deb', options, { env: { PATH: process.env['PATH'], SOURCE_DATE_EPOCH: findSourceDate() } });
    return path;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
