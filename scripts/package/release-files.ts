/**
 * Names the files that a release publishes. All of them are in one folder, because the downloads of a GitHub release
 * have no folders, so each name contains what the path below `out/` says.
 */
import { basename, extname } from 'node:path';
import {
  apkPath,
  archivePath,
  chartPath,
  debianPackagePath,
  imageArchivePath,
  npmPackagePath,
  rpmPath,
} from './package-paths.ts';
import { PROGRAM_NAME, WEBHOOK_PROGRAM_NAME } from './product.ts';
import { executablePath, TARGETS } from './targets.ts';
import type { Target } from './targets.ts';

/** The list of checksums of a folder, in the format of sha256sum. */
export const CHECKSUMS = 'SHA256SUMS';

/** The script for `curl … | sh`. */
export const INSTALLER = 'install.sh';

/** The same for Windows. */
export const WINDOWS_INSTALLER = 'install.ps1';

/** A document about an executable. */
export type ProgramDocument = 'THIRD-PARTY-LICENSES.txt' | 'sbom.cdx.json';

/** A file that `npm run package` makes. */
export interface ReleaseFile {
  /** Relative to the root of the project. */
  readonly path: string;
  /** Its name in a release. */
  readonly name: string;
}

/** Returns the path of a document about an executable, in the same folder. */
export function documentPath(target: Target, program: string, document: ProgramDocument): string {
  return `out/${target.name}/${program === PROGRAM_NAME ? '' : `${program}.`}${document}`;
}

const byBasename = (path: string): ReleaseFile => ({ path, name: basename(path) });

function listProgramFiles(target: Target, program: string, version: string): readonly ReleaseFile[] {
  const path = executablePath(target, program);
  const describe = (document: ProgramDocument): ReleaseFile => ({
    path: documentPath(target, program, document),
    name: `${program}-${target.name}.${document}`,
  });
  return [
    { path, name: `${program}-${target.name}${extname(path)}` },
    describe('THIRD-PARTY-LICENSES.txt'),
    describe('sbom.cdx.json'),
    byBasename(archivePath(target, version, program)),
  ];
}

/** Lists the files of a release for these targets, without its manifests and its list of checksums. */
export function listReleaseFiles(version: string, targets: readonly Target[] = TARGETS): readonly ReleaseFile[] {
  const files = targets.flatMap((target) => [
    ...listProgramFiles(target, PROGRAM_NAME, version),
    ...(target.hasWebhook ? listProgramFiles(target, WEBHOOK_PROGRAM_NAME, version) : []),
    ...(target.debianArchitecture === undefined ? [] : [byBasename(debianPackagePath(target, version))]),
    ...(target.rpmArchitecture === undefined ? [] : [byBasename(rpmPath(target, version))]),
    ...(target.apkArchitecture === undefined ? [] : [byBasename(apkPath(target, version))]),
  ]);
  return [
    ...files,
    ...[PROGRAM_NAME, WEBHOOK_PROGRAM_NAME].map((program) => byBasename(imageArchivePath(program, version))),
    byBasename(chartPath(version)),
    byBasename(npmPackagePath(version)),
    ...[INSTALLER, WINDOWS_INSTALLER].map((name) => byBasename(`out/${name}`)),
  ];
}
