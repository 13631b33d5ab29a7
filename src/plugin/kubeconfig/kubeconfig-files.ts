/** Reading and replacing kubeconfig files, as kubectl does and more carefully. */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { getErrorCode, ConfigError, PluginError } from '../../shared/base/errors.ts';

/** Larger than that of any fleet. */
const LARGEST_BYTES = 1024 * 1024;
const OWNER_ONLY = 0o600;
const PERMISSIONS = 0o777;
const OF_OWNER = 0o700;
const LONGEST_WAIT_MS = 3_000;
const WAIT_MS = 100;

/** What a file held, and whose it is. */
interface Opened {
  readonly bytes: Buffer;
  readonly stats: Stats;
}

function readAll(path: string): Opened | undefined {
  let fd: number;
  try {
    // A FIFO must not make us wait for its other end.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (getErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const stats = fstatSync(fd);
    if (stats.isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' });
    if (!stats.isFile()) throw Object.assign(new Error('no regular file'), { code: 'EINVAL' });
    if (stats.size > LARGEST_BYTES) throw Object.assign(new Error('too large'), { code: 'EFBIG' });
    const bytes = Buffer.alloc(LARGEST_BYTES + 1);
    let done = 0;
    for (let count = -1; count !== 0; done += count) count = readSync(fd, bytes, done, bytes.length - done, null);
    return { bytes: bytes.subarray(0, done), stats };
  } finally {
    closeSync(fd);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EISDIR: 'it is a folder',
  EINVAL: 'it is no regular file',
  EFBIG: 'it is larger than 1 MiB',
  ENCODING: 'it is not text in UTF-8',
};

function cannotRead(path: string, error: unknown): ConfigError {
  const code = getErrorCode(error);
  return new ConfigError(`${path} cannot be read (${REASONS[code] ?? code})`, {
    hint: 'name another kubeconfig with --kubeconfig or KUBECONFIG',
  });
}

/**
 * Reads a kubeconfig; undefined where there is none.
 *
 * @throws ConfigError when it is there and cannot be read, is larger than 1 MiB or is no text
 */
export function readTextFile(path: string): string | undefined {
  try {
    const opened = readAll(path);
    return opened === undefined ? undefined : decode(opened.bytes);
  } catch (error) {
    throw cannotRead(path, error);
  }
}

function decode(bytes: Buffer): string {
  try {
    // Its byte order mark stays, or it would be lost in the file.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw Object.assign(new Error('no UTF-8'), { code: 'ENCODING' });
  }
}

function writeNew(path: string, text: string, prepare: (fd: number) => void): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, OWNER_ONLY);
  try {
    const bytes = Buffer.from(text);
    let done = 0;
    while (done < bytes.length) done += writeSync(fd, bytes, done);
    prepare(fd);
    // Without it a power cut can leave the final name on an empty file.
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Puts a file under its name in one step, replacing what stood there. */
function put(path: string, text: string, prepare: (fd: number) => void): void {
  const temporary = join(dirname(path), `.${basename(path)}.${Math.random().toString(36).slice(2)}`);
  try {
    writeNew(temporary, text, prepare);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** The file itself, where its name is a symbolic link. */
function resolveLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (getErrorCode(error) === 'ENOENT') return path;
    throw error;
  }
}

/** Gives a new file the permissions and the owner of the one that it replaces. */
function inherit({ mode, uid, gid }: Stats, secret: boolean): (fd: number) => void {
  return (fd) => {
    const own = fstatSync(fd);
    if (own.uid !== uid || own.gid !== gid) {
      try {
        fchownSync(fd, uid, gid);
      } catch {
        // Only root can give files away; then it is ours, with the same permissions.
      }
    }
    fchmodSync(fd, mode & (secret ? OF_OWNER : PERMISSIONS));
  };
}

/** A change to one file. */
export interface FileChange {
  readonly path: string;
  /** What it held; undefined where it was not there. */
  readonly before: string | undefined;
  readonly after: string;
}

/** The name of what `writeText` leaves of the file as it was. */
export function getBackupPath(path: string): string {
  return `${path}.keystone.bak`;
}

/** Replaces one file; returns where the old one is. */
function replace({ path, before, after }: FileChange, secret: boolean): string | undefined {
  const target = resolveLinks(path);
  const opened = readAll(target);
  const now = opened === undefined ? undefined : decode(opened.bytes);
  if (now !== before) {
    throw new ConfigError(`${path} has just been changed by another program`, { hint: 'run the command again' });
  }
  if (opened === undefined) {
    put(target, after, () => undefined);
    return undefined;
  }
  const backup = getBackupPath(target);
  // It may hold the credentials that the file no longer does.
  put(backup, opened.bytes.toString(), () => undefined);
  put(target, after, inherit(opened.stats, secret));
  return backup;
}

/** Takes the lock that kubectl takes (client-go, clientcmd `lockFile`): a file that is there while somebody writes. */
async function lock(path: string): Promise<() => void> {
  const name = `${path}.lock`;
  for (let waitedMs = 0; ; waitedMs += WAIT_MS) {
    try {
      closeSync(openSync(name, constants.O_CREAT | constants.O_EXCL, 0));
      return () => {
        rmSync(name, { force: true });
      };
    } catch (error) {
      if (getErrorCode(error) !== 'EEXIST') throw error;
      if (waitedMs >= LONGEST_WAIT_MS) {
        throw new ConfigError(`another program is writing ${path}`, {
          hint: `wait for it; remove ${name} if no kubectl is running`,
        });
      }
    }
    await wait(WAIT_MS);
  }
}

/**
 * Writes changed files, each in one step, and keeps a copy of what each held.
 *
 * @param secret whether nobody but the owner may read them from now on
 * @returns where the copies are, by the files' paths
 * @throws ConfigError where one cannot be written, or is not as it was read; those before it are written then
 */
export async function writeChanges(
  changes: readonly FileChange[],
  secret: boolean,
): Promise<ReadonlyMap<string, string>> {
  const backups = new Map<string, string>();
  const releases: (() => void)[] = [];
  let path = '';
  try {
    // In one order for all, or two programs could wait for each other.
    for (const change of changes.toSorted((one, other) => (one.path < other.path ? -1 : 1))) {
      ({ path } = change);
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      releases.push(await lock(path));
    }
    for (const change of changes) {
      ({ path } = change);
      const backup = replace(change, secret);
      if (backup !== undefined) backups.set(path, backup);
    }
    return backups;
  } catch (error) {
    if (error instanceof PluginError) throw error;
    throw new ConfigError(`${path} cannot be written (${getErrorCode(error)})`, {
      hint: 'make the file and its folder writable, or name another with --kubeconfig',
    });
  } finally {
    for (const release of releases) release();
  }
}
