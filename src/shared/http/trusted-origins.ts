/**
 * Reads the list of servers that the user trusts with credentials, if there is one. A kubeconfig from elsewhere may
 * name any server and set any variable for this program while the shell has a password, so the list is read from the
 * home folder in the system's accounts, never from one that a variable names.
 */
import { readFileSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { getErrorCode, ConfigError } from '../base/errors.ts';
import type { Host } from '../base/host.ts';

/** Origins, such as `https://keystone.example.com:5000`, and the file that lists them. */
export interface TrustedOrigins {
  readonly file: string;
  readonly origins: ReadonlySet<string>;
}

const GROUP_OR_OTHERS_WRITE = 0o022;

function parseOrigin(line: string, file: string, number: number): string {
  const url = URL.canParse(line) ? new URL(line) : undefined;
  const isBareOrigin = url?.pathname === '/' && url.search === '' && url.hash === '' && url.username === '';
  if (url === undefined || url.origin === 'null' || !isBareOrigin) {
    throw new ConfigError(`${file}: line ${number} is not an origin`, {
      hint: 'write one such as https://keystone.example.com:5000 on each line',
    });
  }
  return url.origin;
}

/** A home that cannot be entered, as in containers that run under any uid, has no list. */
const ABSENT_CODES = ['ENOENT', 'ENOTDIR', 'EACCES'];

function statIfExists(file: string): Stats | undefined {
  try {
    return statSync(file);
  } catch (error) {
    if (ABSENT_CODES.includes(getErrorCode(error))) return undefined;
    throw error;
  }
}

function readOwnFile(file: string, uid: number | undefined): string | undefined {
  try {
    const stats = statIfExists(file);
    if (stats === undefined) return undefined;
    if (uid !== undefined && ((stats.uid !== uid && stats.uid !== 0) || (stats.mode & GROUP_OR_OTHERS_WRITE) !== 0)) {
      throw new ConfigError(`${file} can be written by other users`, {
        hint: `make yourself its owner and run "chmod go-w" on it`,
      });
    }
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    // A list that exists and cannot be read must not count as absent.
    throw new ConfigError(`${file} cannot be read (${getErrorCode(error)})`, {
      hint: 'make it readable, or remove it',
    });
  }
}

/**
 * Reads the list; undefined if there is none, which allows any server.
 *
 * @throws ConfigError if the list cannot be read, or other users can write to it
 */
export function readTrustedOrigins(host: Host): TrustedOrigins | undefined {
  const home = host.accountHome();
  if (home === undefined) return undefined;
  const file = join(home, '.config', 'client-keystone-auth', 'trusted-origins');
  const text = readOwnFile(file, host.uid);
  if (text === undefined) return undefined;
  const lines = text.split('\n').map((line) => line.replace(/(?:^|\s)#.*/, '').trim());
  const origins = lines.flatMap((line, index) => (line === '' ? [] : [parseOrigin(line, file, index + 1)]));
  return { file, origins: new Set(origins) };
}
