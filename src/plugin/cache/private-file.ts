/**
 * Files that only their owner may see. Nothing is trusted by its path: what is read is checked on the open descriptor,
 * and what is written appears under its name complete or not at all.
 */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  futimesSync,
  lstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { CacheError, getErrorCode } from '../../shared/base/errors.ts';

const FILE_MODE = 0o600;
const OTHERS = 0o077;

/** Larger than any record: a token has at most 16 KiB. */
const LARGEST_BYTES = 64 * 1024;

/**
 * No symbolic link is followed, and opening a FIFO that somebody planted does not wait for its other end. Windows has
 * neither flag, which counts as 0; its profile folder's access list does this work.
 */
const SAFELY = constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Whether it is regular, ours, closed to others and has one name. */
function isPrivate(stats: Stats, uid: number | undefined): boolean {
  const ours = uid === undefined || (stats.uid === uid && (stats.mode & OTHERS) === 0);
  return stats.isFile() && ours && stats.nlink === 1;
}

/** What has been read or written by now is not undone by a disk that fails at the end. */
function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // The descriptor ends with the process.
  }
}

/** Reads a private file of at most `largest` bytes; anything else counts as absent. */
export function readPrivateFileBytes(path: string, uid: number | undefined, largest: number): Buffer | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | SAFELY);
  } catch {
    return undefined;
  }
  try {
    const stats = fstatSync(fd);
    if (!isPrivate(stats, uid) || stats.size > largest) return undefined;
    const bytes = Buffer.alloc(stats.size);
    return bytes.subarray(0, readSync(fd, bytes, 0, stats.size, 0));
  } catch {
    return undefined;
  } finally {
    closeQuietly(fd);
  }
}

/** Reads a private file of ours, which is text; anything else counts as absent. */
export function readPrivateFile(path: string, uid: number | undefined): string | undefined {
  return readPrivateFileBytes(path, uid, LARGEST_BYTES)?.toString('utf8');
}

/** Opens a file of ours, or makes it; undefined when what stands there is not private. */
function openPrivate(path: string, uid: number | undefined): number | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_CREAT | SAFELY, FILE_MODE);
    if (isPrivate(fstatSync(fd), uid)) return fd;
  } catch (error) {
    if (fd !== undefined) closeQuietly(fd);
    // A link, or a file that its owner keeps from us.
    if (['ELOOP', 'EACCES'].includes(getErrorCode(error))) return undefined;
    throw error;
  }
  closeQuietly(fd);
  return undefined;
}

/**
 * Uses a private file for reading and writing in place, and makes it where there is none. What was planted there while
 * the folder was open to others makes way.
 *
 * @throws CacheError when it does not make way, or the disk fails
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

/** Makes a new file that is complete on the disk when this returns. */
function writeNew(path: string, content: string | Buffer, until: number): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | SAFELY, FILE_MODE);
  try {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    let done = 0;
    while (done < bytes.length) done += writeSync(fd, bytes, done);
    futimesSync(fd, until / 1000, until / 1000);
    // Without it a power cut can leave the final name on an empty file.
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Removes a file of ours. A link, a folder or another user's file is left alone, though its name be one of ours.
 *
 * @returns whether it is gone
 * @throws CacheError when the system does not let it go
 */
export function removePrivateFile(path: string, uid: number | undefined): boolean {
  try {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return true;
    if (!stats.isFile() || (uid !== undefined && stats.uid !== uid)) return false;
    rmSync(path, { force: true });
    return true;
  } catch (error) {
    throw new CacheError(`${path} cannot be removed (${getErrorCode(error)})`, { cause: error });
  }
}

/** Removes a file, or leaves it where that cannot be done. */
export function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It is not there, or whatever kept it from being written keeps it from being removed.
  }
}

/**
 * Puts `content` under `name` in `folder`, replacing what stood there in one step.
 *
 * @param until when it loses its meaning, ms since 1970, UTC: its time of modification, so that pruning reads no file
 * @throws CacheError when the file cannot be made
 */
export function writePrivateFile(folder: string, name: string, content: string | Buffer, until: number): void {
  // O_EXCL makes it safe, so it only has to differ from that of a run at the same moment.
  const temporary = join(folder, `.${name}.${Math.random().toString(36).slice(2)}`);
  try {
    writeNew(temporary, content, until);
    renameSync(temporary, join(folder, name));
  } catch (error) {
    removeQuietly(temporary);
    throw new CacheError(`the token cache in ${folder} cannot be written (${getErrorCode(error)})`, { cause: error });
  }
}
