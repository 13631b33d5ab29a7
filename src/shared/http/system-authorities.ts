/**
 * The files with the authorities of this system that variables name. Node reads them itself, and would wait for a pipe
 * forever, so they are checked before.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, getErrorCode } from '../base/errors.ts';
import type { Environment } from '../base/host.ts';

/** Variables that replace the system's authorities in OpenSSL. */
export const AUTHORITY_VARIABLES = ['SSL_CERT_FILE', 'SSL_CERT_DIR'] as const;

/** More than all the authorities of any system, also in several files each. */
const MAX_BYTES = 16 * 1024 * 1024;

/** OpenSSL ignores what does not exist, and so does this. */
function ifExists<T>(read: () => T, otherwise: T, variable: string): T {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(getErrorCode(error))) return otherwise;
    throw new ConfigError(`${variable} cannot be read (${getErrorCode(error)})`, {
      hint: `correct or unset ${variable}`,
    });
  }
}

function listFiles(variable: (typeof AUTHORITY_VARIABLES)[number], value: string): string[] {
  if (variable === 'SSL_CERT_FILE') return [value];
  return value
    .split(':')
    .flatMap((folder) => ifExists(() => readdirSync(folder).map((name) => join(folder, name)), [], variable));
}

/**
 * Checks that Node can read the files: each is a regular file, and together they are at most 16 MiB.
 *
 * @throws ConfigError that names the variable
 */
export function checkSystemAuthorities(env: Environment): void {
  for (const variable of AUTHORITY_VARIABLES) {
    const value = env[variable] ?? '';
    if (value === '') continue;
    let bytes = 0;
    for (const path of listFiles(variable, value)) {
      const stats = ifExists(() => statSync(path), undefined, variable);
      if (stats === undefined || stats.isDirectory()) continue;
      bytes += stats.size;
      const problem = stats.isFile() ? 'the files are larger than 16 MiB' : `${path} is not a regular file`;
      if (stats.isFile() && bytes <= MAX_BYTES) continue;
      throw new ConfigError(`${variable}: ${problem}`, { hint: `correct or unset ${variable}` });
    }
  }
}
