import { statSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { getErrorCode } from './errors.ts';
import { readRegularFile } from './read-file.ts';

/** A file that a result depends on, and its state at that time. */
export interface FileStamp {
  /** Absolute path. */
  readonly path: string;
  readonly stamp: string;
}

const ABSENT = 'absent';

function describe({ size, mtimeNs, ctimeNs, ino, dev }: BigIntStats): string {
  return [size, mtimeNs, ctimeNs, ino, dev].join(' ');
}

/**
 * Describes a file without reading it: size, times in ns, inode and device. A file that does not exist or cannot be
 * accessed has a stamp too. A different stamp means a different file; {@link isReliableStamp} says when the same stamp
 * means the same content.
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

/** Whether all files are unchanged since they were stamped. */
export function areFilesUnchanged(files: readonly FileStamp[]): boolean {
  for (const file of files) {
    if (!isFileUnchanged(file)) return false;
  }
  return true;
}

/** The clock that the kernel takes the times of files from can be this far behind; most are behind by a few ms. */
const MAX_CLOCK_STEP_MS = 2_000;
const NS_PER_MS = 1_000_000;
const NS_PER_SECOND = 1_000_000_000n;

/**
 * Whether every later change to the content changes the stamp. The kernel sets the time of the last change (ctime), and
 * nobody else can. But a change within the same step of its clock gives the same time, so the file must be old enough.
 * A whole second means that the file system stores no fraction, or that the file is from an image that was built with
 * fixed times, where another image can have the same ones.
 *
 * @param takenAt when the stamp was taken, or earlier; ms since 1970, UTC
 */
export function isReliableStamp({ stamp }: FileStamp, takenAt: number): boolean {
  const [, , ctimeNs] = stamp.split(' ');
  // The file did not exist, or could not be accessed.
  if (ctimeNs === undefined) return true;
  const isWholeSecond = BigInt(ctimeNs) % NS_PER_SECOND === 0n;
  return !isWholeSecond && Number(ctimeNs) / NS_PER_MS < takenAt - MAX_CLOCK_STEP_MS;
}

/** The content of a file, and the stamp of exactly that content. */
export interface StampedFile {
  readonly bytes: Buffer;
  readonly file: FileStamp;
  /** Permissions, as in `stat`. */
  readonly mode: number;
}

/**
 * Reads a regular file and stamps it through the same descriptor. The stamp is taken first, so that a change in between
 * makes it invalid.
 *
 * @throws what {@link readRegularFile} throws
 */
export function readStampedFile(path: string, maxBytes: number): StampedFile {
  const { bytes, stats } = readRegularFile(path, maxBytes);
  return { bytes, file: { path, stamp: describe(stats) }, mode: Number(stats.mode) };
}

/**
 * Reads a regular file if it exists; otherwise returns only the stamp of its absence.
 *
 * @throws what {@link readRegularFile} throws, if the file exists and cannot be read
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
