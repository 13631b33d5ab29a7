import { readFile } from 'node:fs/promises';
import { ConfigError, getErrorCode } from '../../shared/base/errors.ts';

/**
 * Reads a file that the operator named.
 *
 * @throws ConfigError
 */
export async function readTextFile(file: string, hint = 'check the path and its permissions'): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new ConfigError(`${file} cannot be read (${getErrorCode(error)})`, { hint });
  }
}
