/** Where `npm run package` writes archives and packages, relative to the root of the project. */
import { PROGRAM_NAME } from './product.ts';
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
