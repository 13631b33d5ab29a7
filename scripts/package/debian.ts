/**
 * Makes a package for Debian and Ubuntu. It contains the executable and a second name for it, so that kubectl finds it
 * as `kubectl keystone-auth`. dpkg-deb writes the same bytes for the same files if SOURCE_DATE_EPOCH is set.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { PROJECT } from '../lib/project.ts';
import { debianPackagePath } from './package-paths.ts';
import { findSourceDate, PROGRAM_NAME, SUMMARY } from './product.ts';
import { layOutFiles, setPermissions } from './system-files.ts';
import type { PackageDocuments } from './system-files.ts';
import { executablePath } from './targets.ts';
import type { Target } from './targets.ts';

const run = promisify(execFile);

function renderControl(architecture: string, version: string, libraries: string, bytes: number): string {
  return `Package: ${PROGRAM_NAME}
Version: ${version}
Architecture: ${architecture}
Maintainer: ${PROJECT.authors} <${PROJECT.email}>
Installed-Size: ${Math.ceil(bytes / 1024)}
Depends: ${libraries}
Section: admin
Priority: optional
Homepage: ${PROJECT.homepage}
Description: ${SUMMARY}
 A credential plugin for kubectl. It logs in to Keystone with an openrc, flags or
 prompts, caches the token, and returns it to kubectl.
`;
}

/** Makes the package of a target. The target needs an executable and a `debianArchitecture`. */
export async function makeDebianPackage(target: Target, version: string, documents: PackageDocuments): Promise<string> {
  const executable = executablePath(target);
  const path = debianPackagePath(target, version);
  const root = await mkdtemp(join(dirname(path), '.deb-'));
  try {
    const documentation = join(root, 'usr/share/doc', PROGRAM_NAME);
    await layOutFiles(root, executable, documents, 'vendor-completions');
    await mkdir(documentation, { recursive: true });
    await mkdir(join(root, 'DEBIAN'));
    await copyFile(documents.licensesFile, join(documentation, 'THIRD-PARTY-LICENSES.txt'));
    await writeFile(join(documentation, 'copyright'), await readFile('LICENSE'));
    const { size } = await stat(executable);
    const control = renderControl(target.debianArchitecture ?? '', version, documents.libraries, size);
    await writeFile(join(root, 'DEBIAN/control'), control);
    await setPermissions(root);
    const options = ['--root-owner-group', '-Zxz', `-z${documents.xzLevel}`, '--build', root, path];
    await run('dpkg-deb', options, { env: { PATH: process.env['PATH'], SOURCE_DATE_EPOCH: findSourceDate() } });
    return path;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
