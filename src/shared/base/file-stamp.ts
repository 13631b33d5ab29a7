import { closeSync, constants, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { getErrorCode } from './errors.ts';

/** A file that a result depends on, and its state at that time. */
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
 * Describes a file without reading it: size, times in ns or inode change whenever its content changes. A file that does
 * not exist or cannot be accessed has a stamp too.
 */
export function stampFile(path: string): FileStamp {
  try {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    return { path, stamp: stats === undefined ? ABSENT : describe(stats) };
  } catch (error) {
    return { path, stamp: getErrorCode(error) };
  }
}

/** Whether the file is unchanged since it was stamped. */
export function isFileUnchanged(file: FileStamp): boolean {
  return stampFile(file.path).stamp === file.stamp;
}

/** The content of a file, and the stamp of exactly that content. */
export interface StampedFile {
  readonly bytes: Buffer;
  readonly file: FileStamp;
  /** Permissions, as in `stat`. */
  readonly mode: number;
}

function readUpTo(fd: number, maxBytes: number): Buffer {
  const bytes = Buffer.alloc(maxBytes);
  let length = 0;
  for (;;) {
    const count = readSync(fd, bytes, length, maxBytes - length, null);
    length += count;
    if (count === 0 || length === maxBytes) return bytes.subarray(0, length);
  }
}

/**
 * Reads a file and stamps it through the same descriptor. The stamp is taken first, so that a change in between makes
 * it invalid.
 *
 * @param maxBytes limits what is read; anything but a regular file is then rejected without waiting, as a pipe would
 * @throws the error of node:fs
 */
export function readStampedFile(path: string, maxBytes?: number): StampedFile {
  const fd = openSync(path, constants.O_RDONLY | (maxBytes === undefined ? 0 : constants.O_NONBLOCK));
  try {
    const stats = fstatSync(fd, { bigint: true });
    if (maxBytes !== undefined && !stats.isFile()) {
      throw Object.assign(new Error('not a regular file'), { code: 'EINVAL' });
    }
    const bytes = maxBytes === undefined ? readFileSync(fd) : readUpTo(fd, Math.min(maxBytes, Number(stats.size) + 1));
    return { bytes, file: { path, stamp: describe(stats) }, mode: Number(stats.mode) };
  } finally {
    closeSync(fd);
  }
}

/**
 * Reads a file if it exists; otherwise returns only the stamp of its absence.
 *
 * @param maxBytes see {@link readStampedFile}
 * @throws the error of node:fs if it exists and cannot be read
 */
export function readStampedFileIfExists(path: string, maxBytes: number): StampedFile | FileStamp {
  try {
    return readStampedFile(path, maxBytes);
  } catch (error) {
    const code = getErrorCode(error);
    // Do not stamp it again: by now it may exist.
    if (code === 'ENOENT') return { path, stamp: ABSENT };
    const file = stampFile(path);
    if (file.stamp === code || file.stamp === ABSENT) return file;
    throw error;
  }
}
