import { closeSync, constants, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { getErrorCode } from './errors.ts';

/** A file that an answer depended on, and how it looked then. */
export interface FileStamp {
  /** Absolute path. */
  readonly path: string;
  readonly stamp: string;
}

const ABSENT = 'absent';

function describe({ size, mtimeNs, ctimeNs, ino }: BigIntStats): string {
  return [size, mtimeNs, ctimeNs, ino].join(' ');
}

/**
 * Describes the file without reading it: size, times in ns and inode change whenever its content does. What is not
 * there, or cannot be looked at, has a stamp too.
 */
export function stampFile(path: string): FileStamp {
  try {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    return { path, stamp: stats === undefined ? ABSENT : describe(stats) };
  } catch (error) {
    return { path, stamp: getErrorCode(error) };
  }
}

/** Whether the file still looks as it did. */
export function isFileUnchanged(file: FileStamp): boolean {
  return stampFile(file.path).stamp === file.stamp;
}

/** What a file held, and the stamp of just that content. */
export interface StampedFile {
  readonly bytes: Buffer;
  readonly file: FileStamp;
  /** Permissions, as in `stat`. */
  readonly mode: number;
}

function readUpTo(fd: number, most: number): Buffer {
  const bytes = Buffer.alloc(most);
  let done = 0;
  for (;;) {
    const count = readSync(fd, bytes, done, most - done, null);
    done += count;
    if (count === 0 || done === most) return bytes.subarray(0, done);
  }
}

/**
 * Reads a file and describes it by the descriptor that was read. The description is the older of the two, so that a
 * change in between makes it void.
 *
 * @param most bytes to read at most; then anything but a regular file is refused without waiting for its other end
 * @throws the error of node:fs
 */
export function readStampedFile(path: string, most?: number): StampedFile {
  const fd = openSync(path, constants.O_RDONLY | (most === undefined ? 0 : constants.O_NONBLOCK));
  try {
    const stats = fstatSync(fd, { bigint: true });
    if (most !== undefined && !stats.isFile()) throw Object.assign(new Error('no regular file'), { code: 'EINVAL' });
    const bytes = most === undefined ? readFileSync(fd) : readUpTo(fd, Math.min(most, Number(stats.size) + 1));
    return { bytes, file: { path, stamp: describe(stats) }, mode: Number(stats.mode) };
  } finally {
    closeSync(fd);
  }
}

/**
 * Reads a file if there is one; where there is none, or no way to it, there is only the stamp of that.
 *
 * @param most see {@link readStampedFile}
 * @throws the error of node:fs when it is there and cannot be read
 */
export function readStampedFileIfExists(path: string, most: number): StampedFile | FileStamp {
  try {
    return readStampedFile(path, most);
  } catch (error) {
    const code = getErrorCode(error);
    // Not looked at again: by now it may be there.
    if (code === 'ENOENT') return { path, stamp: ABSENT };
    const file = stampFile(path);
    if (file.stamp === code || file.stamp === ABSENT) return file;
    throw error;
  }
}
