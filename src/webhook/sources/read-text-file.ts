import { ConfigError } from '../../shared/base/errors.ts';
import { describeReadFailure, readRegularFile } from '../../shared/base/read-file.ts';

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
  try {
    return readRegularFile(path, MAX_BYTES).bytes.toString();
  } catch (error) {
    throw new ConfigError(`${origin}: ${path} cannot be read (${describeReadFailure(error)})`, {
      hint: `set ${origin} to a file that the program can read`,
    });
  }
}
