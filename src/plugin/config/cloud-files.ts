/** Where clouds.yaml and its companions are looked for, and which of them is found. */
import { statSync } from 'node:fs';
import { posix, win32 } from 'node:path';
import { getErrorCode, ConfigError } from '../../shared/base/errors.ts';
import { readStampedFileIfExists } from '../../shared/base/file-stamp.ts';
import type { FileStamp, StampedFile } from '../../shared/base/file-stamp.ts';
import type { Host } from '../../shared/base/host.ts';
import type { Setting } from '../../shared/options/layer.ts';
import { resolvePath } from '../../shared/base/host.ts';
import type { YamlMapping } from '../../shared/options/yaml.ts';

/** What is looked for, each for itself: who and where, what of that is secret, and what providers publish. */
export type CloudFileName = 'clouds' | 'secure' | 'clouds-public';

/** A file that was found. */
export interface CloudFile {
  readonly path: string;
  readonly content: YamlMapping;
  /** Nobody named it: it lay where the program was started, which may be somebody else's checkout. */
  readonly isInCurrentFolder: boolean;
  /** Whether other users may read it, where that can be told. */
  readonly isReadableByOthers: boolean;
}

/** What a search found, and every file that its outcome depends on. */
export interface CloudFileSearch {
  readonly file: CloudFile | undefined;
  readonly stamps: readonly FileStamp[];
}

const SUFFIXES = ['.yaml', '.yml', '.json'];
const OTHERS_READ = 0o044;

/** Larger than the list of any company. */
const LARGEST_BYTES = 256 * 1024;

type Folders = (host: Host) => readonly (string | undefined)[];

const under = (base: string | undefined, ...names: string[]): string | undefined =>
  base === undefined ? undefined : posix.join(base, ...names);

/** The XDG Base Directory Specification: a relative path is to be ignored. */
const linux: Folders = (host) => {
  const set = host.env['XDG_CONFIG_HOME'];
  const base = set !== undefined && posix.isAbsolute(set) ? set : under(host.home(), '.config');
  return [under(base, 'openstack'), '/etc/xdg/openstack', '/etc/openstack'];
};

/** The folders of this user, of this machine, and the oldest of all, as openstacksdk knows them. */
const FOLDERS: Partial<Record<NodeJS.Platform, Folders>> = {
  darwin: (host) => [
    under(host.home(), 'Library', 'Application Support', 'openstack'),
    under(host.home(), '.config', 'openstack'),
    '/Library/Application Support/openstack',
    '/etc/openstack',
  ],
  // Not /etc: on Windows that is a folder of the current drive, which any user may make.
  win32: (host) => {
    const local = host.env['LOCALAPPDATA'];
    const own =
      local !== undefined && win32.isAbsolute(local) ? win32.join(local, 'OpenStack', 'openstack') : undefined;
    return [own, 'C:\\ProgramData\\OpenStack\\openstack'];
  },
};

function knownFolders(host: Host): string[] {
  return (FOLDERS[host.platform] ?? linux)(host).flatMap((folder) => folder ?? []);
}

/** Where to put a file that every run shall find. */
export function suggestCloudFolder(host: Host): string {
  return knownFolders(host)[0] ?? host.cwd;
}

/** The folders that are searched, in their order; the current one comes first. */
export function listCloudFolders(host: Host): string[] {
  return [...new Set([...(host.cwd === '' ? [] : [host.cwd]), ...knownFolders(host)])];
}

function isSameFolder(one: string, other: string): boolean {
  try {
    const [a, b] = [statSync(one, { bigint: true }), statSync(other, { bigint: true })];
    return a.dev === b.dev && a.ino === b.ino;
  } catch {
    return false;
  }
}

/** A folder that is searched anyway is as good as ever, although one stands in it. */
function isUnvouched(folder: string, host: Host): boolean {
  return folder === host.cwd && !knownFolders(host).some((known) => isSameFolder(known, folder));
}

function isThere(found: StampedFile | FileStamp): found is StampedFile {
  return 'bytes' in found;
}

function read(path: string): StampedFile | FileStamp {
  try {
    return readStampedFileIfExists(path, LARGEST_BYTES + 1);
  } catch (error) {
    throw new ConfigError(`${path} cannot be read (${getErrorCode(error)})`, {
      hint: 'make it readable, or remove it',
    });
  }
}

interface Opened {
  readonly stamp: FileStamp;
  readonly file: Omit<CloudFile, 'isInCurrentFolder'> | undefined;
}

async function open(path: string, host: Host): Promise<Opened> {
  const found = read(path);
  if (!isThere(found)) return { stamp: found, file: undefined };
  const { bytes, mode, file: stamp } = found;
  if (bytes.length > LARGEST_BYTES) {
    throw new ConfigError(`${path} is larger than ${LARGEST_BYTES / 1024} KiB`, { hint: 'keep only clouds in it' });
  }
  // Loaded by those only that have such a file: two hundred runs that wait for one login need no parser of YAML.
  const { parseYaml } = await import('../../shared/options/yaml.ts');
  return {
    stamp,
    file: {
      path,
      content: parseYaml(bytes, path),
      isReadableByOthers: host.uid !== undefined && (mode & OTHERS_READ) !== 0,
    },
  };
}

/**
 * Finds the first file of that name.
 *
 * @param named the setting that names the file itself, which must then be there
 * @throws ConfigError when it is there but cannot be read or parsed, or is named and not there
 */
export async function findCloudFile(
  name: CloudFileName,
  named: Setting | undefined,
  host: Host,
): Promise<CloudFileSearch> {
  if (named !== undefined) {
    const path = resolvePath(String(named.value), host);
    const { file, stamp } = await open(path, host);
    if (file !== undefined) return { file: { ...file, isInCurrentFolder: false }, stamps: [stamp] };
    throw new ConfigError(`${named.origin} names ${path}, which is not there`, {
      hint: `set ${named.origin} to a file that you may read, or unset it`,
    });
  }
  const paths = host.platform === 'win32' ? win32 : posix;
  const stamps: FileStamp[] = [];
  for (const folder of listCloudFolders(host)) {
    for (const suffix of SUFFIXES) {
      const { file, stamp } = await open(paths.join(folder, name + suffix), host);
      stamps.push(stamp);
      if (file !== undefined) return { file: { ...file, isInCurrentFolder: isUnvouched(folder, host) }, stamps };
    }
  }
  return { file: undefined, stamps };
}
