/**
 * The servers that a user trusts with credentials, if the user keeps such a list. A kubeconfig from elsewhere may name any
 * server and set any variable for this program while the shell holds a password, so the list is looked for in the home
 * folder that the system's accounts tell, never in one that a variable tells.
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

const OTHERS_WRITE = 0o022;

function parseOrigin(line: string, file: string, number: number): string {
  const url = URL.canParse(line) ? new URL(line) : undefined;
  const bare = url?.pathname === '/' && url.search === '' && url.hash === '' && url.username === '';
  if (url === undefined || url.origin === 'null' || !bare) {
    throw new ConfigError(`${file}: line ${number} is no origin`, {
      hint: 'write one such as https://keystone.example.com:5000 on each line',
    });
  }
  return url.origin;
}

/** Who may not enter a home, as in containers that run under any uid, keeps no list there. */
const NOT_THERE = ['ENOENT', 'ENOTDIR', 'EACCES'];

function statIfThere(file: string): Stats | undefined {
  try {
    return statSync(file);
  } catch (error) {
    if (NOT_THERE.includes(getErrorCode(error))) return undefined;
    throw error;
  }
}

function read(file: string, uid: number | undefined): string | undefined {
  try {
    const stats = statIfThere(file);
    if (stats === undefined) return undefined;
    if (uid !== undefined && ((stats.uid !== uid && stats.uid !== 0) || (stats.mode & OTHERS_WRITE) !== 0)) {
      throw new ConfigError(`${file} could have been written by somebody else`, {
        hint: `make it yours and run "chmod go-w" on it`,
      });
    }
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    // A list that is there and cannot be read must not count as none.
    throw new ConfigError(`${file} cannot be read (${getErrorCode(error)})`, {
      hint: 'make it readable, or remove it',
    });
  }
}

/**
 * Reads the list; undefined where the user keeps none, and any server will do.
 *
 * @throws ConfigError when the list cannot be read, or is not the user's own
 */
export function readTrustedOrigins(host: Host): TrustedOrigins | undefined {
  const home = host.accountHome();
  if (home === undefined) return undefined;
  const file = join(home, '.config', 'client-keystone-auth', 'trusted-origins');
  const text = read(file, host.uid);
  if (text === undefined) return undefined;
  const lines = text.split('\n').map((line) => line.replace(/(?:^|\s)#.*/, '').trim());
  const origins = lines.flatMap((line, index) => (line === '' ? [] : [parseOrigin(line, file, index + 1)]));
  return { file, origins: new Set(origins) };
}
