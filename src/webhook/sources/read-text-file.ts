import { readNamedFile } from '../../shared/base/read-file.ts';

/** A file that the operator named. */
export interface NamedFile {
  /** Absolute path. */
  readonly path: string;
  /** The setting that names it, as text for messages: `--client-ca-file`. */
  readonly origin: string;
}

/** More than any policy needs; a ConfigMap has at most 1 MiB. */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Reads a file that the operator named.
 *
 * @throws ConfigError that names the setting
 */
export function readTextFile({ path, origin }: NamedFile): string {
  return readNamedFile(path, MAX_BYTES, origin, `set ${origin} to a file that the program can read`).toString();
}
