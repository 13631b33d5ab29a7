/**
 * Reads the list of servers that the user trusts with credentials, if there is one. A kubeconfig from elsewhere may
 * name any server and set any variable for this program while the shell has a password, so the list is read from the
 * home folder in the system's accounts, never from one that a variable names. For the same reason, variables and flags
 * decide nothing about the certificates of these servers: they are always checked, by the authorities that the list
 * names or else by those of the system.
 */
import { lstatSync, readdirSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { getErrorCode, ConfigError } from '../base/errors.ts';
import { readStampedFile } from '../base/file-stamp.ts';
import type { FileStamp } from '../base/file-stamp.ts';
import { makeReadError, MAX_PEM_BYTES, readRegularFile } from '../base/read-file.ts';
import type { Host } from '../base/host.ts';
import { isSimilarName } from '../base/similar-name.ts';
import type { Config } from '../options/config.ts';
import { AUTHORITY_VARIABLES } from './system-authorities.ts';
import { describeAuthoritiesOrigin, requireCertificate } from './tls-settings.ts';
import type { TlsOptionName, TlsSettings } from './tls-settings.ts';

/** The certificate authority that the list names for a server. */
export interface ListedAuthority {
  /** PEM text. */
  readonly text: string;
  readonly path: string;
  readonly stamp: FileStamp;
}

/** Origins, such as `https://keystone.example.com:5000`, and the file that lists them. */
export interface TrustedOrigins {
  readonly file: string;
  /** Undefined means the authorities of this system. */
  readonly origins: ReadonlyMap<string, ListedAuthority | undefined>;
}

const GROUP_OR_OTHERS_WRITE = 0o022;

/** More than thousands of servers need. */
const MAX_LIST_BYTES = 256 * 1024;

const NAME = 'trusted-origins';

/** A home that cannot be entered, as in containers that run under any uid, has no list. */
const ABSENT_CODES = ['ENOENT', 'ENOTDIR', 'EACCES'];

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

function statIfExists(file: string): Stats | undefined {
  try {
    return statSync(file);
  } catch (error) {
    const code = getErrorCode(error);
    // A link to nowhere, or a list in a folder that cannot be entered: somebody has put it there.
    const mayBeList = isThere(file) || (code === 'EACCES' && isThere(dirname(file)));
    if (ABSENT_CODES.includes(code) && !mayBeList) return undefined;
    throw error;
  }
}

function listNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/**
 * Refuses a file that is probably meant to be the list: without a list, any server is allowed. Names that editors give to
 * copies do not count, nor those of a list that is switched off, such as `trusted-origins.off`.
 *
 * @throws ConfigError that names the file
 */
function rejectMisspelled(folder: string): void {
  const isMeant = (name: string): boolean =>
    !/^#|~$/.test(name) && (isSimilarName(name, NAME) || name.toLowerCase() === `${NAME}.txt`);
  const name = listNames(folder).find(isMeant);
  if (name === undefined) return;
  throw new ConfigError(`${join(folder, name)} is not read, and any server would be allowed`, {
    hint: `rename it to ${NAME}, or remove it`,
  });
}

/** @throws ConfigError if other users can write to the file */
function rejectForeign(stats: Stats, file: string, uid: number | undefined): void {
  if (uid === undefined) return;
  if ((stats.uid === uid || stats.uid === 0) && (stats.mode & GROUP_OR_OTHERS_WRITE) === 0) return;
  throw new ConfigError(`${file} can be written by other users`, {
    hint: `make yourself its owner and run "chmod go-w" on it`,
  });
}

function readOwnFile(file: string, uid: number | undefined): string | undefined {
  try {
    const stats = statIfExists(file);
    if (stats === undefined) {
      rejectMisspelled(dirname(file));
      return undefined;
    }
    rejectForeign(stats, file, uid);
    return readRegularFile(file, MAX_LIST_BYTES).bytes.toString();
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    // A list that exists and cannot be read must not count as absent.
    throw makeReadError(file, error, 'make it readable, or remove it');
  }
}

/** A line of the list. */
interface Line {
  readonly text: string;
  /** The list and the number of the line, for a message. */
  readonly where: string;
  readonly folder: string;
}

function readAuthority(path: string, { where }: Line, uid: number | undefined): ListedAuthority {
  try {
    rejectForeign(statSync(path), path, uid);
    const { bytes, file } = readStampedFile(path, MAX_PEM_BYTES);
    return { text: bytes.toString(), path, stamp: file };
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const hint = 'write ca=PATH with a PEM file that you can read, or remove it for the authorities of this system';
    throw makeReadError(`${where}: ${path}`, error, hint);
  }
}

function parseLine(line: Line, host: Host): [string, ListedAuthority | undefined] {
  const { text, where, folder } = line;
  const [, address = '', , ca] = /^(\S+)(\s+ca=(.+))?$/.exec(text) ?? [];
  const url = URL.parse(address) ?? undefined;
  const isBareOrigin = url?.pathname === '/' && url.search === '' && url.hash === '' && url.username === '';
  if (url === undefined || url.origin === 'null' || !isBareOrigin) {
    throw new ConfigError(`${where} is not an origin`, {
      hint: 'write one such as https://keystone.example.com:5000 on each line, with ca=PATH for a private authority',
    });
  }
  if (ca === undefined) return [url.origin, undefined];
  const expanded = ca.startsWith('~/') ? join(host.accountHome() ?? '', ca.slice(2)) : ca;
  const authority = readAuthority(isAbsolute(expanded) ? expanded : resolve(folder, expanded), line, host.uid);
  requireCertificate(authority.text, authority.path, where);
  return [url.origin, authority];
}

/**
 * Reads the list; undefined if there is none, which allows any server. With a list, the variables that replace the
 * system's authorities have no effect on this process any more.
 *
 * @throws ConfigError if the list or a file in it cannot be read, or other users can write to it, or if its name is
 *   misspelled
 */
export function readTrustedOrigins(host: Host): TrustedOrigins | undefined {
  const home = host.accountHome();
  if (home === undefined) return undefined;
  const file = join(home, '.config', 'client-keystone-auth', NAME);
  const text = readOwnFile(file, host.uid);
  if (text === undefined) return undefined;
  host.unsetVariables(AUTHORITY_VARIABLES);
  const lines = text.split('\n').map((line) => line.replace(/(?:^|\s)#.*/, '').trim());
  const origins = lines.flatMap((line, index) => {
    if (line === '') return [];
    return [parseLine({ text: line, where: `${file}: line ${index + 1}`, folder: dirname(file) }, host)];
  });
  return { file, origins: new Map(origins) };
}

/** The TLS settings for a server: with a list, its certificate is always checked, as the list says. */
export function restrictTls(tls: TlsSettings, origin: string, trusted: TrustedOrigins | undefined): TlsSettings {
  if (trusted === undefined) return tls;
  const authority = trusted.origins.get(origin);
  return {
    ...tls,
    insecure: false,
    ca: authority?.text,
    systemAuthorities: [],
    paths: { ...tls.paths, ca: authority?.path },
    files: authority === undefined ? tls.files : [...tls.files, authority.stamp],
  };
}

/**
 * Rejects settings that weaken the checks of a listed server: a setting without an effect would be a surprise.
 *
 * @param origin of Keystone; empty if it is not set
 * @throws ConfigError that names the setting
 */
export function rejectWeakerTls(
  tls: TlsSettings,
  config: Config<TlsOptionName>,
  origin: string,
  { file, origins }: TrustedOrigins,
): void {
  if (tls.insecure) {
    const setting = config.origin(config.isOn('insecure') ? 'insecure' : 'verify');
    throw new ConfigError(`${setting} cannot turn off the check of certificates, because ${file} exists`, {
      hint: `unset ${setting}; for a private authority, write ca=PATH after the origin in that file`,
    });
  }
  const authority = origins.get(origin);
  if (tls.ca === undefined || tls.ca === authority?.text) return;
  const setting = describeAuthoritiesOrigin(config, {});
  const instead = authority?.path ?? 'the authorities of this system';
  throw new ConfigError(`${setting} cannot replace ${instead}, because ${file} exists`, {
    hint: `unset ${setting}, or write ca=PATH with this file after the origin in ${file}`,
  });
}
