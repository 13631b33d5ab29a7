/** Reads and replaces kubeconfig files with the lock of kubectl, in one step each, and with a backup copy. */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { getErrorCode, ConfigError, PluginError } from '../../shared/base/errors.ts';
import { describeReadFailure, readRegularFile } from '../../shared/base/read-file.ts';
import type { FileContent } from '../../shared/base/read-file.ts';

/** More than the kubeconfig of a large fleet needs. */
const MAX_BYTES = 1024 * 1024;
const OWNER_ONLY = 0o600;
const ALL_PERMISSIONS = 0o777;
const OWNER_PERMISSIONS = 0o700;
const MAX_WAIT_MS = 3_000;
const WAIT_MS = 100;

function readIfExists(path: string): FileContent | undefined {
  try {
    return readRegularFile(path, MAX_BYTES);
  } catch (error) {
    if (getErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const NOT_TEXT = 'ENCODING';

function makeReadError(path: string, error: unknown): ConfigError {
  const reason = getErrorCode(error) === NOT_TEXT ? 'it is not UTF-8 text' : describeReadFailure(error);
  return new ConfigError(`${path} cannot be read (${reason})`, {
    hint: 'name another kubeconfig with --kubeconfig or KUBECONFIG',
  });
}

/**
 * Reads a text file; undefined if it does not exist.
 *
 * @throws ConfigError if it exists and cannot be read, is larger than 1 MiB or is not UTF-8
 */
export function readTextFile(path: string): string | undefined {
  try {
    const content = readIfExists(path);
    return content === undefined ? undefined : decode(content.bytes);
  } catch (error) {
    throw makeReadError(path, error);
  }
}

function decode(bytes: Buffer): string {
  try {
    // The byte order mark must stay in the text, so that it is written back.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw Object.assign(new Error('not UTF-8'), { code: NOT_TEXT });
  }
}

function writeNew(path: string, text: string, prepare: (fd: number) => void): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, OWNER_ONLY);
  try {
    const bytes = Buffer.from(text);
    let position = 0;
    while (position < bytes.length) position += writeSync(fd, bytes, position);
    prepare(fd);
    // Without this, a power failure can leave an empty file under the final name.
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Writes a file in one step: other programs see the old content or the new content, never a part. */
function writeAtomically(path: string, text: string, prepare: (fd: number) => void): void {
  const temporary = join(dirname(path), `.${basename(path)}.${Math.random().toString(36).slice(2)}`);
  try {
    writeNew(temporary, text, prepare);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Returns the target of a symbolic link, and any other path as it is. */
function resolveLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (getErrorCode(error) === 'ENOENT') return path;
    throw error;
  }
}

/** Gives a new file the owner and the permissions of the file that it replaces. */
function copyOwnership({ stats }: FileContent, secret: boolean): (fd: number) => void {
  const [mode, uid, gid] = [Number(stats.mode), Number(stats.uid), Number(stats.gid)];
  return (fd) => {
    const current = fstatSync(fd);
    if (current.uid !== uid || current.gid !== gid) {
      try {
        fchownSync(fd, uid, gid);
      } catch {
        // Only root can change the owner. Otherwise the file belongs to the user, with the same permissions.
      }
    }
    fchmodSync(fd, mode & (secret ? OWNER_PERMISSIONS : ALL_PERMISSIONS));
  };
}

/** A change to one file. */
export interface FileChange {
  readonly path: string;
  /** The content that was read; undefined if the file did not exist. */
  readonly before: string | undefined;
  readonly after: string;
}

/** Replaces one file; returns the path of the backup copy, undefined if there was no file. */
function replace({ path, before, after }: FileChange, secret: boolean): string | undefined {
  const target = resolveLinks(path);
  const content = readIfExists(target);
  const current = content === undefined ? undefined : decode(content.bytes);
  if (current !== before) {
    throw new ConfigError(`another program has just changed ${path}`, { hint: 'run the command again' });
  }
  if (content === undefined) {
    writeAtomically(target, after, () => undefined);
    return undefined;
  }
  const backup = `${target}.keystone.bak`;
  // Always for the owner only: it can contain credentials that were removed from the file.
  writeAtomically(backup, content.bytes.toString(), () => undefined);
  writeAtomically(target, after, copyOwnership(content, secret));
  return backup;
}

/**
 * Takes the lock of kubectl (client-go, clientcmd `lockFile`): a file that exists while a program writes. Returns its
 * release.
 */
async function lock(path: string): Promise<() => void> {
  const lockPath = `${path}.lock`;
  for (let waitedMs = 0; ; waitedMs += WAIT_MS) {
    try {
      closeSync(openSync(lockPath, constants.O_CREAT | constants.O_EXCL, 0));
      return () => {
        rmSync(lockPath, { force: true });
      };
    } catch (error) {
      if (getErrorCode(error) !== 'EEXIST') throw error;
      if (waitedMs >= MAX_WAIT_MS) {
        throw new ConfigError(`another program is writing ${path}`, {
          hint: `wait until it has finished; if no kubectl is running, remove ${lockPath}`,
        });
      }
    }
    await wait(WAIT_MS);
  }
}

/**
 * Writes changed files, each in one step, with a backup copy of each.
 *
 * @param secret whether to remove the permissions of all users but the owner
 * @returns the paths of the backup copies, by the paths of the files
 * @throws ConfigError if a file cannot be written, or has changed since it was read; the files before it are written
 */
export async function writeChanges(
  changes: readonly FileChange[],
  secret: boolean,
): Promise<ReadonlyMap<string, string>> {
  const backups = new Map<string, string>();
  const releases: (() => void)[] = [];
  let path = '';
  try {
    // Every program must lock in the same order, or two of them could wait for each other.
    for (const change of changes.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
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
      hint: 'make the file and its folder writable, or name another file with --kubeconfig',
    });
  } finally {
    for (const release of releases) release();
  }
}
