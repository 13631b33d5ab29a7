/** Where `npm run package` writes archives and packages, relative to the root of the project. */
import { PROGRAM_NAME, WEBHOOK_PROGRAM_NAME } from './product.ts';
import type { Target } from './targets.ts';

/** Returns the path of a target's archive. */
export function archivePath(target: Target, version: string, program = PROGRAM_NAME): string {
  const kind = target.format === 'pe' ? 'zip' : 'tar.gz';
  return `out/${target.name}/${program}-${version}-${target.name}.${kind}`;
}

/** Returns the path of a target's package. */
export function debianPackagePath(target: Target, version: string): string {
  return `out/${target.name}/${PROGRAM_NAME}_${version}_${target.debianArchitecture ?? ''}.deb`;
}

/** rpm separates version and release with a dash, and sorts a tilde before the end of a version. */
export const toRpmVersion = (version: string): string => version.replaceAll('-', '~');

/** Returns the path of a target's package. */
export function rpmPath(target: Target, version: string): string {
  return `out/${target.name}/${PROGRAM_NAME}-${toRpmVersion(version)}-1.${target.rpmArchitecture ?? ''}.rpm`;
}

/** apk knows only some words after a dash, so a prerelease is one of them. */
export function toApkVersion(version: string): string {
  const [numbers = '', suffix] = version.split(/-(.*)/s);
  const [, word = 'pre', count = ''] = /^(alpha|beta|pre|rc)?\D*(\d*)/.exec(suffix ?? '') ?? [];
  return `${numbers}${suffix === undefined ? '' : `_${word}${count}`}-r0`;
}

/** Returns the path of a target's package. apk itself leaves the processor out of the name, but a release is one folder. */
export function apkPath(target: Target, version: string): string {
  return `out/${target.name}/${PROGRAM_NAME}-${toApkVersion(version)}.${target.apkArchitecture ?? ''}.apk`;
}

/** Returns the folder of a program's image, in the OCI image layout. */
export function imageFolder(program: string): string {
  return `out/images/${program}`;
}

/** Returns the path of the same image in one file. */
export function imageArchivePath(program: string, version: string): string {
  return `out/images/${program}-${version}.oci.tar`;
}

/** Returns the path of the npm package, which is for all platforms. */
export function npmPackagePath(version: string): string {
  return `out/npm/${PROGRAM_NAME}-${version}.tgz`;
}

/** Returns the path of the chart of the webhook, with the name that helm gives it. */
export function chartPath(version: string): string {
  return `out/chart/${WEBHOOK_PROGRAM_NAME}-${version}.tgz`;
}
