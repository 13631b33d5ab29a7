/**
 * Makes a package for Fedora, RHEL, SUSE and similar distributions, with the same files as Debian's. rpmbuild writes
 * the same bytes for the same files if time and host are set.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { PROJECT } from '../lib/project.ts';
import { rpmPath, toRpmVersion } from './package-paths.ts';
import { DESCRIPTION, findSourceDate, PROGRAM_NAME, SUMMARY } from './product.ts';
import { copyLicenses, layOutFiles, setPermissions } from './system-files.ts';
import type { PackageDocuments } from './system-files.ts';
import { executablePath } from './targets.ts';
import type { Target } from './targets.ts';

const run = promisify(execFile);

/** Overrides settings of the build machine: rpmbuild must not strip, compress or compile anything. */
function makeDefinitions(folder: string, xzLevel: number): string[] {
  const macros = {
    _topdir: folder,
    _tmppath: folder,
    _rpmdir: folder,
    _rpmfilename: 'package.rpm',
    _buildhost: 'localhost',
    _build_id_links: 'none',
    // Every version of rpm can unpack it.
    _binary_payload: `w${xzLevel}.xzdio`,
    debug_package: '%{nil}',
    __os_install_post: '%{nil}',
    use_source_date_epoch_as_buildtime: '1',
    clamp_mtime_to_source_date_epoch: '1',
    source_date_epoch_from_changelog: '0',
    optflags: '%{nil}',
  };
  return Object.entries(macros).flatMap(([name, value]) => ['--define', `${name} ${value}`]);
}

/** Breaks a text into lines that rpm's own check accepts. */
function wrapLines(text: string): string {
  return text.replaceAll(/(.{1,78})(?: |$)/g, '$1\n').trimEnd();
}

function renderSpec(version: string, root: string, paths: readonly string[]): string {
  const files = paths.map((path) => (path === `/usr/bin/${PROGRAM_NAME}` ? `%attr(0755,root,root) ${path}` : path));
  return `Name: ${PROGRAM_NAME}
Version: ${toRpmVersion(version)}
Release: 1
Summary: ${SUMMARY.charAt(0).toUpperCase()}${SUMMARY.slice(1)}
License: Apache-2.0
URL: ${PROJECT.homepage}
BugURL: ${PROJECT.issuesUrl}
Vendor: ${PROJECT.authors}
Packager: ${PROJECT.authors} <${PROJECT.email}>
AutoProv: no

%description
${wrapLines(DESCRIPTION)}

%install
cp -a '${root}/.' '%{buildroot}'

%files
%defattr(0644,root,root,0755)
${files.join('\n')}
%license /usr/share/licenses/${PROGRAM_NAME}/LICENSE
%license /usr/share/licenses/${PROGRAM_NAME}/THIRD-PARTY-LICENSES.txt
`;
}

/** Makes the package of a target. The target needs an executable and an `rpmArchitecture`. */
export async function makeRpm(target: Target, version: string, documents: PackageDocuments): Promise<string> {
  const path = rpmPath(target, version);
  const folder = resolve(await mkdtemp(join(dirname(path), '.rpm-')));
  try {
    const root = join(folder, 'files');
    const paths = await layOutFiles(root, executablePath(target), documents, 'site-functions');
    await copyLicenses(root, documents.licensesFile);
    await setPermissions(root);
    const spec = join(folder, `${PROGRAM_NAME}.spec`);
    await writeFile(spec, renderSpec(version, root, paths));
    const words = [
      '-bb',
      '--quiet',
      '--target',
      `${target.rpmArchitecture ?? ''}-linux`,
      ...makeDefinitions(folder, documents.xzLevel),
      spec,
    ];
    // The home directory of the user may contain macros.
    const env = {
      PATH: process.env['PATH'],
      HOME: folder,
      LC_ALL: 'C',
      TZ: 'UTC',
      SOURCE_DATE_EPOCH: findSourceDate(),
    };
    await run('rpmbuild', words, { env });
    await rename(join(folder, 'package.rpm'), path);
    return path;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
