/**
 * Files that only their owner can access. A path is never trusted: reading checks the open descriptor, and a written
 * file appears under its name either complete or not at all.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { CacheError, getErrorCode } from '../../shared/base/errors.ts';
import { replacePrivateFile } from '../../shared/base/write-private-file.ts';
import { makeTemporaryFileName } from './file-names.ts';

const FILE_MODE = 0o600;
const OTHERS = 0o077;

/** Larger than any record: a token has at most 16 KiB. */
const MAX_BYTES = 64 * 1024;

/**
 * Follows no symbolic link, and does not wait for the other end of a planted FIFO. Windows has neither flag (Node
 * defines neither, which counts as 0); there the access list of the profile folder protects the files.
 */
const SAFE_OPEN = constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Whether the permissions let another user access a file or folder. */
export const isOpenToOthers = ({ mode }: Stats): boolean => (mode & OTHERS) !== 0;

/** Whether it is a regular file of the user. */
export function isOwnFile(stats: Stats, uid: number | undefined): boolean {
  return stats.isFile() && (uid === undefined || stats.uid === uid);
}

/** Whether it is a regular file of the user, closed to other users, with one name. */
export function isPrivate(stats: Stats, uid: number | undefined): boolean {
  return isOwnFile(stats, uid) && stats.nlink === 1 && (uid === undefined || !isOpenToOthers(stats));
}

/** An error while closing does not undo what was read or written before. */
function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // The system closes the descriptor when the process ends.
  }
}

/** Opens a private file of at most `maxBytes` and reads it; any other file counts as absent. */
function readIfPrivate<T>(
  path: string,
  { uid, maxBytes }: { readonly uid: number | undefined; readonly maxBytes: number },
  read: (fd: number, bytes: number) => T,
): T | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | SAFE_OPEN);
  } catch {
    return undefined;
  }
  try {
    const stats = fstatSync(fd);
    return isPrivate(stats, uid) && stats.size <= maxBytes ? read(fd, stats.size) : undefined;
  } catch {
    return undefined;
  } finally {
    closeQuietly(fd);
  }
}

/** Reads a private file of at most `maxBytes`; any other file counts as absent. */
export function readPrivateFileBytes(path: string, uid: number | undefined, maxBytes: number): Buffer | undefined {
  return readIfPrivate(path, { uid, maxBytes }, (fd, size) => {
    const bytes = Buffer.alloc(size);
    return bytes.subarray(0, readSync(fd, bytes, 0, size, 0));
  });
}

/** Reads a private text file of at most 64 KiB; any other file counts as absent. */
export function readPrivateFile(path: string, uid: number | undefined): string | undefined {
  // Without a Buffer, of which the first one takes time. Only the user could make the file larger in the meantime.
  return readIfPrivate(path, { uid, maxBytes: MAX_BYTES }, (fd) => readFileSync(fd, 'utf8'));
}

/** Opens or creates a private file; undefined if the path leads to something else. */
function openPrivate(path: string, uid: number | undefined): number | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_CREAT | SAFE_OPEN, FILE_MODE);
    if (isPrivate(fstatSync(fd), uid)) return fd;
  } catch (error) {
    if (fd !== undefined) closeQuietly(fd);
    // A symbolic link, or a file that its owner does not let us open.
    if (['ELOOP', 'EACCES'].includes(getErrorCode(error))) return undefined;
    throw error;
  }
  closeQuietly(fd);
  return undefined;
}

/**
 * Opens a private file for reading and writing in place, and creates it if it does not exist. A file that was planted
 * while the folder was open to other users is replaced.
 *
 * @throws CacheError if it cannot be replaced, or the disk fails
 */
export function withPrivateFile<T>(path: string, uid: number | undefined, use: (fd: number) => T): T {
  let fd: number | undefined;
  try {
    fd = openPrivate(path, uid);
    if (fd === undefined) {
      rmSync(path);
      fd = openPrivate(path, uid);
    }
    if (fd !== undefined) return use(fd);
  } catch (error) {
    throw new CacheError(`${path} cannot be used (${getErrorCode(error)})`, { cause: error });
  } finally {
    if (fd !== undefined) closeQuietly(fd);
  }
  throw new CacheError(`${path} is not private`);
}

/** Reads an open private file as a text of its bytes: the whole file, because a part would need a Buffer. */
export function readText(fd: number): string {
  return readFileSync(fd, 'latin1');
}

/**
 * Removes a file of the user. A link, a folder or a file of another user stays, whatever its name.
 *
 * @returns whether the path is free now
 * @throws CacheError if the system refuses to remove the file
 */
export function removePrivateFile(path: string, uid: number | undefined): boolean {
  try {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return true;
    if (!isOwnFile(stats, uid)) return false;
    rmSync(path, { force: true });
    return true;
  } catch (error) {
    throw new CacheError(`${path} cannot be removed (${getErrorCode(error)})`, { cause: error });
  }
}

/**
 * Writes `content` to the file `name` in `folder`, and replaces an existing file in one step.
 *
 * @param expiresAt ms since 1970, UTC; becomes the modification time, so that pruning reads no file
 * @param mayBeLost whether a power failure may take it: a run makes it again without a user, and a checksum shows that it
 *   is incomplete. A login then does not wait for a slow disk.
 * @throws CacheError if the file cannot be written
 */
export function writePrivateFile(
  folder: string,
  name: string,
  content: string | Buffer,
  expiresAt: number,
  { mayBeLost = false }: { readonly mayBeLost?: boolean } = {},
): void {
  const temporaryName = makeTemporaryFileName(name);
  try {
    replacePrivateFile({ folder, name, content, temporaryName, modifiedAt: expiresAt, mayBeLost });
  } catch (error) {
    throw new CacheError(`the cache folder ${folder} cannot be written to (${getErrorCode(error)})`, { cause: error });
  }
}
