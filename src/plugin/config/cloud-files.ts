/** Finds clouds.yaml, secure.yaml and clouds-public.yaml. */
import { statSync } from 'node:fs';
import { posix, win32 } from 'node:path';
import { ConfigError } from '../../shared/base/errors.ts';
import { readStampedFileIfExists } from '../../shared/base/file-stamp.ts';
import type { FileStamp, StampedFile } from '../../shared/base/file-stamp.ts';
import type { Host } from '../../shared/base/host.ts';
import { describeReadFailure } from '../../shared/base/read-file.ts';
import type { Setting } from '../../shared/options/layer.ts';
import { resolvePath } from '../../shared/base/host.ts';
import type { YamlMapping } from '../../shared/options/yaml.ts';

/** Each file is searched for separately: logins, their secrets, and profiles that providers publish. */
export type CloudFileName = 'clouds' | 'secure' | 'clouds-public';

/** An existing file. */
export interface CloudFile {
  readonly path: string;
  readonly content: YamlMapping;
  /** No setting names it, and it is in the current folder, which another user may have written. */
  readonly isInCurrentFolder: boolean;
  /** Whether other users can read it; false where the system has no such permissions. */
  readonly isReadableByOthers: boolean;
}

/** The result of a search, and every file that it depends on. */
export interface CloudFileSearch {
  readonly file: CloudFile | undefined;
  readonly stamps: readonly FileStamp[];
}

const SUFFIXES = ['.yaml', '.yml', '.json'];
const READABLE_BY_OTHERS = 0o044;

/** Much more than the clouds of a large company need. */
const MAX_BYTES = 256 * 1024;

type Folders = (host: Host) => readonly (string | undefined)[];

const joinIfSet = (base: string | undefined, ...names: string[]): string | undefined =>
  base === undefined ? undefined : posix.join(base, ...names);

/** The XDG Base Directory Specification requires to ignore a relative path. */
const isUsable = (path: string): boolean => posix.isAbsolute(path);

/** As openstacksdk, this searches ~/.config also if XDG_CONFIG_HOME names another folder. */
const listLinuxFolders: Folders = (host) => {
  const { env } = host;
  const own = [env['XDG_CONFIG_HOME'] ?? ''].filter(isUsable);
  const site = (env['XDG_CONFIG_DIRS'] ?? '').split(':').filter(isUsable);
  const folders = [...own, joinIfSet(host.home(), '.config'), ...(site.length > 0 ? site : ['/etc/xdg']), '/etc'];
  return folders.map((folder) => joinIfSet(folder, 'openstack'));
};

/** The folders of the user, of the machine, and /etc/openstack, as in openstacksdk. */
const FOLDERS: Partial<Record<NodeJS.Platform, Folders>> = {
  darwin: (host) => [
    joinIfSet(host.home(), 'Library', 'Application Support', 'openstack'),
    joinIfSet(host.home(), '.config', 'openstack'),
    '/Library/Application Support/openstack',
    '/etc/openstack',
  ],
  // Not /etc: on Windows it is a folder of the current drive, which any user can create.
  win32: (host) => {
    const local = host.env['LOCALAPPDATA'];
    const own =
      local !== undefined && win32.isAbsolute(local) ? win32.join(local, 'OpenStack', 'openstack') : undefined;
    return [own, 'C:\\ProgramData\\OpenStack\\openstack'];
  },
};

function listStandardFolders(host: Host): string[] {
  return (FOLDERS[host.platform] ?? listLinuxFolders)(host).flatMap((folder) => folder ?? []);
}

/** Suggests a folder for a file that every run finds. */
export function suggestCloudFolder(host: Host): string {
  return listStandardFolders(host)[0] ?? host.cwd;
}

/** Lists the folders to search, in order; the current folder is first. */
export function listCloudFolders(host: Host): string[] {
  return [...new Set([...(host.cwd === '' ? [] : [host.cwd]), ...listStandardFolders(host)])];
}

function isSameFolder(folder1: string, folder2: string): boolean {
  try {
    const [a, b] = [statSync(folder1, { bigint: true }), statSync(folder2, { bigint: true })];
    return a.dev === b.dev && a.ino === b.ino;
  } catch {
    return false;
  }
}

/** Whether the folder is searched only because it is the current one, so that its files are not trusted. */
function isUntrusted(folder: string, host: Host): boolean {
  return folder === host.cwd && !listStandardFolders(host).some((standard) => isSameFolder(standard, folder));
}

function exists(result: StampedFile | FileStamp): result is StampedFile {
  return 'bytes' in result;
}

function readIfExists(path: string, origin: string | undefined): StampedFile | FileStamp {
  try {
    return readStampedFileIfExists(path, MAX_BYTES);
  } catch (error) {
    const reason = `cannot read ${path} (${describeReadFailure(error)})`;
    throw origin === undefined
      ? new ConfigError(reason, { hint: 'make it a file that you can read, or remove it' })
      : new ConfigError(`${origin}: ${reason}`, { hint: `set ${origin} to a file that you can read` });
  }
}

interface ParsedFile {
  readonly stamp: FileStamp;
  readonly file: Omit<CloudFile, 'isInCurrentFolder'> | undefined;
}

/** @param origin names the setting that names the file, if there is one */
async function readFile(path: string, host: Host, origin?: string): Promise<ParsedFile> {
  const result = readIfExists(path, origin);
  if (!exists(result)) return { stamp: result, file: undefined };
  const { bytes, mode, file: stamp } = result;
  // Loaded only when a file exists, because hundreds of runs may wait for one login and need no YAML parser.
  const { parseYaml } = await import('../../shared/options/yaml.ts');
  return {
    stamp,
    file: {
      path,
      content: parseYaml(bytes, path),
      isReadableByOthers: host.uid !== undefined && (mode & READABLE_BY_OTHERS) !== 0,
    },
  };
}

/**
 * Finds the first file with a name.
 *
 * @param setting the path of the file, which must exist; undefined to search the folders
 * @throws ConfigError when the file cannot be read or parsed, or when the file of the setting does not exist
 */
export async function findCloudFile(
  name: CloudFileName,
  setting: Setting | undefined,
  host: Host,
): Promise<CloudFileSearch> {
  if (setting !== undefined) {
    const path = resolvePath(String(setting.value), host);
    const { file, stamp } = await readFile(path, host, setting.origin);
    if (file !== undefined) return { file: { ...file, isInCurrentFolder: false }, stamps: [stamp] };
    throw new ConfigError(`${setting.origin} names ${path}, which does not exist`, {
      hint: `set ${setting.origin} to a file that you can read, or unset it`,
    });
  }
  const paths = host.platform === 'win32' ? win32 : posix;
  const stamps: FileStamp[] = [];
  for (const folder of listCloudFolders(host)) {
    for (const suffix of SUFFIXES) {
      const { file, stamp } = await readFile(paths.join(folder, name + suffix), host);
      stamps.push(stamp);
      if (file !== undefined) return { file: { ...file, isInCurrentFolder: isUntrusted(folder, host) }, stamps };
    }
  }
  return { file: undefined, stamps };
}
